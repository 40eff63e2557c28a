// The bounds of docs/protocol.md. An acknowledgement is due after the first two at the
// latest. The last two are the most that may be unacknowledged.
const ACK_FRAMES = 32n;
const ACK_BYTES = 32 * 1024;
const WINDOW_FRAMES = 256;
const WINDOW_BYTES = 256 * 1024;

// With less than this unacknowledged, the next frame never waits: the server counts a frame
// without its numbers, and need not acknowledge less than ACK_BYTES.
const LEAST_BYTES = 34 * 1024;

// The server accepts larger messages, but a message that fills a slow uplink would delay
// the next answer to a heartbeat, and could not be told from a dead connection.
const BATCH_BYTES = 64 * 1024;

/** The fields of a frame that a session reads and writes. */
export interface Numbered {
  seq: bigint;
  ack: bigint;
}

export type Arrival = "new" | "duplicate" | "gap";

/** So many frames, and their size together. */
export interface Amount {
  readonly frames: number;
  readonly bytes: number;
}

interface Kept<F> {
  readonly frame: F;
  readonly size: number;
}

/**
 * One participant's session: the numbers sent and received, and the frames to keep.
 *
 * It is plain state without I/O. The carrier asks it for the next batch of frames.
 * `take` returns frames in the order of `put`. A frame is kept until the server has it: with
 * `keep` until it is acknowledged, and `take` returns it again after a `rewind`.
 */
export class Session<F extends Numbered> {
  #last = 0n;
  #received = 0n;
  /** The first `#written` of these have been sent. The others wait. */
  #kept: Kept<F>[] = [];
  #written = 0;
  #writtenBytes = 0;
  /** The highest number that was ever sent. */
  #sent = 0n;
  /** The server has received the frames up to this number. */
  #confirmed = 0n;
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

  /** Whether any frame was ever sent. */
  get begun(): boolean {
    return this.#sent > 0n;
  }

  /** How much the server may lack. */
  get unconfirmed(): Amount {
    const kept = this.#unconfirmed();
    return { frames: kept.length, bytes: kept.reduce((bytes, { size }) => bytes + size, 0) };
  }

  /** The size of the next frame, or undefined if there is none, or none may be sent now. */
  get nextSize(): number | undefined {
    const next = this.#kept[this.#written];
    return next !== undefined && this.#fits(next.size) ? next.size : undefined;
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
    this.confirm(this.#confirmed);
  }

  /** Numbers a frame of `size` bytes for a later `take`. Returns the number. */
  put(frame: F, size: number): bigint {
    this.#last += 1n;
    frame.seq = this.#last;
    this.#kept.push({ frame, size });
    return frame.seq;
  }

  /**
   * The next frames to send together, at most so many, but at least one. Empty if there are
   * none, or none may be sent now.
   */
  take({ frames, bytes }: Amount = { frames: Infinity, bytes: Infinity }): F[] {
    const batch: F[] = [];
    let size = 0;
    const most = Math.min(bytes, BATCH_BYTES);
    for (const kept of this.#kept.slice(this.#written)) {
      if (!this.#fits(kept.size)) break;
      if (batch.length > 0 && (batch.length >= frames || size + kept.size > most)) break;
      batch.push(this.#write(kept));
      size += kept.size;
    }
    return this.#acknowledging(batch);
  }

  /** All frames that the server may lack, to be sent together. Repeats those under way. */
  takeUnconfirmed(): F[] {
    this.#written = 0;
    this.#writtenBytes = 0;
    this.#kept.forEach((kept) => this.#write(kept));
    return this.#acknowledging(this.#unconfirmed().map(({ frame }) => frame));
  }

  /** Records that the server has received the frames up to `seq`. */
  confirm(seq: bigint): void {
    this.#confirmed = larger(this.#confirmed, smaller(seq, this.#sent));
    if (!this.#keeping) this.#forget(this.#confirmed);
  }

  /** Forgets the frames that were never sent. */
  discardUnsent(): void {
    this.#kept = this.#kept.filter(({ frame }) => frame.seq <= this.#sent);
    this.#last = this.#sent;
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

  /** Forgets the frames up to `seq`, which the server has acknowledged. */
  acknowledged(seq: bigint): void {
    this.confirm(seq);
    this.#forget(seq);
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

  #fits(size: number): boolean {
    return (
      this.#written < WINDOW_FRAMES &&
      (this.#writtenBytes < LEAST_BYTES || this.#writtenBytes + size <= WINDOW_BYTES)
    );
  }

  #write({ frame, size }: Kept<F>): F {
    this.#written += 1;
    this.#writtenBytes += size;
    this.#sent = larger(this.#sent, frame.seq);
    return frame;
  }

  #acknowledging(batch: F[]): F[] {
    const last = batch.at(-1);
    if (last !== undefined) {
      last.ack = this.ack();
    }
    return batch;
  }

  #unconfirmed(): Kept<F>[] {
    return this.#kept.filter(({ frame }) => frame.seq > this.#confirmed);
  }

  #forget(seq: bigint): void {
    const index = this.#kept.findIndex(({ frame }) => frame.seq > seq);
    const done = Math.min(index === -1 ? this.#kept.length : index, this.#written);
    for (const { size } of this.#kept.splice(0, done)) {
      this.#written -= 1;
      this.#writtenBytes -= size;
    }
  }
}

function larger(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
