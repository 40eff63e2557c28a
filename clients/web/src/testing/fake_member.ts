import { EventQueue } from "../event_queue.js";
import type { LeaveReason } from "../events.js";
import { frameWith, sizeOf } from "../frames.js";
import {
  Error_Code,
  type Frame,
  LeaveRoom_Reason,
  ListenResponse,
  type Participant,
} from "../gen/dyad/v1/signaling.js";
import { Code, RpcError } from "../rpc.js";
import { Session } from "../session.js";

const MOST_UNREAD = 10_000;

const REASONS = {
  left: LeaveRoom_Reason.REASON_LEFT,
  disconnected: LeaveRoom_Reason.REASON_DISCONNECTED,
  replaced: LeaveRoom_Reason.REASON_REPLACED,
} as const;

/** One open Listen. */
export class FakeStream {
  readonly id = crypto.randomUUID();
  /** As in the server's log. */
  readonly logId = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
  readonly responses = new EventQueue<Uint8Array>(MOST_UNREAD);
  member: FakeMember;

  constructor(readonly user: Participant) {
    this.member = new FakeMember(user, this);
    this.send([], this.id);
  }

  send(frames: Frame[], sessionId = ""): void {
    this.responses.put(ListenResponse.encode({ sessionId, frames }).finish());
  }

  /** Ends as a network connection breaks. */
  cut(): void {
    this.responses.end(new TypeError("network error"));
  }

  /** Ends with a status of Dyad's. */
  end(code: number, sentence: string, retryAfterMs?: number): void {
    this.responses.end(dyadStatus(code, sentence, retryAfterMs));
  }
}

/** A participant: a session, which may outlive its stream, and perhaps a seat. */
export class FakeMember {
  readonly session = new Session<Frame>();
  roomId = "";
  polite = false;
  resumable = false;
  /** Gives the seat back after the connection broke. Empty if the seat is not reserved. */
  resumeToken = "";
  grace: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly user: Participant,
    /** Undefined while the seat is reserved. */
    public stream: FakeStream | undefined,
  ) {
    this.session.keep(true);
  }

  tell(event: Frame["event"], fields: Partial<Frame> = {}): void {
    const frame = { ...frameWith(this.roomId, event), ...fields };
    this.session.put(frame, sizeOf(frame));
    this.flush();
  }

  refuse(replyTo: bigint, code: Error_Code, message: string): void {
    this.tell({ $case: "error", value: { code, message } }, { replyTo });
  }

  /** Answers a join_room, perhaps one that resumes. */
  seat(peer: FakeMember | undefined, { replyTo = 0n, resumed = false }): void {
    this.resumeToken = this.resumable ? crypto.randomUUID() : "";
    const { polite, resumeToken } = this;
    const value = { resumable: false, resumeToken, peer: peer?.user, polite, resumed };
    const event = { $case: "joinRoom", value } as const;
    if (resumed) {
      this.stream?.send([{ ...frameWith(this.roomId, event), ack: this.session.received }]);
      this.flush();
    } else {
      this.tell(event, { replyTo });
    }
  }

  peerJoined({ user: sender }: FakeMember): void {
    const value = { resumable: false, resumeToken: "", peer: undefined, polite: false, resumed: false };
    this.tell({ $case: "joinRoom", value }, { sender });
  }

  peerLeft({ user: sender }: FakeMember, reason: Exclude<LeaveReason, "unspecified">): void {
    this.tell({ $case: "leaveRoom", value: { reason: REASONS[reason] } }, { sender });
  }

  flush(): void {
    const frames = this.stream === undefined ? [] : this.session.take();
    if (frames.length > 0) {
      this.stream?.send(frames);
    } else if (this.session.ackDue) {
      this.stream?.send([{ ...frameWith(""), ack: this.session.ack() }]);
    }
  }
}

/** What a stream or a request ends with. */
export function dyadStatus(code: number, sentence: string, retryAfterMs?: number): RpcError {
  const trailers = new Headers({ "dyad-status": `${code}` });
  if (retryAfterMs !== undefined) trailers.set("retry-after-ms", `${retryAfterMs}`);
  return new RpcError(code, sentence, trailers);
}

/** Another connection of the same user has the seat. */
export function takenOver(): RpcError {
  return dyadStatus(Code.Aborted, "The same user joined this room from another connection.", -1);
}
