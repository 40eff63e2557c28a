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

/** The owner of a carrier, which the carrier reports to. */
export interface Receiver {
  /** Called with each frame, once and in order. */
  receive(frame: Frame): void;
  /** The link broke, and the carrier opens the next one. */
  reconnecting(): void;
  /** The next link is open. Later frames belong to this seat, a new one unless `resumed`. */
  reconnected(roomId: string, join: JoinRoom): void;
  /** The session is over: nothing more will be received. */
  over(failure: DyadError): void;
  /** Whether a hang-up waits for its answer. */
  leaving(): boolean;
}

/** Carries a session over one link after another while there is a seat to resume. */
export class Carrier {
  readonly #route: Route;
  readonly #receiver: Receiver;
  readonly #unwatch: () => void;
  readonly #policy: ReconnectPolicy;
  #session = new Session<Frame>();
  #seat: Seat | undefined;
  #closed = false;
  /** Present while a link is open. */
  #open: { readonly link: Link; readonly outbox: Outbox<Frame> } | undefined;
  /** Ends the pause before the next try. */
  #endPause: (() => void) | undefined;
  /** Ends the try under way. */
  #trying: AbortController | undefined;

  constructor(route: Route, link: Link, receiver: Receiver) {
    this.#route = route;
    this.#receiver = receiver;
    this.#policy = new ReconnectPolicy(route.giveUpAfterMs, route.credentials.renewable);
    this.#unwatch = watchNetwork({
      // If the browser is right, this fails and ends the link.
      offline: () => this.#open?.outbox.sendHeartbeat(),
      online: () => this.#networkIsBack(),
    });
    void this.#run(link);
  }

  /** Sends a frame as soon as possible. Returns its number. */
  put(frame: Frame): bigint {
    const seq = this.#session.put(frame, sizeOf(frame));
    this.#open?.outbox.wake();
    return seq;
  }

  /** Sets the seat to resume. "soon": a join has asked for one; undefined: there is none. */
  setSeat(seat: Seat | "soon" | undefined): void {
    this.#seat = seat === "soon" ? this.#seat : seat;
    this.#session.keep(seat !== undefined);
  }

  /** Ends the session. `last` is still sent if a link is open. */
  close(last?: Frame): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#unwatch();
    this.#endPause?.();
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
    // The last Send may overtake one that is under way, so it repeats the frames of that.
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

  /** Carries the session over one link. Resolves to the error that ended the link. */
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
        // Answer heartbeats instead of sending by a timer: browsers throttle the timers
        // of a background tab, but not what arrives from the network.
        if (frames.length === 0) {
          outbox.sendHeartbeat();
        }
        frames.forEach((frame) => this.#receive(frame));
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

  #receive(frame: Frame): void {
    this.#session.acknowledged(frame.ack);
    const arrival = this.#session.arrive(frame.seq, sizeOf(frame));
    if (arrival === "gap") {
      throw new DyadError("protocol", "A frame from the server is missing.", true);
    }
    if (arrival === "new") {
      this.#receiver.receive(frame);
    }
  }

  #networkIsBack(): void {
    this.#endPause?.();
    this.#trying?.abort();
    if (this.#seat === undefined) {
      this.#open?.outbox.sendHeartbeat();
    } else {
      // The open link usually belongs to the network that is gone.
      this.#open?.link.fail(lost());
    }
  }

  /** Opens the next link, on which the session continues. Throws if the session is over. */
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
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = undefined;
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
    const request = joining(roomId, resumeToken);
    request.ack = this.#session.received;
    const [answer, rest] = await answerTo(link, [request]);
    const join = joinOf(answer);
    if (!join.resumed || !this.#session.rewind(answer.ack)) {
      throw new DyadError("aborted", "The server did not resume the seat.");
    }
    this.#reconnected(roomId, join, rest);
  }

  async #rejoin(link: Link, { roomId }: Seat): Promise<void> {
    const session = new Session<Frame>();
    session.keep(true);
    const request = joining(roomId);
    session.put(request, sizeOf(request));
    const [answer, rest] = await answerTo(link, session.take());
    const join = joinOf(answer);
    session.arrive(answer.seq, sizeOf(answer));
    session.acknowledged(answer.ack);
    // Only now: until here, the app's frames belonged to the old session.
    this.#session = session;
    this.#reconnected(roomId, join, rest);
  }

  #reconnected(roomId: string, join: JoinRoom, rest: Frame[]): void {
    const { resumeToken } = join;
    this.setSeat(resumeToken === "" ? undefined : { roomId, resumeToken });
    this.#receiver.reconnected(roomId, join);
    rest.forEach((frame) => this.#receive(frame));
  }
}

function joining(roomId: string, resumeToken = ""): Frame {
  const value = create(JoinRoomSchema, { resumable: true, resumeToken });
  return create(FrameSchema, { roomId, event: { case: "joinRoom", value } });
}

/** Sends frames. Resolves to the first frame received, and those in the same message. */
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
    : new DyadError("protocol", "The server answered join_room with another event.");
}

function sizeOf(frame: Frame): number {
  return toBinary(FrameSchema, frame).length;
}
