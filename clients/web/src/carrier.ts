import { create, toBinary } from "@bufbuild/protobuf";

import { DyadError, ended, lost, refused } from "./errors.js";
import { type Frame, FrameSchema, type JoinRoom, JoinRoomSchema } from "./gen/dyad/v1/signaling_pb.js";
import { Link, type Route } from "./link.js";
import { watchNetwork } from "./network.js";
import { Outbox } from "./outbox.js";
import { ReconnectPolicy } from "./reconnect.js";
import { Session } from "./session.js";

/** A seat that can be resumed. */
export interface Seat {
  readonly roomId: string;
  readonly resumeToken: string;
}

/** Is told what a carrier brings. */
export interface Receiver {
  /** The next frame, each once and in order. */
  take(frame: Frame): void;
  /** The link broke; the next one is being made. */
  reconnecting(): void;
  /** It is made; what follows in `take` is of this seat, a new one if not `resumed`. */
  reconnected(roomId: string, join: JoinRoom): void;
  /** Nothing more will come. */
  over(failure: DyadError): void;
  /** Whether a hang-up is on its way. */
  leaving(): boolean;
}

/** Carries a session over one link after another, as long as there is a seat to resume. */
export class Carrier {
  readonly #route: Route;
  readonly #receiver: Receiver;
  readonly #unwatch: () => void;
  readonly #policy: ReconnectPolicy;
  #session = new Session<Frame>();
  #seat: Seat | undefined;
  #closed = false;
  /** Present while there is a connection. */
  #open: { readonly link: Link; readonly outbox: Outbox<Frame> } | undefined;
  /** Ends the pause before the next try. */
  #hurry: (() => void) | undefined;
  /** Ends the try under way. */
  #trying: AbortController | undefined;

