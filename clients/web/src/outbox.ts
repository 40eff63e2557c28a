export interface OutboxOptions<F> {
  /** What is to go out next; empty: nothing. */
  readonly take: () => F[];
  /** Sends one batch; an empty one is a heartbeat. */
  readonly send: (frames: F[]) => Promise<void>;
  /** A batch could not be sent: nothing more will be. */
  readonly failed: (reason: unknown) => void;
}

/**
 * Sends what there is over one connection, in order, one batch at a time.
 *
 * Calls in parallel may overtake each other, so what gathers while one is
 * under way goes out together in the next.
 */
export class Outbox<F> {
  readonly #options: OutboxOptions<F>;
  #beatDue = false;
  #sending = false;
  #closed = false;

  constructor(options: OutboxOptions<F>) {
    this.#options = options;
  }

  /** There may be something to send. */
  wake(): void {
    void this.#run();
  }

  /** Shows that this side lives; whatever is to be sent, or under way, shows it too. */
  beat(): void {
    if (!this.#sending) {
      this.#beatDue = true;
      this.wake();
    }
  }

  close(): void {
    this.#closed = true;
  }

  async #run(): Promise<void> {
    if (this.#sending) {
      return;
    }
    this.#sending = true;
    try {
      while (!this.#closed) {
        const batch = this.#options.take();
        if (batch.length === 0 && !this.#beatDue) break;
        this.#beatDue = false;
        await this.#options.send(batch);
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
}
