import { cut, DyadError, ended, lost, unusable } from "./errors.js";
import { frameWith, sizeOf } from "./frames.js";
import type { Frame, JoinRoom } from "./gen/dyad/v1/signaling.js";
import { rejoin, resume } from "./joining.js";
import { Link } from "./link.js";
import { watchNetwork } from "./network.js";
import { Outbox } from "./outbox.js";
import { ReconnectPolicy } from "./reconnect.js";
import type { Route, Seat } from "./route.js";
import { RpcError } from "./rpc.js";
import { Session } from "./session.js";

// Browsers send 64 KiB in all requests that outlive a page, headers included.
const FAREWELL_BYTES = 48 * 1024;

// What a message has besides its frames: the session's id.
const MESSAGE_BYTES = 64;

/** The owner of a carrier, which the carrier reports to. It may call the carrier meanwhile. */
export interface Receiver {
  /** Called with each frame, once and in order. */
  receive(frame: Frame): void;
  /** The connection broke, and this is the number of the next try to reconnect. */
  reconnecting(attempt: number, cause: DyadError): void;
  /** The next link is open. Later frames belong to this seat, a new one unless `resumed`. */
  reconnected(roomId: string, join: JoinRoom): void;
  /** The session is over: nothing more will be received. Not called after `drop`. */
  over(failure: DyadError): void;
  /** Whether there is a room. Until then, each error is told at once. */
  seated(): boolean;
  /** Whether the app has hung up. */
  leaving(): boolean;
}

/** A link that was opened, and what to do once it is the current one. */
interface Opened {
  readonly link: Link;
  readonly proceed?: () => void;
}

/** Carries a session over one link after another while there is a seat to resume. */
export class Carrier {
  readonly #route: Route;
  readonly #roomId: string;
  readonly #receiver: Receiver;
  readonly #policy: ReconnectPolicy;
  #unwatch: () => void = () => undefined;
  #session = new Session<Frame>();
  #seat: Seat | undefined;
  #streamId = "";
  #dropped = false;
  /** Present while a link is open. */
  #open: { readonly link: Link; readonly outbox: Outbox<Frame> } | undefined;
  /** Ends the pause before the next try. */
  #endPause: (() => void) | undefined;
  /** Ends the try under way. */
  #trying: AbortController | undefined;

  /** Carries a session that enters the room `roomId`, or if that is empty creates one. */
  constructor(route: Route, roomId: string, receiver: Receiver) {
    this.#route = route;
    this.#roomId = roomId;
    this.#receiver = receiver;
    this.#policy = new ReconnectPolicy(route.giveUpAfterMs, route.credentials.renewable);
  }

