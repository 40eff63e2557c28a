/** Keeps values in order until they are asked for; then the end, or the failure. */
export class EventQueue<T> {
  readonly #values: T[] = [];
  #over: { readonly failure: Error | undefined } | undefined;
  #wake: () => void = () => undefined;

  put(value: T): void {
    this.#values.push(value);
    this.#wake();
  }

  /** Ends the queue. After the last value, a failure is thrown. */
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
