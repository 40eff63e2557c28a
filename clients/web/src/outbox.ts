import { toBinary } from "@bufbuild/protobuf";

import { type Frame, FrameSchema } from "./gen/dyad/v1/signaling_pb.js";

// The server takes a larger message, but one that fills a slow uplink delays
// the heartbeat behind it.
const BATCH_BYTES = 200 * 1024;

interface Waiting {
  readonly frame: Frame;
  readonly size: number;
}

export interface OutboxOptions {
  /** Sends one batch; an empty one is a heartbeat. */
  readonly send: (frames: Frame[]) => Promise<void>;
  /** The highest number taken in from the other side. */
  readonly takenIn: () => bigint;
  /** A batch could not be sent: nothing more will be. */
  readonly failed: (reason: unknown) => void;
  /** After this much silence an empty batch goes out. */
  readonly idleMs: number;
}

/**
 * Numbers frames and sends them in order, one batch at a time.
 *
 * Calls in parallel may overtake each other, so what gathers while one is
 * under way goes out together in the next.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #seq = 0n;
  #waiting: Waiting[] = [];
  #beatDue = false;
  #sending = false;
  #closed = false;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#rearm();
  }

  /** Queues a frame; its number. */
  put(frame: Frame): bigint {
    this.#seq += 1n;
    frame.seq = this.#seq;
    this.#waiting.push({ frame, size: toBinary(FrameSchema, frame).length });
    void this.#run();
    return frame.seq;
  }

  /** Shows that this side lives; whatever waits to be sent shows it too. */
  beat(): void {
    this.#beatDue = true;
    void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    clearTimeout(this.#idle);
  }

  async #run(): Promise<void> {
    if (this.#sending) {
      return;
    }
    this.#sending = true;
    try {
      while (!this.#closed && (this.#waiting.length > 0 || this.#beatDue)) {
        this.#beatDue = false;
        await this.#options.send(this.#nextBatch());
        this.#rearm();
      }
    } catch (reason) {
      if (!this.#closed) {
        this.close();
        this.#options.failed(reason);
      }
    } finally {
      this.#sending = false;
    }
  }

  #nextBatch(): Frame[] {
    let bytes = 0;
    let count = 0;
    for (const { size } of this.#waiting) {
      bytes += size;
      if (count > 0 && bytes > BATCH_BYTES) break;
      count += 1;
    }
    const frames = this.#waiting.splice(0, count).map(({ frame }) => frame);
    const last = frames.at(-1);
    if (last !== undefined) {
      last.ack = this.#options.takenIn();
    }
    return frames;
  }

  #rearm(): void {
    clearTimeout(this.#idle);
    if (!this.#closed) {
      this.#idle = setTimeout(() => this.beat(), this.#options.idleMs);
    }
  }
}
