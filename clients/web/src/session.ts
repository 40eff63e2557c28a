// The bounds of docs/protocol.md. An acknowledgement is due after the first two at the
// latest. The last two are the most that may be unacknowledged.
const ACK_FRAMES = 32n;
const ACK_BYTES = 32 * 1024;
const WINDOW_FRAMES = 256;
const WINDOW_BYTES = 256 * 1024;

// The server accepts larger messages, but a message that fills a slow uplink would
// delay the next answer to a heartbeat.
const BATCH_BYTES = 200 * 1024;

/** The fields of a frame that a session reads and writes. */
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
 * One participant's session: the numbers sent and received, and the frames to keep.
 *
 * It is plain state without I/O. The carrier asks it for the next batch of frames.
 * `take` returns frames in the order of `put`. With `keep`, a frame is kept until it is
 * acknowledged, and `take` returns it again after a `rewind`.
 */
export class Session<F extends Numbered> {
  #last = 0n;
  #received = 0n;
  /** The first `#written` of these have been sent. The others wait. */
  #kept: Kept<F>[] = [];
  #written = 0;
  #writtenBytes = 0;
  #keeping = false;
  /** The last acknowledgement that was sent. */
  #ackSent = 0n;
  #bytesSinceAck = 0;
  #owesAck = false;

  /** The highest number received from the server. */
  get received(): bigint {
    return this.#received;
  }

  /** Grows with each frame that got through, in either direction. */
  get progress(): bigint {
    return this.#received + this.#last - BigInt(this.#kept.length);
  }

  /** Whether an acknowledgement is due, even without a frame to send. */
  get ackDue(): boolean {
    return (
      this.#owesAck ||
      (this.#keeping &&
        (this.#received - this.#ackSent >= ACK_FRAMES || this.#bytesSinceAck >= ACK_BYTES))
    );
  }

  /** Sets whether frames are kept until they are acknowledged. */
  keep(keeping: boolean): void {
    this.#keeping = keeping;
    if (!keeping) {
      this.#forgetWritten();
    }
  }

  /** Numbers a frame of `size` bytes for a later `take`. Returns the number. */
  put(frame: F, size: number): bigint {
    this.#last += 1n;
    frame.seq = this.#last;
    this.#kept.push({ frame, size });
    return frame.seq;
  }

  /** The next frames to send together. Empty if there are none, or none may be sent now. */
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

  /** The acknowledgement to send. It counts as sent. */
  ack(): bigint {
    this.#ackSent = this.#received;
    this.#bytesSinceAck = 0;
    this.#owesAck = false;
    return this.#received;
  }

  /** Records the number of a frame of `size` bytes from the server. 0 means no number. */
  arrive(seq: bigint, size: number): Arrival {
    if (seq === 0n) return "new";
    if (seq <= this.#received) return "duplicate";
    if (seq !== this.#received + 1n) return "gap";
    this.#received = seq;
    this.#bytesSinceAck += size;
    return "new";
  }

  /** Forgets the frames up to `seq`, which the server has received. */
  acknowledged(seq: bigint): void {
    const index = this.#kept.findIndex(({ frame }) => frame.seq > seq);
    const done = Math.min(index === -1 ? this.#kept.length : index, this.#written);
    for (const { size } of this.#kept.splice(0, done)) {
      this.#written -= 1;
      this.#writtenBytes -= size;
    }
  }

  /**
   * Continues on another connection. The server has received the frames up to `seq`:
   * `take` returns the others again, and an acknowledgement is due.
   *
   * Returns false if frame `seq` was never sent, or the frame after it is no longer kept.
   */
  rewind(seq: bigint): boolean {
    this.acknowledged(seq);
    const next = this.#kept[0]?.frame.seq ?? this.#last + 1n;
    this.#written = 0;
    this.#writtenBytes = 0;
    this.#owesAck = true;
    return next === seq + 1n;
  }

  #forgetWritten(): void {
    this.#kept.splice(0, this.#written);
    this.#written = 0;
    this.#writtenBytes = 0;
  }
}
