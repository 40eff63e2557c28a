import { create } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { Credentials, type Token } from "./credentials.js";
import { DyadError, ended, lost, refused, unreachable } from "./errors.js";
import { EventQueue } from "./event_queue.js";
import { type ConnectionEvent, type Participant, toEvent, toParticipant, toWire } from "./events.js";
import {
  type Frame,
  FrameSchema,
  JoinRoomSchema,
  LeaveRoomSchema,
  type ListenResponse,
  SessionDescriptionSchema,
  Signaling,
} from "./gen/dyad/v1/signaling_pb.js";
import { Outbox } from "./outbox.js";
import type { PeerSignaling } from "./peer.js";

// The server beats every 10 s and gives a silent session 25 s; this side holds
// it to the same.
const IDLE_MS = 10_000;
const LEASE_MS = 25_000;

// When a Send fails because the session has ended, Listen is about to say why.
const REASON_MS = 1_000;

/** Where this participant sits. */
export interface Room {
  readonly roomId: string;
  /** The role in the W3C's "perfect negotiation". */
  readonly polite: boolean;
  /** Who was there already; undefined: nobody was. */
  readonly peer: Participant | undefined;
}

export interface ConnectOptions {
  /** Instead of grpc-web over the browser's own fetch. */
  readonly transport?: Transport;
}

/**
 * Opens a session.
 *
 * @param baseUrl where the server's grpc-web face is, such as `location.origin`.
 * @param token the app's JWT; a function is asked again when one has expired.
 * @throws DyadError when there is no session to be had.
 */
export async function connect(
  baseUrl: string,
  token: Token,
  options: ConnectOptions = {},
): Promise<Connection> {
  const transport = options.transport ?? createGrpcWebTransport({ baseUrl });
  const client = createClient(Signaling, transport);
  const credentials = new Credentials(token);
  const listening = await listen(client, credentials);
  return new Connection(client, credentials, listening);
}

/** An open Listen, its first response read. */
interface Listening {
  readonly sessionId: string;
  readonly responses: AsyncIterator<ListenResponse>;
  readonly abort: AbortController;
}

// Coming back after a loss is another Listen whose first frame resumes the
// seat: it starts here.
async function listen(client: Client<typeof Signaling>, credentials: Credentials): Promise<Listening> {
  const abort = new AbortController();
  const patience = setTimeout(() => abort.abort(), LEASE_MS);
  try {
    return await credentials.call(async (headers) => {
      const responses = client.listen({}, { headers, signal: abort.signal })[Symbol.asyncIterator]();
      const first = await responses.next();
      if (first.done === true || first.value.sessionId === "") {
        throw new DyadError("protocol", "The server opened no session.");
      }
      return { sessionId: first.value.sessionId, responses, abort };
    });
  } catch (reason) {
    const failure = ended(reason);
    throw failure.code === "lost" ? unreachable() : failure;
  } finally {
    clearTimeout(patience);
  }
}

interface Asked {
  readonly resolve: (room: Room | undefined) => void;
  readonly reject: (error: DyadError) => void;
}

/**
 * A session with the server: ask for a room, say things, iterate over what happens.
 *
 * The iteration ends after `close()`, and throws a DyadError when the call was
 * ended by anything else. There is one stream of events, so iterate once.
 */
export class Connection implements AsyncIterable<ConnectionEvent>, PeerSignaling {
  readonly #listening: Listening;
  readonly #outbox: Outbox;
  readonly #events = new EventQueue<ConnectionEvent>();
  readonly #asked = new Map<bigint, Asked>();
  #takenIn = 0n;
  #room: Room | undefined;
  #over: DyadError | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #afterwards: ReturnType<typeof setTimeout> | undefined;