  /** Opens the first link, on which the frames that were put so far go out. */
  start(): void {
    this.#unwatch = watchNetwork({
      // If the browser is right, this fails and ends the link.
      offline: () => this.#open?.outbox.sendHeartbeat(),
      changed: () => this.networkChanged(),
    });
    void this.#run();
  }

  /** Whether the server may have received a frame. */
  get begun(): boolean {
    return this.#session.begun;
  }

  /** The name of the latest stream in the server's log. Empty before the first. */
  get streamId(): string {
    return this.#streamId;
  }

  /** The room that the join under way is for. Empty if the server makes it. */
  get roomId(): string {
    return this.#open?.link.roomId.toLowerCase() ?? "";
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

  /** Puts the frame that hangs up. Frames that would delay it are dropped. Returns its number. */
  putLast(frame: Frame): bigint {
    this.discardDelayed();
    return this.#session.put(frame, sizeOf(frame));
  }

  /** Drops the frames that wait, if the server's limits do not allow to send them at once. */
  discardDelayed(): void {
    const { unconfirmed } = this.#session;
    if (unconfirmed.bytes > FAREWELL_BYTES || this.#route.pace.wait(unconfirmed, performance.now()) > 0) {
      this.#session.discardUnsent();
    }
  }

  /**
   * Sends what waits now, even if the page is unloading. Nothing but heartbeats may follow.
   * Without a link it goes out after reconnecting. Resolves when the server has it, or the link
   * is over.
   */
  async hasten(): Promise<void> {
    const { frames: count, bytes } = this.#session.unconfirmed;
    if (this.#open === undefined || count === 0) {
      return;
    }
    const { link, outbox } = this.#open;
    outbox.close();
    const frames = this.#session.takeUnconfirmed();
    this.#route.pace.spend({ frames: count, bytes: bytes + MESSAGE_BYTES }, performance.now());
    try {
      await (bytes > FAREWELL_BYTES ? link.send(frames) : link.sendLast(frames));
    } catch (reason) {
      link.sendFailed(this.#explain(reason));
    }
  }

  /** Reconnects now: the open link usually belongs to the network that is gone. */
  networkChanged(): void {
    this.#policy.networkChanged(performance.now());
    this.#endPause?.();
    if (this.#seat === undefined) {
      this.#open?.outbox.sendHeartbeat();
    } else {
      this.#trying?.abort();
      this.#open?.link.fail(lost());
    }
  }

  /** Ends the session without a word. */
  drop(): void {
    this.#dropped = true;
    this.#unwatch();
    this.#endPause?.();
    this.#trying?.abort();
    this.#open?.outbox.close();
    this.#open?.link.close();
  }

  async #run(): Promise<void> {
    try {
      for (let next = await this.#first(); ; ) {
        next = await this.#reconnect(this.#explain(await this.#carry(next)));
      }
    } catch (reason) {
      if (!this.#dropped) {
        this.drop();
        this.#receiver.over(this.#explain(reason));
      }
    }
  }

  async #first(): Promise<Opened> {
    const abort = new AbortController();
    this.#trying = abort;
    try {
      return { link: await Link.open(this.#route, this.#roomId, abort) };
    } catch (reason) {
      const failure = ended(reason);
      if (failure.code !== "lost" || this.#dropped) throw failure;
      throw reason instanceof RpcError ? unusable(reason) : await this.#route.whyUnreachable(failure);
    } finally {
      this.#trying = undefined;
    }
  }

  /** Carries the session over one link. Resolves to what ended the link. */
  async #carry({ link, proceed }: Opened): Promise<unknown> {
    const outbox = new Outbox<Frame>({
      take: () => this.#take(),
      wait: () => this.#wait(),
      send: (frames) => this.#send(link, frames),
      failed: (reason) => link.sendFailed(this.#explain(reason)),
    });
    // Before anything is told: the app may send, leave or close meanwhile.
    this.#open = { link, outbox };
    this.#streamId = link.streamId;
    try {
      if (this.#dropped) throw lost();
      proceed?.();
      outbox.wake();
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
      return reason;
    } finally {
      this.#open = undefined;
      outbox.close();
      link.close();
    }
  }

  #take(): Frame[] {
    const session = this.#session;
    const frames = this.#wait() === 0 ? session.take(this.#route.pace.allowance(performance.now())) : [];
    return frames.length === 0 && session.ackDue ? [{ ...frameWith(""), ack: session.ack() }] : frames;
  }

  /** Milliseconds until the next frame may be sent. Undefined if time alone changes nothing. */
  #wait(): number | undefined {
    const bytes = this.#session.nextSize;
    return bytes === undefined ? undefined : this.#route.pace.wait({ frames: 1, bytes }, performance.now());
  }

  async #send(link: Link, frames: Frame[]): Promise<void> {
    const session = this.#session;
    const bytes = frames.reduce((sum, frame) => sum + sizeOf(frame), MESSAGE_BYTES);
    this.#route.pace.spend({ frames: frames.length, bytes }, performance.now());
    await link.send(frames);
    session.confirm(frames.at(-1)?.seq ?? 0n);
  }

  #receive(frame: Frame): void {
    this.#session.acknowledged(frame.ack);
    const arrival = this.#session.arrive(frame.seq, sizeOf(frame));
    if (arrival === "gap") {
      throw new DyadError("protocol", "A frame from the server is missing.", { retryable: true });
    }
    if (arrival === "new") {
      this.#receiver.receive(frame);
    }
  }

  #explain(reason: unknown): DyadError {
    return this.#receiver.seated() ? cut(reason) : ended(reason);
  }

  /** Opens the next link, on which the session continues. Throws if the session is over. */
  async #reconnect(cause: DyadError): Promise<Opened> {
    const policy = this.#policy;
    const resumable = this.#seat !== undefined && !this.#dropped;
    const broken = { resumable, progress: this.#session.progress };
    let step = policy.broke(cause, broken, performance.now());
    let failure = cause;
    for (let attempt = 1; step.kind !== "end"; attempt += 1) {
      this.#route.log("info", `Try ${attempt} to reconnect, in ${Math.round(step.afterMs)} ms: ${failure.code}.`);
      this.#receiver.reconnecting(attempt, failure);
      await this.#pause(step.afterMs);
      try {
        const opened = await this.#try(step.kind);
        policy.connected(performance.now());
        return opened;
      } catch (reason) {
        if (this.#dropped) throw reason;
        failure = this.#explain(reason);
        step = policy.failed(failure, this.#receiver.leaving(), performance.now());
      }
    }
    throw step.failure;
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#dropped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = undefined;
  }

  async #try(kind: "resume" | "rejoin"): Promise<Opened> {
    const seat = this.#seat;
    if (this.#dropped || seat === undefined) throw lost();
    const abort = new AbortController();
    this.#trying = abort;
    try {
      const link = await Link.open(this.#route, seat.roomId, abort);
      const { session, join, rest } = await (kind === "resume"
        ? resume(link, seat, this.#session)
        : rejoin(link, seat.roomId));
      const proceed = (): void => {
        this.#session = session;
        const { resumeToken } = join;
        this.setSeat(resumeToken === "" ? undefined : { roomId: seat.roomId, resumeToken });
        this.#receiver.reconnected(seat.roomId, join);
        rest.forEach((frame) => this.#receive(frame));
      };
      return { link, proceed };
    } catch (reason) {
      abort.abort();
      throw reason;
    } finally {
      this.#trying = undefined;
    }
  }
}
