import type { Connection } from "./connection.js";
import type { ConnectionEvents } from "./events.js";
import { Peer } from "./peer.js";
import type { ConnectionState } from "./state.js";

/** What a Call does for the app. */
export interface CallOptions {
  /** For each RTCPeerConnection, such as its STUN and TURN servers. */
  readonly configuration?: RTCConfiguration | (() => RTCConfiguration);
  /** Called with each new RTCPeerConnection: add the tracks to send, and listen to "track". */
  readonly started: (pc: RTCPeerConnection) => void;
  /** Called when the RTCPeerConnection of the last `started` is over and closed. */
  readonly ended?: () => void;
  /**
   * Called if the call could not start, or a step of a negotiation failed. After a DyadError
   * `unusable_description`, leave the room and join it again: both sides then start over.
   */
  readonly failed?: (reason: unknown) => void;
}

/**
 * Keeps an RTCPeerConnection with the present peer, and makes a new one for each peer that joins.
 * A `Peer` negotiates it. Make the call before entering a room: it serves all rooms of the
 * connection.
 *
 * If only the signaling is gone, the media of a connected call goes on, until the path to the
 * peer fails, or a new negotiation begins, or the user hangs up: `leave` and `close` of the
 * connection end it, and `close` of the call does. An error that is `final` ends it, too.
 */
export class Call {
  readonly #connection: Connection;
  readonly #options: CallOptions;
  readonly #unsubscribe: readonly (() => void)[];
  #pc: RTCPeerConnection | undefined;
  /** Absent once the negotiation is over, even if the media goes on. */
  #peer: Peer | undefined;

  constructor(connection: Connection, options: CallOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#unsubscribe = [
      connection.on("peerJoined", () => this.#start()),
      connection.on("offer", (event) => void (this.#peer ?? this.#start())?.take(event)),
      connection.on("answer", (event) => void this.#peer?.take(event)),
      connection.on("candidate", (event) => void this.#peer?.take(event)),
      connection.on("peerLeft", (event) => this.#peerLeft(event)),
      connection.on("reconnected", ({ resumed }) => resumed || this.#stopNegotiating()),
      connection.on("state", (state) => this.#becomes(state)),
    ];
  }

  /** The current RTCPeerConnection, if there is one. */
  get pc(): RTCPeerConnection | undefined {
    return this.#pc;
  }

  /** Ends the RTCPeerConnection, and makes no other. It does not leave the room. */
  close(): void {
    this.#unsubscribe.forEach((stop) => stop());
    this.#end();
  }

  #start(): Peer | undefined {
    this.#end();
    const { configuration, started, failed = () => undefined } = this.#options;
    try {
      const pc = new RTCPeerConnection(typeof configuration === "function" ? configuration() : configuration);
      // A new session may have another role, so each negotiation asks for it.
      const polite = this.#connection.room?.polite ?? true;
      this.#pc = pc;
      this.#peer = new Peer(pc, this.#connection, { polite, failed });
      started(pc);
    } catch (reason) {
      // Such as the address of a STUN server that is none, or a mistake of `started`.
      failed(reason);
    }
    return this.#peer;
  }

  #peerLeft({ reason }: ConnectionEvents["peerLeft"]): void {
    if (reason === "left") this.#end();
    else this.#stopNegotiating();
  }

  #becomes(state: ConnectionState): void {
    if (state.type === "idle" || (state.type === "ended" && isOver(state))) {
      this.#end();
    } else if (state.type === "ended") {
      this.#stopNegotiating();
    }
  }

  /** The two sides can no longer negotiate. What is connected stays so for as long as it lasts. */
  #stopNegotiating(): void {
    const pc = this.#pc;
    this.#peer?.stop();
    this.#peer = undefined;
    const check = (): void => {
      if (this.#pc === pc && !isRunning(pc)) this.#end();
    };
    pc?.addEventListener("connectionstatechange", check);
    check();
  }

  #end(): void {
    const pc = this.#pc;
    this.#peer?.stop();
    this.#peer = undefined;
    this.#pc = undefined;
    if (pc !== undefined) {
      pc.close();
      this.#options.ended?.();
    }
  }
}

/** Whether media flows, or did until a moment ago: a gap may close by itself. */
function isRunning(pc: RTCPeerConnection | undefined): boolean {
  return pc?.connectionState === "connected" || pc?.connectionState === "disconnected";
}

/** Whether the user has hung up, has gone on with another device, or is logged out. */
function isOver({ error }: Extract<ConnectionState, { type: "ended" }>): boolean {
  return error === undefined || error.final;
}
