import { DyadError, type ErrorCode } from "./errors.js";

// The longest wait before the first try, the second, and so on, in milliseconds. The
// last one is also for all later tries.
const WAITS = [100, 250, 500, 1000, 2000, 4000];

/** After these errors a client resumes. The value says whether it joins again if that is refused. */
const RECONNECTS: ReadonlyMap<ErrorCode, boolean> = new Map([
  ["unavailable", true],
  ["lost", true],
  ["token_failed", true],
  ["session_not_found", true],
  ["unauthenticated", true],
  ["resource_exhausted", false],
  ["deadline_exceeded", false],
]);

// A connection that lasted this long was a success, even if no frame got through.
const STEADY_MS = 5_000;

/** What to do after a connection broke or a try to reconnect failed. */
export type Step =
  | { readonly kind: "resume" | "rejoin"; readonly afterMs: number }
  | { readonly kind: "end"; readonly failure: DyadError };

/** The connection that broke. */
export interface Broken {
  /** Whether there is a token to resume with. */
  readonly resumable: boolean;
  /** Grows with each frame that got through, in either direction. */
  readonly progress: bigint;
}

/**
 * Decides whether, when and how to reconnect.
 *
 * It is a state machine without I/O. `now` is in milliseconds, of any clock. The rules
 * are the table in docs/protocol.md.
 */
export class ReconnectPolicy {
  readonly #giveUpAfterMs: number;
  readonly #newTokens: boolean;
  readonly #random: () => number;
  #cause: DyadError | undefined;
  #kind: "resume" | "rejoin" = "resume";
  #tries = 0;
  #since = 0;
  #progress: bigint | undefined;
  #connectedAt = Number.NEGATIVE_INFINITY;

  /** `newTokens` says whether the app can give a new token when one has expired. */
  constructor(giveUpAfterMs: number, newTokens: boolean, random: () => number = Math.random) {
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#newTokens = newTokens;
    this.#random = random;
  }

  /** Returns the step after a connection broke. */
  broke(cause: DyadError, { resumable, progress }: Broken, now: number): Step {
    if (progress !== this.#progress || now - this.#connectedAt >= STEADY_MS) {
      this.#tries = 0;
      this.#since = now;
    }
    this.#progress = progress;
    this.#cause = cause;
    this.#kind = "resume";
    return resumable && this.#mayReconnect(cause) ? this.#wait(cause, now) : { kind: "end", failure: cause };
  }

  /** Returns the step after a try failed. `leaving` says whether the user has hung up. */
  failed(failure: DyadError, leaving: boolean, now: number): Step {
    const cause = this.#cause ?? failure;
    const refused = this.#kind === "resume" && failure.code === "aborted";
    if (refused && RECONNECTS.get(cause.code) === true && !leaving) {
      this.#kind = "rejoin";
      return { kind: "rejoin", afterMs: 0 };
    }
    if (refused) {
      return { kind: "end", failure: cause };
    }
    // The try itself has already asked the app for a new token.
    if (!this.#mayReconnect(failure) || failure.code === "unauthenticated") {
      return { kind: "end", failure };
    }
    return this.#wait(failure, now);
  }

  /** Records that the network is another one: earlier failures say nothing about it. */
  networkChanged(now: number): void {
    this.#tries = 0;
    this.#since = now;
  }

  /** Records that a try succeeded. */
  connected(now: number): void {
    this.#connectedAt = now;
  }

  #mayReconnect({ code, final }: DyadError): boolean {
    return RECONNECTS.has(code) && !final && (code !== "unauthenticated" || this.#newTokens);
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
