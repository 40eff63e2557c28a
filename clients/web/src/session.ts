// The bounds of docs/protocol.md. An acknowledgement is due at the latest
// after the first two; past the second two, a side waits to be acknowledged.
const ACK_FRAMES = 32n;
const ACK_BYTES = 32 * 1024;
const WINDOW_FRAMES = 256;
const WINDOW_BYTES = 256 * 1024;

// The server takes a larger message, but one that fills a slow uplink delays
// the heartbeat behind it.
const BATCH_BYTES = 200 * 1024;

/** What a session reads and writes of a frame. */
export interface Numbered {
  seq: bigint;
  ack: bigint;
}

export type Arrival = "new" | "duplicate" | "gap";

interface Kept<F> {
  readonly frame: F;
  readonly size: number;
}

/**
 * One participant's numbers in and out, and the frames the server may still lack.
 *
 * Plain state, without I/O: the carrier asks it for the next batch of
 * frames. What goes out comes out of `take` in the order it went into `put`;
 * with `keep`, it is kept until it is acknowledged, and comes out again after
 * a `rewind`.
 */
export class Session<F extends Numbered> {
  #last = 0n;
  #takenIn = 0n;
  /** The first `#written` of these are on their way, the others wait. */
  #kept: Kept<F>[] = [];
  #written = 0;
  #writtenBytes = 0;
  #keeping = false;
  #acknowledged = 0n;
  #unacknowledgedBytes = 0;
  #answerDue = false;

  /** The highest number received from the server. */
  get takenIn(): bigint {
    return this.#takenIn;
  }

  /** Grows with each frame that got through, in either direction. */
  get progress(): bigint {
    return this.#takenIn + this.#last - BigInt(this.#kept.length);
  }

  /** Whether an acknowledgement is due, if need be in a frame that carries nothing else. */
  get ackDue(): boolean {
    return (
      this.#answerDue ||
      (this.#keeping &&
        (this.#takenIn - this.#acknowledged >= ACK_FRAMES || this.#unacknowledgedBytes >= ACK_BYTES))
    );
  }

  /** Whether what goes out is kept until it is acknowledged. */
  keep(keeping: boolean): void {
    this.#keeping = keeping;
    if (!keeping) {
      this.#forgetWritten();
    }
  }

  /** Numbers a frame of `size` bytes for a later `take`; its number. */
  put(frame: F, size: number): bigint {
    this.#last += 1n;
    frame.seq = this.#last;
    this.#kept.push({ frame, size });
    return frame.seq;
  }

  /** What is to go out next, together; empty: nothing may, or there is nothing. */
  take(): F[] {
    const batch: F[] = [];
    let bytes = 0;
    for (const { frame, size } of this.#kept.slice(this.#written)) {
      if (batch.length > 0 && bytes + size > BATCH_BYTES) break;
      if (this.#written >= WINDOW_FRAMES) break;
      if (this.#written > 0 && this.#writtenBytes + size > WINDOW_BYTES) break;
      batch.push(frame);
      bytes += size;
      this.#written += 1;
      this.#writtenBytes += size;
    }
    const last = batch.at(-1);
    if (last !== undefined) {
      last.ack = this.ack();
    }
    if (!this.#keeping) {
      this.#forgetWritten();
    }
    return batch;
  }

  /** The acknowledgement to send now. */
  ack(): bigint {
    this.#acknowledged = this.#takenIn;
    this.#unacknowledgedBytes = 0;
    this.#answerDue = false;
    return this.#takenIn;
  }

  /** Takes note of the number of a frame of `size` bytes from the server; 0 is none. */
  arrive(seq: bigint, size: number): Arrival {
    if (seq === 0n) return "new";
    if (seq <= this.#takenIn) return "duplicate";
    if (seq !== this.#takenIn + 1n) return "gap";
    this.#takenIn = seq;
    this.#unacknowledgedBytes += size;
    return "new";
  }

  /** Forgets the frames that the server has received: all up to `seq`. */
  acknowledged(seq: bigint): void {
    const index = this.#kept.findIndex(({ frame }) => frame.seq > seq);
    const done = Math.min(index === -1 ? this.#kept.length : index, this.#written);
    for (const { size } of this.#kept.splice(0, done)) {
      this.#written -= 1;
      this.#writtenBytes -= size;
    }
  }

  /**
   * Continues over another connection with a server that has received all up to
   * `seq`: the rest comes out of `take` again, and an answer is due.
   *
   * False when that was never sent, or is no longer kept.
   */
  rewind(seq: bigint): boolean {
    this.acknowledged(seq);
    const next = this.#kept[0]?.frame.seq ?? this.#last + 1n;
    this.#written = 0;
    this.#writtenBytes = 0;
    this.#answerDue = true;
    return next === seq + 1n;
  }

  #forgetWritten(): void {
    this.#kept.splice(0, this.#written);
    this.#written = 0;
    this.#writtenBytes = 0;
  }
}
