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

/** The time from Connect to the end of the connection. Shows on the page what happens. */
export class Session {
  readonly #connect: () => Promise<Connection>;
  /** The current connection. Until a room is entered, a new one may replace it. */
  #connection: Promise<Connection>;
  readonly #media: LocalMedia;
  #seated = false;
  #call: Call | undefined;
  /** Whether the connection broke and the client is reconnecting. */
  #reconnecting = false;
  /** Whether the user is hanging up. What still arrives from the peer is then ignored. */
  #leaving = false;
  /** Present once the connection to the server is over and only the running call is left. */
  #last: { readonly callEnded: () => void } | undefined;

  private constructor(connecting: () => Promise<Connection>, connection: Promise<Connection>, name: string) {
    this.#connect = connecting;
    this.#connection = connection;
    this.#media = new LocalMedia(name, () => this.#call?.send(this.#media.stream));
  }

  /** @throws DyadError if no connection could be opened. */
  static async open(server: string, token: string): Promise<Session> {
    // Never give up: the call can continue without the server.
    const connecting = () => connect(server, token, { giveUpAfterMs: Number.POSITIVE_INFINITY });
    const connection = connecting();
    await connection;
    return new Session(connecting, connection, nameIn(token));
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
    const connection = this.#connection;
    const room = await ask(await connection).catch(async (reason: unknown) => {
      if (!idledOut(reason)) {
        throw reason;
      }
      // The server ended the idle connection at the moment when the user chose a room.
      return ask(await this.#renew(connection));
    });
    this.#seated = true;
    view.nameRemote(room.peer);
    return room;
  }

  async hangUp(): Promise<void> {
    this.#leaving = true;
    this.#endCall();
    view.showInvitation(undefined);
    if (this.#last !== undefined) {
      return;
    }
    try {
      await (await this.#connection).leave();
      this.#seated = false;
    } finally {
      this.#leaving = false;
    }
  }

  /** Hangs up and ends the connection, because the page unloads. */
  close(): void {
    void this.#connection.then((connection) => connection.close());
  }

  async #follow(): Promise<void> {
    try {
      for (let idle = true; idle; ) {
        idle = await this.#followOne(this.#connection);
      }
    } catch (reason) {
      if (this.#call?.running !== true || takenOver(reason)) {
        say(sentence(reason));
        return;
      }
      say(`${sentence(reason)} Your call goes on until one of you hangs up.`);
      await new Promise<void>((callEnded) => (this.#last = { callEnded }));
    }
  }

  /** Handles one connection's events. Resolves to whether another connection follows. */
  async #followOne(connecting: Promise<Connection>): Promise<boolean> {
    const connection = await connecting;
    try {
      for await (const event of connection) {
        await this.#take(connection, event);
      }
    } catch (reason) {
      if (this.#seated || !idledOut(reason)) {
        throw reason;
      }
      await this.#renew(connecting);
      return true;
    }
    return false;
  }

  /** The connection after `ended`. The first caller opens it. */
  #renew(ended: Promise<Connection>): Promise<Connection> {
    if (this.#connection === ended) {
      this.#connection = this.#connect();
    }
    return this.#connection;
  }

  async #take(connection: Connection, event: ConnectionEvent): Promise<void> {
    switch (event.type) {
      case "peerJoined":
        this.#endCall();
        say("");
        this.#startCall(connection);
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
        await (this.#call ?? this.#startCall(connection))?.take(event).catch(callFailed);
        break;
      case "answer":
      case "candidate":
        await this.#call?.take(event).catch(callFailed);
        break;
    }
  }

  /** Undefined if the user is in no room, or if a setting is wrong. It then shows why. */
  #startCall(connection: Connection): Call | undefined {
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

/** The server has ended a connection that entered no room. Nothing is lost. */
function idledOut(reason: unknown): boolean {
  return reason instanceof DyadError && reason.code === "deadline_exceeded";
}
