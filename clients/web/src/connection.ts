import { DyadError } from "./errors.js";
import { EventQueue } from "./event_queue.js";
import { type ConnectionEvent, type ConnectionEvents, type Room, toWire } from "./events.js";
import type { Frame } from "./gen/dyad/v1/signaling.js";
import { Listeners } from "./listeners.js";
import type { PeerSignaling } from "./peer.js";
import { RoomSession } from "./room_session.js";
import type { Route } from "./route.js";
import { UUID } from "./routing.js";
import type { ConnectionState } from "./state.js";

// A call has some dozens. More means that the app does not iterate, or is stuck.
const MOST_UNREAD = 1_000;

/** How to enter a room. */
export interface EnterOptions {
  /** Whether to reconnect when the connection breaks. The default is true. */
  readonly resumable?: boolean;
  /** Cancels entering. Nothing is left behind on the server. */
  readonly signal?: AbortSignal;
}

/** What a listener of each type receives. */
export type ConnectionListeners = ConnectionEvents & { readonly state: ConnectionState };

interface Entering {
  readonly resolve: (room: Room) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * A participant's connection to the server: enter a room, negotiate, hang up.
 *
 * There is a network connection only while in a room. If it breaks, the client reconnects, as
 * docs/protocol.md says. Events reach the listeners of `on`, and whoever iterates over the
 * connection. An iteration covers one room: it ends after `leave` and `close`, and throws
 * the DyadError if the session ends in any other way.
 */
export class Connection implements AsyncIterable<ConnectionEvent>, PeerSignaling {
  readonly #route: Route;
  readonly #listeners = new Listeners<ConnectionListeners>();
  #listening = false;
  #events = new EventQueue<ConnectionEvent>(MOST_UNREAD);
  #state: ConnectionState = { type: "idle" };
  /** Present from the call of `create` or `join` until the session is over or released. */
  #session: RoomSession | undefined;
  /** The session of the last `create` or `join`, also when it is over. */
  #latest: RoomSession | undefined;
  #entering: Entering | undefined;
  #final = false;
  /** The sessions that still hang up, although the app has nothing to do with them any more. */
  #hangingUp: Promise<unknown> = Promise.resolve();
  #finish!: () => void;
  /** Resolves after `close` or `detach`, when the server knows of the hang-up or can no longer be told. */
  readonly closed = new Promise<void>((resolve) => (this.#finish = resolve));

  /** @internal Use `connect`. */
  constructor(route: Route) {
    this.#route = route;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /**
   * Names the latest stream in the server's log: show it in an error report. It is random and no
   * secret. Each reconnect gives another one. It is empty until the server has answered.
   */
  get streamId(): string {
    return this.#latest?.streamId ?? "";
  }

  /** The room that this participant is in. It is set before the first event of the room. */
  get room(): Room | undefined {
    return this.#session?.room;
  }

  /** Creates a room and enters it. If the token names a room, enters that room. */
  async create(options?: EnterOptions): Promise<Room> {
    return this.#enter("", options);
  }

  /** Joins an existing room. */
  async join(roomId: string, options?: EnterOptions): Promise<Room> {
    if (typeof roomId !== "string" || !UUID.test(roomId)) {
      throw new DyadError("invalid_argument", "To join takes the id of a room, which is a UUID. To make a room, call create().");
    }
    return this.#enter(roomId, options);
  }

  /**
   * Hangs up. Resolves when the server knows, or has released the seat. Events that were not
   * read are dropped. After a session that ended with an error, it ends the media of a `Call`
   * that goes on. Without a room it has no other effect.
   */
  async leave(): Promise<void> {
    const session = this.#session;
    if (this.#entering !== undefined) {
      this.#abandon(new DyadError("closed", "leave() was called before the room was entered."));
    }
    this.#events.clear();
    if (session === undefined && this.#state.type === "ended" && !this.#final) {
      this.#become({ type: "idle" });
    }
    await session?.leave();
  }

  /** Sends the peer an SDP offer. Throws a DyadError if it is too large, or not in a room. */
  sendOffer(sdp: string): void {
    this.#send({ $case: "offer", value: { sdp } });
  }

  /** Sends the peer an SDP answer. Throws a DyadError if it is too large, or not in a room. */
  sendAnswer(sdp: string): void {
    this.#send({ $case: "answer", value: { sdp } });
  }

  /**
   * Sends the peer an ICE candidate; null marks the end of the candidates. Throws a DyadError
   * if it is too large, or not in a room.
   */
  sendCandidate(candidate: RTCIceCandidateInit | null): void {
    this.#send({ $case: "iceCandidate", value: toWire(candidate) });
  }

  /**
   * Hangs up for good. Works while the page unloads. While reconnecting, the client goes on for
   * up to 15 s to deliver the hang-up; `closed` says when that is over.
   */
  close(): void {
    this.#finishWith((session) => session.leave({ atOnce: true }));
  }

  /**
   * Ends the connection for good without hanging up, for a page that is about to be loaded
   * again: what was sent still goes out, and the server reserves the seat for its grace time.
   * Only then is the peer told.
   */
  detach(): void {
    this.#finishWith((session) => session.drop());
  }

  /** Reconnects at once. Browsers report most changes of the network, and then this happens by itself. */
  networkChanged(): void {
    this.#session?.networkChanged();
  }

  /**
   * Calls `listener` with each event of this type, or with each new state, as soon as it is
   * known. Returns a function that removes the listener.
   */
  on<T extends keyof ConnectionListeners>(
    type: T,
    listener: (value: ConnectionListeners[T]) => void,
  ): () => void {
    this.#listening ||= type !== "state";
    return this.#listeners.add(type, listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<ConnectionEvent> {
    return this.#events[Symbol.asyncIterator]();
  }

  async #enter(roomId: string, { resumable = true, signal }: EnterOptions = {}): Promise<Room> {
    if (this.#final) {
      throw closed();
    }
    if (this.#session !== undefined) {
      throw new DyadError("in_room", "This connection is in a room already, or was about to enter one: await leave() first.");
    }
    signal?.throwIfAborted();
    if (this.#events.over) {
      this.#events = new EventQueue(MOST_UNREAD);
    }
    const cancel = (): void => this.#abandon(signal?.reason);
    signal?.addEventListener("abort", cancel);
    try {
      return await new Promise<Room>((resolve, reject) => {
        this.#entering = { resolve, reject };
        this.#session = this.#latest = this.#open(roomId, resumable);
        this.#become({ type: "connecting" });
      });
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  #open(roomId: string, resumable: boolean): RoomSession {
    // Once released, a session may still hang up, but the app hears no more of it.
    const current = (): boolean => this.#session === session;
    const session: RoomSession = new RoomSession(this.#route, { roomId, resumable }, {
      entered: (room) => current() && this.#entered(room),
      event: (event) => current() && this.#take(session, event),
      reconnecting: (attempt, cause) => current() && this.#become({ type: "reconnecting", attempt, cause }),
      connected: () => current() && this.#become({ type: "connected" }),
      over: (failure) => current() && this.#over(failure),
    });
    return session;
  }

  #entered(room: Room): void {
    this.#become({ type: "connected" });
    // Unless a listener has closed this connection.
    this.#entering?.resolve(room);
    this.#entering = undefined;
  }

  #take(session: RoomSession, event: ConnectionEvent): void {
    if (session.room === undefined) {
      return;
    }
    if (!this.#events.put(event)) {
      this.#overflow(session);
    }
    this.#listeners.tell(event.type, event as never, () => this.#session === session);
  }

