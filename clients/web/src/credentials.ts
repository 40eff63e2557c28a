import { Code, ConnectError } from "@connectrpc/connect";

import { DyadError } from "./errors.js";

/** The app's JWT, or a function that returns one. It is called before each connection. */
export type Token = string | (() => string | Promise<string>);

/** The header with the token. */
type Authorization = { readonly authorization: string };

/** Gets a token for each connection that is opened. */
export class Credentials {
  readonly #source: Token;

  constructor(source: Token) {
    this.#source = source;
  }

  /** Whether the app can give another token when one has expired. */
  get renewable(): boolean {
    return typeof this.#source !== "string";
  }

  /** Opens a connection with a fresh token. If it is refused, tries one more token. */
  async open<T>(attempt: (headers: Authorization) => Promise<T>): Promise<T> {
    const headers = await this.#headers();
    try {
      return await attempt(headers);
    } catch (reason) {
      if (ConnectError.from(reason).code !== Code.Unauthenticated || !this.renewable) {
        throw reason;
      }
    }
    return attempt(await this.#headers());
  }

  async #headers(): Promise<Authorization> {
    let token: string;
    try {
      token = typeof this.#source === "string" ? this.#source : await this.#source();
    } catch {
      // The app may need the same network, which is down.
      throw new DyadError("unavailable", "The app could not get a token.", true);
    }
    // With other characters, fetch throws an error that looks like a broken network.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new DyadError("unauthenticated", "The token has characters that a header must not have.");
    }
    return { authorization: `Bearer ${token}` };
  }
}
