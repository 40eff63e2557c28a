import { Call, connect, type Connection, type ConnectionState, DyadError, type Participant, type Room, type Token } from "@dyad/web";

import { LocalTracks } from "./local_tracks.js";

/** A call as it is now. Each change makes a new object. */
export interface CallView {
  /** What the connection to the server is doing. It is "ended" too if the room was not entered. */
  readonly state: ConnectionState;
  /** The room that this participant is in. */
  readonly room: Room | undefined;
  /** The other participant, while in the room. */
  readonly peer: Participant | undefined;
  /** The peer's tracks. It is another stream for each RTCPeerConnection. */
  readonly remote: MediaStream | undefined;
  /** The connection to the peer, such as for `getStats` or a data channel. */
  readonly pc: RTCPeerConnection | undefined;
  /** The last failure: why the call ended, or which step of the negotiation failed. */
  readonly error: unknown;
}

/** The call of a component that is in no room. */
export const NO_CALL: CallView = {
  state: { type: "idle" },
  room: undefined,
  peer: undefined,
  remote: undefined,
  pc: undefined,
  error: undefined,
};

/** What may change during a call, as the component has it now. */
export interface StayInputs {
  readonly token: Token;
  readonly local?: MediaStream | undefined;
  readonly configuration?: RTCConfiguration | undefined;
}

/** One stay in a room, with an RTCPeerConnection for each peer. React is not needed for it. */
export class Stay {
  readonly #inputs: () => StayInputs;
  readonly #show: (view: CallView) => void;
  #view = NO_CALL;
  #connection: Connection | undefined;
  #call: Call | undefined;
  #tracks: LocalTracks | undefined;
  #over = false;

  /**
   * Enters `room`, or creates one if that is undefined. `show` is called with each change until
   * `end`.
   */
  constructor(url: string, room: string | undefined, inputs: () => StayInputs, show: (view: CallView) => void) {
    this.#inputs = inputs;
    this.#show = show;
    // In StrictMode, React unmounts each new component at once and mounts it again.
    queueMicrotask(() => void this.#enter(url, room));
  }

  /** Sends the tracks of this stream and no others. */
  send(local: MediaStream | undefined): void {
    this.#tracks?.send(local);
  }

  /** Hangs up. Works while the page unloads. */
  end(): void {
    this.#over = true;
    this.#call?.close();
    this.#connection?.close();
  }

  async #enter(url: string, room: string | undefined): Promise<void> {
    if (this.#over) {
      return;
    }
    try {
      const connection = connect(url, () => this.#token());
      this.#connection = connection;
      this.#listen(connection);
      await (room === undefined ? connection.create() : connection.join(room));
    } catch (error) {
      this.#change({ error, ...(error instanceof DyadError && { state: { type: "ended", error } }) });
    }
  }

  #token(): string | null | Promise<string | null> {
    const { token } = this.#inputs();
    return typeof token === "function" ? token() : token;
  }

  #listen(connection: Connection): void {
    this.#call = new Call(connection, {
      configuration: () => this.#inputs().configuration ?? {},
      started: (pc) => this.#started(pc),
      ended: () => this.#ended(),
      failed: (error) => this.#change({ error }),
    });
    connection.on("state", (state) => this.#becomes(state, connection.room));
    connection.on("peerJoined", ({ peer }) => this.#change({ peer }));
    connection.on("peerLeft", () => this.#change({ peer: undefined }));
    connection.on("reconnected", ({ room, resumed }) => this.#change(resumed ? { room } : { room, peer: room.peer }));
  }

  #becomes(state: ConnectionState, room: Room | undefined): void {
    switch (state.type) {
      case "idle":
        // The room was not entered. The error follows.
        return;
      case "connected":
        return this.#change(this.#view.room === undefined ? { state, room, peer: room?.peer } : { state });
      case "ended":
        return this.#change({ state, room, peer: undefined, error: state.error });
      default:
        return this.#change({ state });
    }
  }

  #started(pc: RTCPeerConnection): void {
    const remote = new MediaStream();
    pc.addEventListener("track", ({ track, streams }) => {
      remote.addTrack(track);
      streams.forEach((stream) => stream.addEventListener("removetrack", (event) => remote.removeTrack(event.track)));
    });
    this.#tracks = new LocalTracks(pc, (error) => this.#change({ error }));
    this.#tracks.send(this.#inputs().local);
    this.#change({ pc, remote });
  }

  #ended(): void {
    this.#tracks = undefined;
    this.#change({ pc: undefined, remote: undefined });
  }

  #change(change: Partial<CallView>): void {
    if (!this.#over) {
      this.#view = { ...this.#view, ...change };
      this.#show(this.#view);
    }
  }
}
