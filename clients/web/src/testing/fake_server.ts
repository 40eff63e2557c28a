import { Error_Code, type Frame, type JoinRoom, SendRequest, SendResponse } from "../gen/dyad/v1/signaling.js";
import { Code, type RpcOptions, type Transport } from "../rpc.js";
import { sizeOf } from "../frames.js";
import { dyadStatus, FakeMember, FakeStream, takenOver } from "./fake_member.js";

const GRACE_MS = 15_000;
const HEARTBEAT_MS = 10_000;

export interface FakeServerOptions {
  /**
   * The user that a token is for, or undefined if the token is to be refused. By default the
   * token is the user's id.
   */
  readonly who?: (token: string) => { readonly userId: string; readonly email?: string } | undefined;
  /** How long a seat is reserved after the connection broke. The default is 15 s. */
  readonly graceMs?: number;
}

/**
 * A server in memory, for an app's tests: `connect("http://fake", "alice", { transport: server.transport })`.
 *
 * It pairs, forwards, numbers, acknowledges and resumes as the real server does, and has none
 * of its limits. Its connections can be cut.
 */
export class FakeServer {
  readonly #who: NonNullable<FakeServerOptions["who"]>;
  readonly #graceMs: number;
  readonly #streams = new Map<string, FakeStream>();
  /** The members with a seat, in at most two per room. */
  readonly #rooms = new Map<string, FakeMember[]>();
  #away = false;

  constructor({ who = (userId) => ({ userId }), graceMs = GRACE_MS }: FakeServerOptions = {}) {
    this.#who = who;
    this.#graceMs = graceMs;
  }

  /** The transport of clients that are to use this server. */
  readonly transport: Transport = {
    unary: async (_method, request, options) => this.#send(SendRequest.decode(request), options),
    stream: (_method, _request, options) => this.#listen(options),
  };

  /** How many clients are connected. */
  get connections(): number {
    return this.#streams.size;
  }

  /** The ids of the rooms, and the users who have a seat in each. */
  get rooms(): ReadonlyMap<string, readonly string[]> {
    return new Map([...this.#rooms].map(([id, members]) => [id, members.map(({ user }) => user.userId)]));
  }

  /** Breaks all connections. The clients reconnect by themselves. */
  cut(): void {
    for (const stream of this.#streams.values()) stream.cut();
  }

  /** Breaks all connections, and refuses new ones until `comeBack`. */
  goAway(): void {
    this.#away = true;
    this.cut();
  }

  comeBack(): void {
    this.#away = false;
  }

  async *#listen({ headers, signal, onHeaders }: RpcOptions): AsyncGenerator<Uint8Array> {
    const user = this.#userOf(headers);
    const stream = new FakeStream(user);
    signal.throwIfAborted();
    onHeaders?.(new Headers({ "dyad-stream-id": stream.logId }));
    const heartbeats = setInterval(() => stream.send([]), HEARTBEAT_MS);
    letExit(heartbeats);
    const close = (): void => {
      clearInterval(heartbeats);
      stream.cut();
      if (this.#streams.delete(stream.id)) this.#broke(stream);
    };
    this.#streams.set(stream.id, stream);
    // A client that has hung up does not read the end.
    signal.addEventListener("abort", close);
    try {
      yield* stream.responses;
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  #send({ sessionId, frames }: SendRequest, { headers, signal }: RpcOptions): Uint8Array {
    const { userId } = this.#userOf(headers);
    signal.throwIfAborted();
    const stream = this.#streams.get(sessionId);
    if (stream === undefined || stream.user.userId !== userId) {
      throw dyadStatus(Code.NotFound, "There is no such session: open a new one with Listen.");
    }
    for (const frame of frames) this.#receive(stream, frame);
    stream.member.flush();
    return SendResponse.encode({}).finish();
  }

  #userOf(headers: RpcOptions["headers"]): { userId: string; email: string } {
    if (this.#away) {
      throw new TypeError("fetch failed");
    }
    const user = this.#who(headers["authorization"]?.replace("Bearer ", "") ?? "");
    if (user === undefined) {
      throw dyadStatus(Code.Unauthenticated, "The token is not valid.");
    }
    return { email: "", ...user };
  }

  #receive(stream: FakeStream, frame: Frame): void {
    const { event } = frame;
    if (event?.$case === "joinRoom" && event.value.resumeToken !== "") {
      this.#resume(stream, frame, event.value);
      return;
    }
    const { member } = stream;
    member.session.acknowledged(frame.ack);
    const arrival = member.session.arrive(frame.seq, sizeOf(frame));
    if (arrival === "gap") {
      member.refuse(frame.seq, Error_Code.CODE_INVALID_FRAME, "A frame is missing before this one.");
    } else if (arrival === "new" && event !== undefined) {
      this.#act(member, frame, event);
    }
  }

  #act(member: FakeMember, frame: Frame, event: NonNullable<Frame["event"]>): void {
    const { roomId, seq } = frame;
    if (event.$case === "joinRoom") {
      this.#join(member, roomId, seq, event.value.resumable);
    } else if (member.roomId === "" || roomId !== member.roomId) {
      member.refuse(seq, Error_Code.CODE_NOT_IN_ROOM, "You are not in this room.");
    } else if (event.$case === "leaveRoom") {
      member.tell({ $case: "leaveRoom", value: { reason: 0 } }, { replyTo: seq });
      this.#free(member, "left");
    } else {
      const peer = this.#peerOf(member);
      if (peer === undefined) {
        member.refuse(seq, Error_Code.CODE_PEER_ABSENT, "The peer is not in the room.");
      } else {
        peer.tell(event, { sender: member.user });
      }
    }
  }

  #join(member: FakeMember, wanted: string, replyTo: bigint, resumable: boolean): void {
    const roomId = wanted.toLowerCase() || crypto.randomUUID();
    if (member.roomId !== "") {
      member.refuse(replyTo, Error_Code.CODE_INVALID_FRAME, "You are in a room already: leave it first.");
      return;
    }
    const seated = this.#rooms.get(roomId);
    if (wanted !== "" && seated === undefined) {
      member.refuse(replyTo, Error_Code.CODE_ROOM_NOT_FOUND, "There is no such room.");
      return;
    }
    const before = seated?.find(({ user }) => user.userId === member.user.userId);
    const peer = seated?.find((other) => other !== before);
    if (before === undefined && seated?.length === 2) {
      member.refuse(replyTo, Error_Code.CODE_ROOM_FULL, "The room has two participants already.");
      return;
    }
    if (before !== undefined) this.#replace(before, peer);
    member.roomId = roomId;
    member.resumable = resumable && this.#graceMs > 0;
    member.polite = before?.polite ?? (peer !== undefined && !peer.polite);
    this.#rooms.set(roomId, peer === undefined ? [member] : [peer, member]);
    member.seat(peer, { replyTo });
    peer?.peerJoined(member);
  }