  /** Use `connect`. */
  constructor(client: Client<typeof Signaling>, credentials: Credentials, listening: Listening) {
    this.#listening = listening;
    this.#outbox = new Outbox({
      send: async (frames) => {
        const request = { sessionId: listening.sessionId, frames };
        await credentials.call((headers) => client.send(request, { headers }));
      },
      takenIn: () => this.#takenIn,
      failed: (reason) => this.#sendFailed(ended(reason)),
      idleMs: IDLE_MS,
    });
    void this.#read();
  }

  /** Where this participant sits: known before any event from that room is. */
  get room(): Room | undefined {
    return this.#room;
  }

  /** Creates a room; with a token that names one, enters that. */
  async create(): Promise<Room> {
    return this.#enter("");
  }

  /** Joins the room that somebody created. */
  async join(roomId: string): Promise<Room> {
    return this.#enter(roomId);
  }

  /** Hangs up; the connection stays and may enter another room. */
  async leave(): Promise<void> {
    await this.#ask(this.#room?.roomId ?? "", { case: "leaveRoom", value: create(LeaveRoomSchema) });
  }

  /** Sends the peer an offer. Throws a DyadError when there is no connection. */
  sendOffer(sdp: string): void {
    this.#put({ case: "offer", value: create(SessionDescriptionSchema, { sdp }) });
  }

  /** Sends the peer an answer. Throws a DyadError when there is no connection. */
  sendAnswer(sdp: string): void {
    this.#put({ case: "answer", value: create(SessionDescriptionSchema, { sdp }) });
  }

  /**
   * Sends the peer a candidate; null says that no more will follow.
   * Throws a DyadError when there is no connection.
   */
  sendCandidate(candidate: RTCIceCandidateInit | null): void {
    this.#put({ case: "iceCandidate", value: toWire(candidate) });
  }

  /** Ends the session; the seat is free at once. */
  close(): void {
    this.#end(undefined);
  }

  [Symbol.asyncIterator](): AsyncIterator<ConnectionEvent> {
    return this.#events[Symbol.asyncIterator]();
  }

  async #enter(roomId: string): Promise<Room> {
    const room = await this.#ask(roomId, { case: "joinRoom", value: create(JoinRoomSchema) });
    if (room === undefined) {
      throw new DyadError("protocol", "The server did not say which room this is.");
    }
    return room;
  }

  #ask(roomId: string, event: Frame["event"]): Promise<Room | undefined> {
    return new Promise((resolve, reject) => {
      this.#asked.set(this.#put(event, roomId), { resolve, reject });
    });
  }

  #put(event: Frame["event"], roomId = this.#room?.roomId ?? ""): bigint {
    if (this.#over !== undefined) {
      throw this.#over;
    }
    return this.#outbox.put(create(FrameSchema, { roomId, event }));
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        this.#expectMore();
        const response = await this.#listening.responses.next();
        if (response.done === true) {
          throw lost();
        }
        const { sessionId, frames } = response.value;
        // Answering is what shows that this side lives: in a background tab
        // timers are throttled, and what the network brings is not.
        if (frames.length === 0 && sessionId === "") {
          this.#outbox.beat();
        }
        frames.forEach((frame) => this.#takeIn(frame));
      }
    } catch (reason) {
      this.#end(ended(reason));
    }
  }

  #expectMore(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(lost()), LEASE_MS);
  }

  #takeIn(frame: Frame): void {
    if (frame.seq !== 0n) {
      if (frame.seq <= this.#takenIn) {
        return;
      }
      if (frame.seq !== this.#takenIn + 1n) {
        throw new DyadError("protocol", "Something that the server sent is missing.", true);
      }
      this.#takenIn = frame.seq;
    }
    const asked = this.#asked.get(frame.replyTo);
    if (asked !== undefined) {
      this.#asked.delete(frame.replyTo);
      this.#takeReply(frame, asked);
      return;
    }
    const event = toEvent(frame);
    if (event !== undefined) {
      this.#events.put(event);
    }
  }

  #takeReply(frame: Frame, asked: Asked): void {
    const { event } = frame;
    switch (event.case) {
      case "error":
        asked.reject(refused(event.value));
        return;
      case "joinRoom": {
        const { polite, peer } = event.value;
        this.#room = { roomId: frame.roomId, polite, peer: peer && toParticipant(peer) };
        break;
      }
      case "leaveRoom":
        this.#room = undefined;
        break;
    }
    asked.resolve(this.#room);
  }

  #sendFailed(failure: DyadError): void {
    if (failure.code === "session_not_found") {
      this.#afterwards = setTimeout(() => this.#end(failure), REASON_MS);
    } else {
      this.#end(failure);
    }
  }

  #end(failure: DyadError | undefined): void {
    if (this.#over !== undefined) {
      return;
    }
    this.#over = failure ?? new DyadError("closed", "This connection is closed.");
    this.#room = undefined;
    clearTimeout(this.#silence);
    clearTimeout(this.#afterwards);
    this.#outbox.close();
    this.#listening.abort.abort();
    for (const { reject } of this.#asked.values()) {
      reject(this.#over);
    }
    this.#asked.clear();
    this.#events.end(failure);
  }
}
