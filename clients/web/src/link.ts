import type { Client } from "@connectrpc/connect";

import type { Credentials } from "./credentials.js";
import { DyadError, ended, lost, unreachable } from "./errors.js";
import type { Frame, ListenResponse, Signaling } from "./gen/dyad/v1/signaling_pb.js";

// The server sends a heartbeat every 10 s.
const SILENCE_MS = 15_000;

// If a Send fails because the session has ended, Listen will say why within this time.
const REASON_MS = 1_000;

/** How to reach the server. */
export interface Route {
  readonly client: Client<typeof Signaling>;
  /** The same, for a request that continues after the page has unloaded. */
  readonly farewell: Client<typeof Signaling>;
  readonly credentials: Credentials;
  /** How long to try to reconnect. */
  readonly giveUpAfterMs: number;
}

/** One Listen stream with its Send requests: together they carry frames in both directions. */
export class Link {
  readonly #route: Route;
  readonly #abort: AbortController;
  #responses: AsyncIterator<ListenResponse> | undefined;
  #sessionId = "";
  /** The token that opened the link, which every Send uses until the link ends. */
  #headers: HeadersInit = {};
  #failure: DyadError | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #afterwards: ReturnType<typeof setTimeout> | undefined;

  private constructor(route: Route, abort: AbortController) {
    this.#route = route;
    this.#abort = abort;
  }

  /**
   * Opens a link. `abort` closes it, even while it is being opened.
   *
   * @throws DyadError if no link could be opened.
   */
  static async open(route: Route, abort: AbortController): Promise<Link> {
    const link = new Link(route, abort);
    try {
      // The app may never return a token. Closing the link ends that wait too.
      await Promise.race([link.#open(), aborted(abort.signal)]);
      return link;
    } catch (reason) {
      link.close();
      const failure = link.#failure ?? ended(reason);
      throw failure.code === "lost" ? unreachable() : failure;
    }
  }

  /** Sends frames, or without frames answers a heartbeat. At most one send may be under way. */
  async send(frames: Frame[]): Promise<void> {
    const request = { sessionId: this.#sessionId, frames };
    await this.#route.client.send(request, { headers: this.#headers, signal: this.#abort.signal });
  }

  /** Sends the last frames, even if the page is about to unload, and closes the link. */
  async sendLast(frames: Frame[]): Promise<void> {
    const request = { sessionId: this.#sessionId, frames };
    const signal = AbortSignal.timeout(REASON_MS);
    try {
      await this.#route.farewell.send(request, { headers: this.#headers, signal });
    } catch {
      // The server will notice that this side is gone.
    } finally {
      this.close();
    }
  }

  /**
   * Resolves to the frames of the next response. Without frames it is a heartbeat, to be
   * answered.
   *
   * @throws DyadError why the link has ended.
   */
  async receive(): Promise<Frame[]> {
    try {
      return (await this.#next()).frames;
    } catch (reason) {
      throw this.#failure ?? ended(reason);
    }
  }

  /** Ends the link because a Send failed. If Listen may still say why, waits for that first. */
  sendFailed(failure: DyadError): void {
    if (failure.code === "session_not_found" || failure.code === "aborted") {
      this.#afterwards ??= setTimeout(() => this.fail(failure), REASON_MS);
    } else {
      this.fail(failure);
    }
  }

  /** Ends the link with this error. */
  fail(failure: DyadError): void {
    this.#failure ??= failure;
    this.close();
  }

  close(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#afterwards);
    this.#abort.abort();
  }

  async #open(): Promise<void> {
    const { client, credentials } = this.#route;
    const { signal } = this.#abort;
    this.#expectMore();
    await credentials.open(async (headers) => {
      this.#headers = headers;
      this.#responses = client.listen({}, { headers, signal })[Symbol.asyncIterator]();
      this.#sessionId = (await this.#next()).sessionId;
    });
    if (this.#sessionId === "") {
      throw new DyadError("protocol", "The server opened no session.");
    }
  }

  async #next(): Promise<ListenResponse> {
    const response = await this.#responses?.next();
    if (response === undefined || response.done === true) {
      throw lost();
    }
    this.#expectMore();
    return response.value;
  }

  #expectMore(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.fail(lost()), SILENCE_MS);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(lost()));
  });
}
