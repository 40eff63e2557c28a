import { reportUncaught } from "./log.js";

/** Functions to call for each type of event. `E` maps types to what their listeners receive. */
export class Listeners<E> {
  readonly #byType = new Map<keyof E, Set<(value: never) => void>>();

  /** Adds a listener. Returns a function that removes it. */
  add<T extends keyof E>(type: T, listener: (value: E[T]) => void): () => void {
    const listeners = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, listeners);
    // Each addition counts, also of the same function.
    const own = (value: E[T]): void => listener(value);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  has(type: keyof E): boolean {
    return (this.#byType.get(type)?.size ?? 0) > 0;
  }

  /** Calls the listeners of this type in turn, as long as `current` returns true. */
  tell<T extends keyof E>(type: T, value: E[T], current: () => boolean = () => true): void {
    for (const listener of [...(this.#byType.get(type) ?? [])]) {
      if (!current()) return;
      try {
        (listener as (value: E[T]) => void)(value);
      } catch (reason) {
        reportUncaught(reason);
      }
    }
  }
}