  constructor(route: Route, link: Link, receiver: Receiver) {
    this.#route = route;
    this.#receiver = receiver;
    this.#policy = new ReconnectPolicy(route.giveUpAfterMs, route.credentials.renewable);
    this.#unwatch = watchNetwork({
      // If that is true, the heartbeat cannot be sent, and that is noticed.
      went: () => this.#open?.outbox.beat(),
      came: () => this.#networkCame(),
    });
    void this.#run(link);
  }

  /** Sends a frame as soon as may be; its number. */
  put(frame: Frame): bigint {
    const seq = this.#session.put(frame, sizeOf(frame));
    this.#open?.outbox.wake();
    return seq;
  }

  /** From now on a seat is asked for, or taken, or given up. */
  sit(seat: Seat | "soon" | undefined): void {
    this.#seat = seat === "soon" ? this.#seat : seat;
    this.#session.keep(seat !== undefined);
  }

  /** Ends it; `last` still goes out, if there is a connection. */
  close(last?: Frame): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#unwatch();
    this.#hurry?.();
    this.#trying?.abort();
    if (this.#open === undefined) {
      return;
    }
    const { link, outbox } = this.#open;
    outbox.close();
    if (last === undefined) {
      link.close();
      return;
    }
    this.#session.put(last, sizeOf(last));
    // A Send may be under way, and this one overtake it: what it has goes again.
    this.#session.rewind(0n);
    void link.sendLast(this.#session.take());
  }

  async #run(first: Link): Promise<void> {
    try {
      for (let link = first; ; ) {
        link = await this.#reconnect(await this.#carry(link));
      }
    } catch (reason) {
      this.close();
      this.#receiver.over(ended(reason));
    }
  }

  /** Resolves to what ended the link. */
  async #carry(link: Link): Promise<DyadError> {
    const outbox = new Outbox<Frame>({
      take: () => this.#take(),
      send: (frames) => link.send(frames),
      failed: (reason) => link.sendFailed(ended(reason)),
    });
    this.#open = { link, outbox };
    outbox.wake();
    try {
      for (;;) {
        const frames = await link.receive();
        // Answering is what shows that this side lives: in a background tab
        // timers are throttled, and what the network brings is not.
        if (frames.length === 0) {
          outbox.beat();
        }
        frames.forEach((frame) => this.#takeIn(frame));
        outbox.wake();
      }
    } catch (reason) {
      return ended(reason);
    } finally {
      this.#open = undefined;
      outbox.close();
      link.close();
    }
  }

  #take(): Frame[] {
    const frames = this.#session.take();
    return frames.length === 0 && this.#session.ackDue
      ? [create(FrameSchema, { ack: this.#session.ack() })]
      : frames;
  }

  #takeIn(frame: Frame): void {
    this.#session.acknowledged(frame.ack);
    const arrival = this.#session.arrive(frame.seq, sizeOf(frame));
    if (arrival === "gap") {
      throw new DyadError("protocol", "Something that the server sent is missing.", true);
    }
    if (arrival === "new") {
      this.#receiver.take(frame);
    }
  }

  #networkCame(): void {
    this.#hurry?.();
    this.#trying?.abort();
    if (this.#seat === undefined) {
      this.#open?.outbox.beat();
    } else {
      // What was open leads through a network that was left, as a rule.
      this.#open?.link.fail(lost());
    }
  }

  /** The next link, ready to carry on; throws what ends the session. */
  async #reconnect(cause: DyadError): Promise<Link> {
    const policy = this.#policy;
    const resumable = this.#seat !== undefined && !this.#closed;
    const broken = { resumable, progress: this.#session.progress };
    let step = policy.broke(cause, broken, performance.now());
    if (step.kind !== "end") {
      this.#receiver.reconnecting();
    }
    while (step.kind !== "end") {
      await this.#pause(step.afterMs);
      try {
        const link = await this.#try(step.kind);
        policy.connected(performance.now());
        return link;
      } catch (reason) {
        if (this.#closed) throw reason;
        step = policy.failed(ended(reason), this.#receiver.leaving(), performance.now());
      }
    }
    throw step.failure;
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#hurry = undefined;
  }

  async #try(kind: "resume" | "rejoin"): Promise<Link> {
    if (this.#closed || this.#seat === undefined) throw lost();
    const abort = new AbortController();
    this.#trying = abort;
    try {
      const link = await Link.open(this.#route, abort);
      await (kind === "resume" ? this.#resume(link, this.#seat) : this.#rejoin(link, this.#seat));
      return link;
    } catch (reason) {
      abort.abort();
      throw reason;
    } finally {
      this.#trying = undefined;
    }
  }

  async #resume(link: Link, { roomId, resumeToken }: Seat): Promise<void> {
    const asked = joining(roomId, resumeToken);
    asked.ack = this.#session.takenIn;
    const [answer, rest] = await answerTo(link, [asked]);
    const join = joinOf(answer);
    if (!join.resumed || !this.#session.rewind(answer.ack)) {
      throw new DyadError("aborted", "The two ends are no longer in step.");
    }
    this.#back(roomId, join, rest);
  }

  async #rejoin(link: Link, { roomId }: Seat): Promise<void> {
    const session = new Session<Frame>();
    session.keep(true);
    const asked = joining(roomId);
    session.put(asked, sizeOf(asked));
    const [answer, rest] = await answerTo(link, session.take());
    const join = joinOf(answer);
    session.arrive(answer.seq, sizeOf(answer));
    session.acknowledged(answer.ack);
    // Only now: what is said while the seat is lost is of the call that was.
    this.#session = session;
    this.#back(roomId, join, rest);
  }

  #back(roomId: string, join: JoinRoom, rest: Frame[]): void {
    const { resumeToken } = join;
    this.sit(resumeToken === "" ? undefined : { roomId, resumeToken });
    this.#receiver.reconnected(roomId, join);
    rest.forEach((frame) => this.#takeIn(frame));
  }
}

function joining(roomId: string, resumeToken = ""): Frame {
  const value = create(JoinRoomSchema, { resumable: true, resumeToken });
  return create(FrameSchema, { roomId, event: { case: "joinRoom", value } });
}

/** The first frame that comes after these have gone, and those that came with it. */
async function answerTo(link: Link, frames: Frame[]): Promise<[Frame, Frame[]]> {
  await link.send(frames);
  for (;;) {
    const [answer, ...rest] = await link.receive();
    if (answer !== undefined) {
      return [answer, rest];
    }
  }
}

function joinOf({ event }: Frame): JoinRoom {
  if (event.case === "joinRoom") {
    return event.value;
  }
  throw event.case === "error"
    ? refused(event.value)
    : new DyadError("protocol", "The server answered something else than was asked.");
}

function sizeOf(frame: Frame): number {
  return toBinary(FrameSchema, frame).length;
}
