import { connect, type Connection, DyadError, type Participant, type Room } from "@dyad/web";

import { Call } from "./call.js";
import { Calls } from "./calls.js";
import type { Facts } from "./screen.js";
import { sentence } from "./sentences.js";
import { TokenSource } from "./token_source.js";

/** Who a session reports to. */
export interface SessionEvents {
  /** Something is known now that the page may have to show. */
  readonly learn: (changes: Partial<Facts>) => void;
  /** The call may have another picture to show. */
  readonly pictures: () => void;
  /** The session has ended by itself, for this reason. */
  readonly over: (why: string) => void;
}

// These frames were under way when one of the two left. The user need do nothing.
const HARMLESS: ReadonlySet<string> = new Set(["peer_absent", "not_in_room", "closed"]);

/** One stay in a room: from the moment when the user enters, to the end of the call. */
export class Session {
  readonly calls = new Calls<Call>();
  readonly #connection: Connection;
  readonly #tokens: TokenSource;
  readonly #cancel = new AbortController();
  readonly #ice: RTCConfiguration;
  readonly #local: MediaStream;
  readonly #events: SessionEvents;
  /** Why the connection to the server is over although the call goes on. */
  #gone: string | undefined;
  #closed = false;

  /** @throws DyadError if the token cannot be one. */
  constructor(server: string, token: string, ice: RTCConfiguration, local: MediaStream, events: SessionEvents) {
    this.#tokens = new TokenSource(token, () => events.learn({ wantsToken: true }));
    // Never give up: the call can continue without the server.
    this.#connection = connect(server, () => this.#tokens.take(), { giveUpAfterMs: Number.POSITIVE_INFINITY });
    this.#ice = ice;
    this.#local = local;
    this.#events = events;
    this.#listen();
  }

  /** Joins the room, or without an id creates one. */
  async enter(roomId: string | undefined): Promise<Room> {
    const { signal } = this.#cancel;
    const connection = this.#connection;
    const room = await (roomId === undefined ? connection.create({ signal }) : connection.join(roomId, { signal }));
    this.#tokens.bePatient(true);
    return room;
  }

  /** The user has entered another token. */
  renew(token: string): void {
    this.#tokens.renew(token);
    this.#events.learn({ wantsToken: false });
  }

  /** The tracks of the local stream have changed. */
  sendTracks(): void {
    this.calls.all.forEach((call) => call.send(this.#local));
  }

  /** Hangs up. If the server is out of reach, the client goes on trying to tell it. */
  close(): void {
    this.#closed = true;
    this.#tokens.bePatient(false);
    this.#cancel.abort();
    this.calls.end();
    this.#connection.close();
  }

  #listen(): void {
    const connection = this.#connection;
    connection.on("state", (state) => {
      if (state.type === "reconnecting") {
        this.#away(state.cause);
      } else if (state.type === "connected") {
        this.#events.learn({ server: "there", wantsToken: false });
      } else if (state.type === "ended" && state.error !== undefined) {
        this.#lost(state.error);
      }
    });
    connection.on("peerJoined", ({ peer }) => {
      this.#begin();
      this.#events.learn({ peerIsHere: true, peer: nameOf(peer), left: undefined });
    });
    connection.on("peerLeft", ({ reason }) => {
      // Who hangs up ends the call. A call whose signaling is lost goes on.
      if (reason === "left") this.calls.end();
      else this.calls.letGo();
      this.#events.learn({ peerIsHere: false, left: reason });
      this.#callsChanged();
    });
    connection.on("reconnected", ({ resumed, room }) => resumed || this.#newSession(room));
    connection.on("offer", (event) => (this.calls.current ?? this.#begin()).take(event));
    connection.on("answer", (event) => this.calls.current?.take(event));
    connection.on("candidate", (event) => this.calls.current?.take(event));
    connection.on("error", ({ error }) => this.#failed(error));
  }

  #begin(): Call {
    const polite = this.#connection.room?.polite === true;
    const call = new Call(this.#ice, this.#connection, polite, {
      changed: () => this.#callsChanged(),
      failed: (reason) => this.#failed(reason),
    });
    this.calls.begin(call);
    call.send(this.#local);
    this.#callsChanged();
    return call;
  }

  #newSession({ peer }: Room): void {
    this.calls.letGo();
    const name = peer === undefined ? {} : { peer: nameOf(peer) };
    this.#events.learn({ peerIsHere: peer !== undefined, left: peer === undefined ? "disconnected" : undefined, ...name });
    this.#callsChanged();
  }

  #callsChanged(): void {
    if (this.#closed) {
      return;
    }
    this.calls.changed();
    const { media } = this.calls;
    if (this.#gone !== undefined && media === "none") {
      this.#end(this.#gone);
      return;
    }
    this.#events.learn({ media });
    this.#events.pictures();
  }

  #away(cause: DyadError): void {
    const refused = cause.code === "unauthenticated";
    this.#tokens.tries(refused);
    this.#events.learn({ server: "away", because: refused ? cause.message : "The server does not accept your token any more." });
  }

  /** The connection to the server is over. A call that is connected goes on. */
  #lost(failure: DyadError): void {
    const why = sentence(failure);
    this.calls.letGo();
    // The user has taken the call to another tab or device, so it ends here.
    if (failure.code === "taken_over" || this.calls.all.length === 0) {
      this.#end(why);
      return;
    }
    this.#gone = why;
    const because = failure.code === "room_not_found" ? "The server has lost this room." : why;
    this.#events.learn({ server: "gone", because, wantsToken: false });
    this.#callsChanged();
  }

  #end(why: string): void {
    this.close();
    this.#events.over(why);
  }

  #failed(reason: unknown): void {
    if (!(reason instanceof DyadError && HARMLESS.has(reason.code))) {
      this.#events.learn({ problem: sentence(reason) });
    }
  }
}

export function nameOf({ email, userId }: Participant): string {
  return email || userId;
}