  /** The same user enters the room again, and takes its own seat over. */
  #replace(before: FakeMember, peer: FakeMember | undefined): void {
    clearTimeout(before.grace);
    before.roomId = "";
    before.stream?.responses.end(takenOver());
    peer?.peerLeft(before, "replaced");
  }

  #resume(stream: FakeStream, { roomId, ack }: Frame, { resumeToken }: JoinRoom): void {
    const seated = this.#rooms.get(roomId) ?? [];
    const own = seated.find(({ user }) => user.userId === stream.user.userId);
    if (own === undefined) {
      stream.end(Code.Aborted, "The seat is no longer reserved: join again.");
    } else if (own.resumeToken !== resumeToken) {
      stream.responses.end(takenOver());
    } else {
      clearTimeout(own.grace);
      const old = own.stream;
      own.stream = stream;
      stream.member = own;
      old?.responses.end(takenOver());
      own.session.rewind(ack);
      own.seat(this.#peerOf(own), { resumed: true });
    }
  }

  /** The network connection of a stream is gone. */
  #broke(stream: FakeStream): void {
    const { member } = stream;
    if (member.stream !== stream) {
      return;
    }
    member.stream = undefined;
    if (member.roomId !== "" && member.resumable) {
      member.grace = setTimeout(() => this.#free(member, "disconnected"), this.#graceMs);
      letExit(member.grace);
    } else if (member.roomId !== "") {
      this.#free(member, "disconnected");
    }
  }

  #free(member: FakeMember, reason: "left" | "disconnected"): void {
    const peer = this.#peerOf(member);
    if (peer === undefined) {
      this.#rooms.delete(member.roomId);
    } else {
      this.#rooms.set(member.roomId, [peer]);
      peer.peerLeft(member, reason);
    }
    member.roomId = "";
  }

  #peerOf(member: FakeMember): FakeMember | undefined {
    return this.#rooms.get(member.roomId)?.find((other) => other !== member);
  }
}

/** A timer of the fake keeps no Node process alive. */
function letExit(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}
