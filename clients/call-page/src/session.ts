import { connect, type Connection, type ConnectionEvent, DyadError, type LeaveReason, type Room } from "@dyad/web";

import { Call } from "./call.js";
import { LocalMedia } from "./media.js";
import { sentence } from "./sentences.js";
import { nameIn } from "./token.js";
import * as view from "./view.js";
import { say } from "./view.js";

const LEFT: Readonly<Record<LeaveReason, string>> = {
  left: "The other person hung up.",
  disconnected: "The other person's connection was lost.",
  replaced: "The other person is connecting again.",
  unspecified: "The other person has left.",
};

const EVENTS = [
  "peerJoined", "peerLeft", "offer", "answer", "candidate", "error", "reconnecting", "reconnected",
] as const;

/** The time from Connect to the end of the connection. Shows on the page what happens. */
export class Session {
  readonly #connection: Connection;
  readonly #media: LocalMedia;
  #seated = false;
  #call: Call | undefined;
  /** Whether the connection broke and the client is reconnecting. */
  #reconnecting = false;
  /** Whether the user is hanging up. What still arrives from the peer is then ignored. */
  #leaving = false;
  /** Present once the connection to the server is over and only the running call is left. */
  #last: { readonly callEnded: () => void } | undefined;
  #end!: (reason?: unknown) => void;

  /** @throws DyadError if the token cannot be one. */
  constructor(server: string, token: string) {
    // Never give up: the call can continue without the server.
    this.#connection = connect(server, token, { giveUpAfterMs: Number.POSITIVE_INFINITY });
    this.#media = new LocalMedia(nameIn(token), () => this.#call?.send(this.#media.stream));
  }

  /** Whether this side is in a room, with the peer or alone. */
  get seated(): boolean {
    return this.#seated;
  }

  /** Handles the server's events, and ends the call after the last event. */
  async run(): Promise<void> {
    view.localVideo.srcObject = this.#media.stream;
    view.showStatus("Connected");
    const camera = this.#media.useCamera();
    let over = false;
    void camera.then((problem) => {
      if (problem !== undefined && !over && view.saysNothing()) {
        say(problem);
      }
    });
    try {
      await this.#follow();
    } finally {
      over = true;
      this.#endCall();
      this.#media.stop();
      view.localVideo.srcObject = null;
      view.showInvitation(undefined);
      view.showStatus("Disconnected");
    }
  }

  /** Enters a room. `ask` creates or joins it. */
  async enter(ask: (connection: Connection) => Promise<Room>): Promise<Room> {
    try {
      const room = await ask(this.#connection);
      this.#seated = true;
      view.nameRemote(room.peer);
      return room;
    } catch (reason) {
      // Without a room there is nothing to wait for, and another token may be needed.
      this.#end();
      throw reason;
    }
  }

  async hangUp(): Promise<void> {
    this.#leaving = true;
    this.#endCall();
    view.showInvitation(undefined);
    if (this.#last !== undefined) {
      return;
    }
    try {
      await this.#connection.leave();
      this.#seated = false;
    } finally {
      this.#leaving = false;
    }
  }

  /** Hangs up and ends the connection, because the page unloads. */
  close(): void {
    this.#connection.close();
    this.#end();
  }

  async #follow(): Promise<void> {
    const over = new Promise<void>((resolve, reject) => {
      this.#end = (reason) => (reason === undefined ? resolve() : reject(reason));
    });
    this.#connection.on("state", (state) => {
      if (state.type === "ended") this.#end(state.error);
    });
    for (const type of EVENTS) {
      this.#connection.on(type, (event) => this.#take(event));
    }
    try {
      await over;
    } catch (reason) {
      if (this.#call?.running !== true || takenOver(reason)) {
        say(sentence(reason));
        return;
      }
      say(`${sentence(reason)} Your call goes on until one of you hangs up.`);
      await new Promise<void>((callEnded) => (this.#last = { callEnded }));
    }
  }

  #take(event: ConnectionEvent): void {
    switch (event.type) {
      case "peerJoined":
        this.#endCall();
        say("");
        this.#startCall();
        view.nameRemote(event.peer);
        break;
      case "peerLeft":
        this.#endCall();
        say(LEFT[event.reason]);
        break;
      case "reconnecting":
        // The media flows directly between the browsers, so a running call continues.
        this.#reconnecting = true;
        say("Reconnecting…");
        break;
      case "reconnected":
        this.#reconnecting = false;
        say("");
        if (!event.resumed) {
          this.#endCall();
          view.nameRemote(event.room.peer);
        }
        break;
      case "error":
        // A frame was under way when one of the two left. The user need do nothing.
        if (event.error.code !== "peer_absent" && event.error.code !== "not_in_room") {
          say(sentence(event.error));
        }
        break;
      case "offer":
        (this.#call ?? this.#startCall())?.take(event);
        break;
      case "answer":
      case "candidate":
        this.#call?.take(event);
        break;
    }
  }

  /** Undefined if the user is in no room, or if a setting is wrong. It then shows why. */
  #startCall(): Call | undefined {
    const connection = this.#connection;
    if (connection.room === undefined || this.#leaving) {
      return undefined;
    }
    let call: Call;
    try {
      call = new Call(connection, connection.room.polite, view.stun.value, {
        shows: view.showRemote,
        becomes: (state) => this.#call === call && this.#callBecomes(state),
        // Without the server there is no negotiation. The page has already said so.
        fails: (reason) => {
          if (this.#last === undefined) {
            callFailed(reason);
          }
        },
      });
    } catch {
      say("The STUN server in the settings is not an address. It looks like stun:host:3478.");
      return undefined;
    }
    this.#call = call;
    call.send(this.#media.stream);
    return call;
  }

  #callBecomes(state: RTCPeerConnectionState): void {
    view.showStatus(state === "connected" ? "Connected to peer" : "Connected");
    if (state === "failed" && this.#last !== undefined) {
      this.#endCall();
    } else if (state === "failed") {
      say("No direct connection to the other person was found. Some networks need a TURN server, and this page has none. Still trying.");
    } else if (state === "connected" && !this.#reconnecting) {
      say("");
    }
  }

  #endCall(): void {
    this.#call?.close();
    this.#call = undefined;
    this.#last?.callEnded();
    view.showRemote(null);
    view.nameRemote(undefined);
    view.showStatus("Connected");
  }
}

function callFailed(reason: unknown): void {
  say(sentence(reason));
}

/** The user has taken the seat with another tab or device, so the call ends here. */
function takenOver(reason: unknown): boolean {
  return reason instanceof DyadError && reason.code === "taken_over";
}
