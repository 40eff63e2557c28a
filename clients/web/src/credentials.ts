import { DyadError } from "./errors.js";
import { roomOf, type RoutingHeader, routingHeader } from "./routing.js";
import { Code, RpcError } from "./rpc.js";

/**
 * The app's JWT, or a function that returns one. It is called before each connection.
 *
 * If the function throws, the client tries again while it reconnects: the app's backend may be
 * out of reach for a moment. If it returns null, because the user is logged out, the session ends
 * at once, with the error `unauthenticated`, which is final. A `Call` then ends its media too.
 */
export type Token = string | (() => string | null | Promise<string | null>);

/** What a connection is opened with: the token, which node is best, and what the app adds. */
export interface OpeningHeaders extends RoutingHeader, Readonly<Record<string, string>> {
  readonly authorization: string;
}

/** Gets a token for each connection that is opened. */
export class Credentials {
  readonly #source: Token;
  readonly #further: () => Readonly<Record<string, string>>;

  /** @throws DyadError if this can never be a token. */
  constructor(source: Token, further: () => Readonly<Record<string, string>> = () => ({})) {
    if (typeof source !== "function") {
      const problem = whyNoToken(source);
      if (problem !== undefined) throw new DyadError("invalid_argument", problem);
    }
    this.#source = source;
    this.#further = further;
  }

  /** Whether the app can give another token when one has expired. */
  get renewable(): boolean {
    return typeof this.#source !== "string";
  }

  /**
   * Opens a connection with a fresh token. If it is refused, tries one more token. It is to enter
   * the room `roomId`. If that is empty, `attempt` is told the room that the token names, or
   * nothing: the server makes one.
   */
  async open<T>(
    roomId: string,
    attempt: (headers: OpeningHeaders, roomId: string) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#attempt(roomId, attempt);
    } catch (reason) {
      const refused = reason instanceof RpcError && reason.code === Code.Unauthenticated;
      if (!refused || !this.renewable) throw reason;
    }
    return this.#attempt(roomId, attempt);
  }

  async #attempt<T>(
    roomId: string,
    attempt: (headers: OpeningHeaders, roomId: string) => Promise<T>,
  ): Promise<T> {
    // Always later: who opens a connection is not called back before that returns.
    const token = await (typeof this.#source === "string" ? this.#source : called(this.#source));
    if (token === null) {
      const sentence = "The app's token function returned null: it has no token.";
      throw new DyadError("unauthenticated", sentence, { final: true });
    }
    const problem = whyNoToken(token);
    if (problem !== undefined) throw new DyadError("unauthenticated", problem);
    const known = roomId === "" ? roomOf(token) : roomId;
    return attempt({ ...this.#further(), authorization: `Bearer ${token}`, ...routingHeader(known) }, known);
  }
}

async function called(source: Exclude<Token, string>): Promise<string | null> {
  try {
    return await source();
  } catch (cause) {
    // The app may need the same network, which is down. What it says may contain a token.
    const sentence = "The app's token function failed: see the cause of this error.";
    throw new DyadError("token_failed", sentence, { retryable: true, cause });
  }
}

/** A sentence, if the app gave something that cannot be a token. It never quotes that. */
function whyNoToken(token: unknown): string | undefined {
  if (typeof token !== "string") {
    return `A token is a string, or a function that returns one. The app gave ${kindOf(token)}.`;
  }
  if (token === "") {
    return "The token is empty.";
  }
  // With other characters, fetch throws an error that looks like a broken network.
  return /^[\x21-\x7e]+$/.test(token) ? undefined : "The token has characters that a header must not have.";
}

function kindOf(value: unknown): string {
  return value === undefined || value === null ? String(value) : `a value of type ${typeof value}`;
}
