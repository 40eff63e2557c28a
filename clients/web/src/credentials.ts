import { Code, ConnectError } from "@connectrpc/connect";

import { DyadError } from "./errors.js";

/** The app's JWT, or what gets a fresh one; it is asked before each connection is opened. */
export type Token = string | (() => string | Promise<string>);

/** Puts the token on calls, and gets a new one when the server wants that. */
export class Credentials {
  readonly #source: Token;
  #current: Promise<string> | undefined;

  constructor(source: Token) {
    this.#source = source;
  }

  /**
   * Makes a call; once more with a new token if this one was refused.
   *
   * A session outlives many tokens, and the server checks one on every Send.
   * What it refuses it has not taken in, so the second attempt repeats nothing.
   */
  async call<T>(attempt: (headers: HeadersInit) => Promise<T>): Promise<T> {
    try {
      return await attempt(await this.#headers());
    } catch (reason) {
      const expired = ConnectError.from(reason).code === Code.Unauthenticated;
      if (!expired || typeof this.#source === "string") {
        throw reason;
      }
      this.renew();
      return attempt(await this.#headers());
    }
  }

  /** Lets the next call ask for a fresh token. */
  renew(): void {
    this.#current = undefined;
  }

  async #headers(): Promise<HeadersInit> {
    this.#current ??= this.#fetch();
    try {
      return { authorization: `Bearer ${await this.#current}` };
    } catch (reason) {
      this.renew();
      throw reason;
    }
  }

  async #fetch(): Promise<string> {
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
    return token;
  }
}
