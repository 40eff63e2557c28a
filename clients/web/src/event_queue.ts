/** Keeps values in order until they are read. After the last value comes the end or an error. */
export class EventQueue<T> {
  readonly #most: number;
  #values: T[] = [];
  #over: { readonly failure: Error | undefined } | undefined;
  #readers: (() => void)[] = [];

  /** Keeps at most this many values. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether nothing more will be put. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Returns false if too many values wait already. After the end it has no effect. */
  put(value: T): boolean {
    if (this.#over !== undefined) {
      return true;
    }
    if (this.#values.length >= this.#most) {
      return false;
    }
    this.#values.push(value);
    this.#wake();
    return true;
  }

  /** Forgets the values that wait. */
  clear(): void {
    this.#values = [];
  }

  /** Ends the queue. A failure is thrown after the last value. */
  end(failure: Error | undefined): void {
    this.#over ??= { failure };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) {
        yield value;
      } else if (this.#over === undefined) {
        await new Promise<void>((resolve) => this.#readers.push(resolve));
      } else if (this.#over.failure === undefined) {
        return;
      } else {
        throw this.#over.failure;
      }
    }
  }
  #wake(): void {
    this.#readers.splice(0).forEach((resolve) => resolve());
  }
}
