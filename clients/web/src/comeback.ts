import { DyadError, type ErrorCode } from "./errors.js";

// The longest waits before one try and the next, in milliseconds.
const WAITS = [100, 250, 500, 1000, 2000, 4000];

/** After these a client comes back; with the value, it may also begin anew. */
const COMES_BACK: ReadonlyMap<ErrorCode, boolean> = new Map([
  ["unavailable", true],
  ["lost", true],
  ["session_not_found", true],
  ["unauthenticated", true],
  ["resource_exhausted", false],
  ["deadline_exceeded", false],
]);

// Whoever hangs up while away is out at the latest when the seat is held no longer.
const LEAVING_MS = 15_000;

/** What to do after a connection, or a try to come back, has failed. */
export type Step =
  | { readonly kind: "resume" | "rejoin"; readonly afterMs: number }
  | { readonly kind: "end"; readonly failure: DyadError };

/**
 * From the end of a connection to the next one, or to the end of the session.
 *
 * Plain state, without I/O; docs/protocol.md has the table.
 */
export class Comeback {
  readonly #cause: DyadError;
  readonly #random: () => number;
  readonly #since: number;
  #kind: "resume" | "rejoin" = "resume";
  #tries = 0;

  /** `cause` ended the connection, at `now` (milliseconds of any clock). */
  constructor(cause: DyadError, now: number, random: () => number = Math.random) {
    this.#cause = cause;
    this.#since = now;
    this.#random = random;
  }

  /** The step after the connection's end; `resumable`: there is a token to come back with. */
  first(resumable: boolean): Step {
    return resumable && COMES_BACK.has(this.#cause.code)
      ? this.#wait(this.#cause)
      : { kind: "end", failure: this.#cause };
  }

  /** The step after a try failed; `leaving`: the person has hung up meanwhile. */
  next(failure: DyadError, now: number, leaving: boolean): Step {
    const refused = this.#kind === "resume" && failure.code === "aborted";
    const mayBeginAnew = COMES_BACK.get(this.#cause.code) === true && !leaving;
    if (refused && mayBeginAnew) {
      this.#kind = "rejoin";
      return { kind: "rejoin", afterMs: 0 };
    }
    if (refused || (leaving && now - this.#since >= LEAVING_MS)) {
      return { kind: "end", failure: this.#cause };
    }
    // A new token was asked for in the try itself.
    if (!COMES_BACK.has(failure.code) || failure.code === "unauthenticated") {
      return { kind: "end", failure };
    }
    return this.#wait(failure);
  }

  #wait(failure: DyadError): Step {
    const most = WAITS[Math.min(this.#tries, WAITS.length - 1)] ?? 0;
    this.#tries += 1;
    const { retryAfterMs } = failure;
    const afterMs =
      retryAfterMs === undefined ? this.#random() * most : retryAfterMs * (1 + this.#random() / 2);
    return { kind: this.#kind, afterMs };
  }
}
