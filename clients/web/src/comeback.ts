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

// What held that long was no failed try.
const STEADY_MS = 1_000;

// Whoever hangs up while away is out at the latest when the seat is held no longer.
const LEAVING_MS = 15_000;

/** What to do after a connection, or a try to come back, has failed. */
export type Step =
  | { readonly kind: "resume" | "rejoin"; readonly afterMs: number }
  | { readonly kind: "end"; readonly failure: DyadError };

/**
 * From the end of a connection to the next one, or to the end of the session.
 *
 * Plain state, without I/O: `now` is milliseconds of any clock. The table is
 * in docs/protocol.md.
 */
export class Comeback {
  readonly #giveUpAfterMs: number;
  readonly #newTokens: boolean;
  readonly #random: () => number;
  #cause: DyadError | undefined;
  #kind: "resume" | "rejoin" = "resume";
  #tries = 0;
  #since = 0;
  #backAt = Number.NEGATIVE_INFINITY;

  /** `newTokens`: there is another token where one has expired. */
  constructor(giveUpAfterMs: number, newTokens: boolean, random: () => number = Math.random) {
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#newTokens = newTokens;
    this.#random = random;
  }

  /** The step after a connection's end; `resumable`: there is a token to come back with. */
  lost(cause: DyadError, resumable: boolean, now: number): Step {
    if (now - this.#backAt >= STEADY_MS) {
      this.#tries = 0;
      this.#since = now;
    }
    this.#cause = cause;
    this.#kind = "resume";
    return resumable && this.#mayComeBack(cause) ? this.#wait(cause, now) : { kind: "end", failure: cause };
  }

  /** The step after a try failed; `leaving`: the person has hung up meanwhile. */
  failed(failure: DyadError, leaving: boolean, now: number): Step {
    const cause = this.#cause ?? failure;
    const refused = this.#kind === "resume" && failure.code === "aborted";
    if (refused && COMES_BACK.get(cause.code) === true && !leaving) {
      this.#kind = "rejoin";
      return { kind: "rejoin", afterMs: 0 };
    }
    if (refused || (leaving && now - this.#since >= LEAVING_MS)) {
      return { kind: "end", failure: cause };
    }
    // A new token was asked for in the try itself.
    if (!this.#mayComeBack(failure) || failure.code === "unauthenticated") {
      return { kind: "end", failure };
    }
    return this.#wait(failure, now);
  }

  /** A try led back. */
  back(now: number): void {
    this.#backAt = now;
  }

  #mayComeBack({ code, final }: DyadError): boolean {
    return COMES_BACK.has(code) && !final && (code !== "unauthenticated" || this.#newTokens);
  }

  #wait(failure: DyadError, now: number): Step {
    const most = WAITS[Math.min(this.#tries, WAITS.length - 1)] ?? 0;
    this.#tries += 1;
    const { retryAfterMs } = failure;
    const afterMs =
      retryAfterMs === undefined ? this.#random() * most : retryAfterMs * (1 + this.#random() / 2);
    return now + afterMs > this.#since + this.#giveUpAfterMs
      ? { kind: "end", failure }
      : { kind: this.#kind, afterMs };
  }
}