  #overflow(session: RoomSession): void {
    const unread = new DyadError("resource_exhausted", `The app has not read ${MOST_UNREAD} events.`);
    this.#events.end(unread);
    if (!this.#listening) {
      this.#release((one) => one.leave(), session);
      this.#become({ type: "ended", error: unread });
    }
  }

  #over(failure: DyadError | undefined): void {
    this.#session = undefined;
    const entering = this.#entering;
    this.#entering = undefined;
    if (entering !== undefined) {
      this.#become({ type: "idle" });
      entering.reject(failure);
      return;
    }
    this.#events.end(failure);
    this.#become(failure === undefined ? { type: "idle" } : { type: "ended", error: failure });
  }

  /** Gives up entering a room. A session that the server knows of hangs up in the background. */
  #abandon(reason: unknown): void {
    const entering = this.#entering;
    if (entering === undefined) {
      return;
    }
    this.#entering = undefined;
    this.#release((session) => session.leave({ atOnce: true }));
    this.#become({ type: "idle" });
    entering.reject(reason);
  }

  #finishWith(end: (session: RoomSession) => unknown): void {
    if (this.#final) {
      return;
    }
    this.#final = true;
    const entering = this.#entering;
    this.#entering = undefined;
    this.#release(end);
    this.#events.clear();
    this.#events.end(undefined);
    this.#become({ type: "ended" });
    entering?.reject(closed());
    void this.#hangingUp.then(() => this.#finish());
  }

  /** Ends the session in a way that the app need not wait for, and hears no more of. */
  #release(end: (session: RoomSession) => unknown, session = this.#session): void {
    this.#session = undefined;
    if (session !== undefined) {
      this.#hangingUp = Promise.all([this.#hangingUp, session.finished]);
      void end(session);
    }
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#listeners.tell("state", state, () => this.#state === state);
  }

  #send(event: Frame["event"]): void {
    if (this.#session?.room === undefined) {
      throw this.#final ? closed() : this.#noRoom();
    }
    this.#session.send(event);
  }

  #noRoom(): DyadError {
    return this.#state.type === "ended" && this.#state.error !== undefined
      ? this.#state.error
      : new DyadError("not_in_room", "This connection is in no room.");
  }
}

function closed(): DyadError {
  return new DyadError("closed", "This connection is closed.");
}
