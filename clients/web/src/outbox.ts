export interface OutboxOptions<F> {
  /** Returns the next batch, empty if there is nothing to send now. */
  readonly take: () => F[];
  /** Milliseconds until `take` may return more although nothing else happens, if it may. */
  readonly wait: () => number | undefined;
  /** Sends one batch. An empty batch is a heartbeat. */
  readonly send: (frames: F[]) => Promise<void>;
  /** A batch could not be sent. Nothing more will be sent. */
  readonly failed: (reason: unknown) => void;
}

/**
 * Sends batches over one connection, in order, one at a time.
 *
 * Send requests in parallel may overtake each other. So frames that accumulate during
 * one request go out together in the next.
 */
export class Outbox<F> {
  readonly #options: OutboxOptions<F>;
  #heartbeatDue = false;
  #sending = false;
  #closed = false;
  #later: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OutboxOptions<F>) {
    this.#options = options;
  }

  /** To be called when there may be something to send. */
  wake(): void {
    void this.#run();
  }

  /** Sends an empty batch if nothing else is under way or waits: any batch has this effect. */
  sendHeartbeat(): void {
    if (!this.#sending) {
      this.#heartbeatDue = true;
      this.wake();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#later);
  }

  async #run(): Promise<void> {
    if (this.#sending || this.#closed) {
      return;
    }
    this.#sending = true;
    clearTimeout(this.#later);
    try {
      while (!this.#closed) {
        const batch = this.#options.take();
        if (batch.length === 0 && !this.#heartbeatDue) break;
        this.#heartbeatDue = false;
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
    const milliseconds = this.#closed ? undefined : this.#options.wait();
    if (milliseconds !== undefined) {
      this.#later = setTimeout(() => this.wake(), milliseconds);
    }
  }
}
