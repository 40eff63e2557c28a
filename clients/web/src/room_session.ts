import { Carrier } from "./carrier.js";
import { DyadError, refused } from "./errors.js";
import { type ConnectionEvent, type Room, toEvent, toRoom } from "./events.js";
import { frameWith, sizeOf } from "./frames.js";
import { type Frame, type JoinRoom, LeaveRoom_Reason } from "./gen/dyad/v1/signaling.js";
import { joining } from "./joining.js";
import type { Route } from "./route.js";

// For as long as the server reserves a seat, a hang-up is worth delivering.
const HANG_UP_MS = 15_000;

/** Which room to enter, and how. */
export interface Entry {
  /** Empty to create a room. */
  readonly roomId: string;
  readonly resumable: boolean;
}

/** The owner of a session, which is told what happens in it. It may call the session meanwhile. */
export interface Observer {
  /** The server's answer to the join: the session is in this room. */
  entered(room: Room): void;
  /** Something happened in the room. */
  event(event: ConnectionEvent): void;
  /** The connection broke, and this is the number of the next try. */
  reconnecting(attempt: number, cause: DyadError): void;
  /** The connection is back. The `reconnected` event follows. */
  connected(): void;
  /** The session is over, after a hang-up without a failure. */
  over(failure: DyadError | undefined): void;
}

/** One stay in one room, from the join to the hang-up, over as many connections as it takes. */
export class RoomSession {
  readonly #route: Route;
  readonly #carrier: Carrier;
  readonly #observer: Observer;
  readonly #joinSeq: bigint;
  #leaveSeq: bigint | undefined;
  #room: Room | undefined;
  #leaving = false;
  #dropping = false;
  #over = false;
  #late: ReturnType<typeof setTimeout> | undefined;
  #finish!: () => void;
  /** Resolves when the session is over, however it ended. */
  readonly finished = new Promise<void>((resolve) => (this.#finish = resolve));

  constructor(route: Route, { roomId, resumable }: Entry, observer: Observer) {
    this.#route = route;
    this.#observer = observer;
    this.#carrier = new Carrier(route, roomId, {
      receive: (frame) => this.#receive(frame),
      reconnecting: (attempt, cause) => this.#reconnecting(attempt, cause),
      reconnected: (id, join) => this.#reconnected(id, join),
      over: (failure) => this.#end(this.#leaving ? undefined : failure),
      seated: () => this.#room !== undefined,
      leaving: () => this.#leaving,
    });
    if (resumable) {
      this.#carrier.setSeat("soon");
    }
    this.#joinSeq = this.#carrier.put(joining(roomId, resumable));
    this.#carrier.start();
  }

  get streamId(): string {
    return this.#carrier.streamId;
  }

  /** Present between the server's answer to the join and the hang-up. */
  get room(): Room | undefined {
    return this.#leaving ? undefined : this.#room;
  }

  /** @throws DyadError if the server would not accept a frame as large as this. */
  send(event: Frame["event"]): void {
    const frame = this.#frame(event);
    if (sizeOf(frame) > this.#route.maxFrameBytes) {
      throw new DyadError(
        "too_large",
        `The server accepts at most ${this.#route.maxFrameBytes} bytes in a frame. ` +
          "Nothing was sent, and sending the same again does not help.",
      );
    }
    this.#carrier.put(frame);
  }

  /**
   * Hangs up, and resolves when the server knows, or can no longer be told. With `atOnce` the
   * hang-up goes out even if the page is unloading.
   */
  leave({ atOnce = false } = {}): Promise<void> {
    if (this.#over) {
      return this.finished;
    }
    if (!this.#leaving) {
      this.#leaving = true;
      this.#late = setTimeout(() => this.#end(undefined), HANG_UP_MS);
      if (this.#room === undefined && !this.#carrier.begun) {
        this.#end(undefined);
      } else if (this.#roomId !== "") {
        // It may follow a join under way: the page may be gone before the answer to that.
        this.#putLeave(atOnce);
      }
      // Otherwise leave_room has to name the room in the answer to the join.
    }
    if (atOnce && this.#leaveSeq !== undefined) {
      void this.#carrier.hasten();
    }
    return this.finished;
  }

  /** Ends the session without a hang-up, after what was sent: the server reserves the seat. */
  async drop(): Promise<void> {
    this.#dropping = true;
    if (this.room !== undefined) {
      this.#carrier.discardDelayed();
      await this.#carrier.hasten();
    }
    this.#end(undefined);
  }

  networkChanged(): void {
    this.#carrier.networkChanged();
  }

  get #roomId(): string {
    return this.#room?.roomId ?? this.#carrier.roomId;
  }

  #frame(event: Frame["event"]): Frame {
    return frameWith(this.#roomId, event);
  }

  #putLeave(atOnce: boolean): void {
    const value = { reason: LeaveRoom_Reason.REASON_UNSPECIFIED };
    const frame = this.#frame({ $case: "leaveRoom", value });
    this.#leaveSeq = atOnce ? this.#carrier.putLast(frame) : this.#carrier.put(frame);
  }

  #receive(frame: Frame): void {
    if (this.#over) {
      return;
    }
    if (frame.replyTo !== 0n && frame.replyTo === this.#leaveSeq) {
      this.#end(undefined);
    } else if (this.#room === undefined && frame.replyTo === this.#joinSeq) {
      this.#receiveAnswer(frame);
    } else {
      const event = this.#room && toEvent(frame, this.#room.roomId);
      if (event !== undefined) this.#observer.event(event);
    }
  }

  #receiveAnswer({ roomId, event }: Frame): void {
    if (event?.$case !== "joinRoom") {
      this.#end(
        event?.$case === "error"
          ? refused(event.value)
          : new DyadError("protocol", "The server answered join_room with another event."),
      );
      return;
    }
    const { resumeToken } = event.value;
    const room = toRoom(roomId, event.value);
    this.#room = room;
    this.#carrier.setSeat(resumeToken === "" ? undefined : { roomId, resumeToken });
    if (this.#leaving) {
      if (this.#leaveSeq === undefined) {
        this.#putLeave(true);
        void this.#carrier.hasten();
      }
    } else {
      this.#route.log("info", "Entered the room.");
      this.#observer.entered(room);
    }
  }

  #reconnecting(attempt: number, cause: DyadError): void {
    if (this.#dropping) {
      return this.#end(undefined);
    }
    if (attempt === 1) {
      this.#route.log("warn", `The connection broke: ${cause.code}.`);
    }
    this.#observer.reconnecting(attempt, cause);
    if (attempt === 1 && this.#room !== undefined) {
      this.#observer.event({ type: "reconnecting", roomId: this.#room.roomId });
    }
  }

  #reconnected(roomId: string, join: JoinRoom): void {
    const { resumed } = join;
    const room = toRoom(roomId, join);
    this.#room = room;
    this.#route.log("info", resumed ? "Reconnected, nothing was lost." : "Joined the room again.");
    if (this.#leaving && !resumed) {
      // The new session does not know the frame that hung up.
      this.#putLeave(false);
    }
    this.#observer.connected();
    this.#observer.event({ type: "reconnected", roomId, room, resumed });
  }

  #end(failure: DyadError | undefined): void {
    if (this.#over) {
      return;
    }
    this.#over = true;
    clearTimeout(this.#late);
    this.#carrier.drop();
    this.#finish();
    if (failure !== undefined) {
      this.#route.log("warn", `The session ended: ${failure.code}.`);
    }
    this.#observer.over(failure);
  }
}
