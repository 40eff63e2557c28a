import { create } from "@bufbuild/protobuf";

import { Carrier } from "./carrier.js";
import { DyadError, refused } from "./errors.js";
import { EventQueue } from "./event_queue.js";
import { type ConnectionEvent, type Room, toEvent, toRoom, toWire } from "./events.js";
import {
  type Frame,
  FrameSchema,
  type JoinRoom,
  JoinRoomSchema,
  LeaveRoomSchema,
  SessionDescriptionSchema,
} from "./gen/dyad/v1/signaling_pb.js";
import type { Link, Route } from "./link.js";
import type { PeerSignaling } from "./peer.js";

export interface EnterOptions {
  /** Whether to reconnect when the connection breaks. The default is true. */
  readonly resumable?: boolean;
}

interface Asked {
  readonly frame: Frame;
  readonly resolve: (room: Room | undefined) => void;
  readonly reject: (error: DyadError) => void;
}

/**
 * A participant's connection to the server: enter a room, negotiate, hang up.
 *
 * If it breaks while in a room, the client reconnects, as docs/protocol.md says. The
 * events `reconnecting` and `reconnected` report that. Iterate over the connection
 * once, for its events. The iteration ends after `close()`, and throws a DyadError if
 * the connection ends in any other way.
 */
export class Connection implements AsyncIterable<ConnectionEvent>, PeerSignaling {
  readonly #carrier: Carrier;
  readonly #events = new EventQueue<ConnectionEvent>();
  readonly #asked = new Map<bigint, Asked>();
  #room: Room | undefined;
  #over: DyadError | undefined;

  /** Use `connect`. */
  constructor(route: Route, link: Link) {
    this.#carrier = new Carrier(route, link, {
      receive: (frame) => this.#receive(frame),
      reconnecting: () => this.#events.put({ type: "reconnecting" }),
      reconnected: (roomId, join) => this.#reconnected(roomId, join),
      over: (failure) => this.#end(failure),
      leaving: () => [...this.#asked.values()].some(({ frame }) => frame.event.case === "leaveRoom"),
    });
  }

  /** The room that this participant is in. It is set before the first event of the room. */
  get room(): Room | undefined {
    return this.#room;
  }

  /** Creates a room and enters it. If the token names a room, enters that room. */
  async create(options?: EnterOptions): Promise<Room> {
    return this.#enter("", options);
  }

  /** Joins an existing room. */
  async join(roomId: string, options?: EnterOptions): Promise<Room> {
    return this.#enter(roomId, options);
  }

  /**
   * Hangs up. The connection stays open and may enter another room, unless the server
   * had already released the seat: then the connection is closed too.
   */
  async leave(): Promise<void> {
    await this.#ask(this.#leaving());
  }

  /** Sends the peer an SDP offer. Throws a DyadError if the connection is over. */
  sendOffer(sdp: string): void {
    this.#put({ case: "offer", value: create(SessionDescriptionSchema, { sdp }) });
  }

  /** Sends the peer an SDP answer. Throws a DyadError if the connection is over. */
  sendAnswer(sdp: string): void {
    this.#put({ case: "answer", value: create(SessionDescriptionSchema, { sdp }) });
  }

  /**
   * Sends the peer an ICE candidate; null marks the end of the candidates.
   * Throws a DyadError if the connection is over.
   */
  sendCandidate(candidate: RTCIceCandidateInit | null): void {
    this.#put({ case: "iceCandidate", value: toWire(candidate) });
  }

  /** Hangs up if in a room, and ends the connection. Works also while the page unloads. */
  close(): void {
    const last = this.#room && this.#leaving();
    this.#end(undefined);
    this.#carrier.close(last);
  }

  [Symbol.asyncIterator](): AsyncIterator<ConnectionEvent> {
    return this.#events[Symbol.asyncIterator]();
  }

  async #enter(roomId: string, { resumable = true }: EnterOptions = {}): Promise<Room> {
    if (resumable) {
      this.#carrier.setSeat("soon");
    }
    const event: Frame["event"] = { case: "joinRoom", value: create(JoinRoomSchema, { resumable }) };
    const room = await this.#ask(create(FrameSchema, { roomId, event }));
    if (room === undefined) {
      throw new DyadError("protocol", "The server did not say which room this is.");
    }
    return room;
  }

  #leaving(): Frame {
    return this.#frame({ case: "leaveRoom", value: create(LeaveRoomSchema) });
  }

  #frame(event: Frame["event"]): Frame {
    return create(FrameSchema, { roomId: this.#room?.roomId ?? "", event });
  }

  #put(event: Frame["event"]): void {
    this.#check();
    this.#carrier.put(this.#frame(event));
  }

  async #ask(frame: Frame): Promise<Room | undefined> {
    this.#check();
    return new Promise((resolve, reject) => {
      this.#asked.set(this.#carrier.put(frame), { frame, resolve, reject });
    });
  }

  #check(): void {
    if (this.#over !== undefined) {
      throw this.#over;
    }
  }

  #receive(frame: Frame): void {
    if (this.#over !== undefined) {
      return;
    }
    const asked = this.#asked.get(frame.replyTo);
    if (asked !== undefined) {
      this.#asked.delete(frame.replyTo);
      this.#receiveReply(frame, asked);
      return;
    }
    const event = toEvent(frame);
    if (event !== undefined) {
      this.#events.put(event);
    }
  }

  #receiveReply({ roomId, event }: Frame, { resolve, reject }: Asked): void {
    if (event.case === "error") {
      if (this.#room === undefined) {
        this.#carrier.setSeat(undefined);
      }
      reject(refused(event.value));
      return;
    }
    if (event.case === "joinRoom") {
      const { resumeToken } = event.value;
      this.#room = toRoom(roomId, event.value);
      this.#carrier.setSeat(resumeToken === "" ? undefined : { roomId, resumeToken });
    } else {
      this.#room = undefined;
      this.#carrier.setSeat(undefined);
    }
    resolve(this.#room);
  }

  #reconnected(roomId: string, join: JoinRoom): void {
    const room = toRoom(roomId, join);
    this.#room = room;
    this.#events.put({ type: "reconnected", room, resumed: join.resumed });
    if (!join.resumed) {
      // The new session does not know the frames that wait for an answer: send them again.
      const asked = [...this.#asked.values()];
      this.#asked.clear();
      asked.forEach((one) => this.#asked.set(this.#carrier.put(one.frame), one));
    }
  }

  #end(failure: DyadError | undefined): void {
    if (this.#over !== undefined) {
      return;
    }
    this.#over = failure ?? new DyadError("closed", "This connection is closed.");
    this.#room = undefined;
    for (const { frame, resolve, reject } of this.#asked.values()) {
      // After the end this participant is in no room, so it has left.
      if (frame.event.case === "leaveRoom") resolve(undefined);
      else reject(this.#over);
    }
    this.#asked.clear();
    this.#events.end(failure);
  }
}
