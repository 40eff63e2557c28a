/** Keeps values in order until they are read. After the last value comes the end or an error. */
export class EventQueue<T> {
  readonly #values: T[] = [];
  #over: { readonly failure: Error | undefined } | undefined;
  #wake: () => void = () => undefined;

  put(value: T): void {
    this.#values.push(value);
    this.#wake();
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
        await new Promise<void>((resolve) => (this.#wake = resolve));
      } else if (this.#over.failure === undefined) {
        return;
      } else {
        throw this.#over.failure;
      }
    }
  }
}
