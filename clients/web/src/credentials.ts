import { Code, ConnectError } from "@connectrpc/connect";

import { DyadError } from "./errors.js";

/** The app's JWT, or what gets a fresh one; it is asked before each connection is opened. */
export type Token = string | (() => string | Promise<string>);

/** What puts a token on a call. */
type Authorization = { readonly authorization: string };

/** Gets a token for each connection that is opened. */
export class Credentials {
  readonly #source: Token;

  constructor(source: Token) {
    this.#source = source;
  }

  /** Whether there is another token where one has expired. */
  get renewable(): boolean {
    return typeof this.#source !== "string";
  }

  /** Opens a connection with a fresh token; once more with another one if that was refused. */
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
      // As a rule the network is gone for the app too.
      throw new DyadError("unavailable", "The app could not get a token.", true);
    }
    // fetch refuses other characters with an error that reads like a broken network.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new DyadError("unauthenticated", "This is not a token.");
    }
    return { authorization: `Bearer ${token}` };
  }
}
