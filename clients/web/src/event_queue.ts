/** Keeps values in order until they are asked for; then the end, or the failure. */
export class EventQueue<T> {
  readonly #values: T[] = [];
  #over: { readonly failure: Error | undefined } | undefined;
  #wake: () => void = () => undefined;

  put(value: T): void {
    this.#values.push(value);
    this.#wake();
  }

  /** No more will come; a failure is thrown after the last value. */
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
