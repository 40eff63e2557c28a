import type { Amount } from "./session.js";

/** What one user may send to the server: the server's settings of the same names. */
export interface Limits {
  /** `--max-frame-bytes`. The default is 65,536. */
  readonly maxFrameBytes: number;
  /** `--max-frames-per-second`, averaged over 5 s. The default is 100. */
  readonly maxFramesPerSecond: number;
  /** `--max-bytes-per-second`, averaged over 5 s. The default is 32,768. */
  readonly maxBytesPerSecond: number;
}

export const SERVERS_DEFAULTS: Limits = {
  maxFrameBytes: 65_536,
  maxFramesPerSecond: 100,
  maxBytesPerSecond: 32_768,
};

// The server accepts 5 s of a rate at once. Here it is less than half: a Send that the network
// delays may arrive just before as much again. With the defaults it is more than one frame has.
const BURST_SECONDS = 2.4;

// Less than the server allows: the two clocks differ, and the network bunches messages.
const SHARE = 0.9;

/** A token bucket that may be overdrawn, by what cannot wait. */
class Bucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #level: number;
  #then: number;

  constructor(rate: number, now: number) {
    this.#perSecond = rate * SHARE;
    this.#burst = rate * BURST_SECONDS;
    this.#level = this.#burst;
    this.#then = now;
  }

  level(now: number): number {
    const seconds = Math.max(now - this.#then, 0) / 1000;
    this.#level = Math.min(this.#level + seconds * this.#perSecond, this.#burst);
    this.#then = now;
    return this.#level;
  }

  spend(amount: number, now: number): void {
    this.#level = this.level(now) - amount;
  }

  /** Milliseconds until `amount` is there. More than the bucket holds needs a full bucket. */
  wait(amount: number, now: number): number {
    const missing = Math.min(amount, this.#burst) - this.level(now);
    return missing <= 0 ? 0 : Math.ceil((missing / this.#perSecond) * 1000);
  }
}

/**
 * Says when the next message may be sent, so that the server's limits are kept.
 *
 * It is a state machine without I/O. `now` is in milliseconds, of any clock.
 */
export class Pace {
  readonly #frames: Bucket;
  readonly #bytes: Bucket;

  constructor({ maxFramesPerSecond, maxBytesPerSecond }: Limits, now: number) {
    this.#frames = new Bucket(maxFramesPerSecond, now);
    this.#bytes = new Bucket(maxBytesPerSecond, now);
  }

  /** The most that may be sent now. */
  allowance(now: number): Amount {
    return { frames: Math.floor(this.#frames.level(now)), bytes: this.#bytes.level(now) };
  }

  /** Counts a message that is sent. Each counts as at least one frame. */
  spend({ frames, bytes }: Amount, now: number): void {
    this.#frames.spend(Math.max(frames, 1), now);
    this.#bytes.spend(bytes, now);
  }

  /** Milliseconds until so much may be sent. */
  wait({ frames, bytes }: Amount, now: number): number {
    return Math.max(this.#frames.wait(frames, now), this.#bytes.wait(bytes, now));
  }
}
