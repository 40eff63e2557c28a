import type { Credentials } from "./credentials.js";
import { DyadError, lost } from "./errors.js";
import { type Frame, ListenRequest, ListenResponse, SendRequest } from "./gen/dyad/v1/signaling.js";
import type { Transport } from "./rpc.js";

// The server sends a heartbeat every 10 s.
const SILENCE_MS = 15_000;

// A request on a network connection that died never ends by itself. This is enough for a
// frame of 64 KiB on a slow uplink, and less than the server waits for a join_room.
const SEND_MS = 8_000;

// If a Send fails because the session has ended, Listen will say why within this time.
const REASON_MS = 1_000;

const TOO_MANY_TABS =
  "Over http, a browser opens only six connections to one host, and each tab in a room uses " +
  "one or two. Close other tabs, or use https with HTTP/2.";

/** How a link reaches the server. */
export interface LinkRoute {
  readonly baseUrl: string;
  readonly transport: Transport;
  readonly credentials: Credentials;
}

/**
 * One Listen stream with its Send requests: together they carry frames in both directions.
 * Its methods throw what the transport throws, or the DyadError that the link was ended with.
 */
export class Link {
  readonly #route: LinkRoute;
  readonly #abort: AbortController;
  #responses: AsyncIterator<Uint8Array> | undefined;
  #sessionId = "";
  #streamId = "";
  #roomId = "";
  /** The token and the routing key that opened the link. Every Send uses them. */
  #headers: Readonly<Record<string, string>> = {};
  #failure: DyadError | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #afterwards: ReturnType<typeof setTimeout> | undefined;

  private constructor(route: LinkRoute, abort: AbortController) {
    this.#route = route;
    this.#abort = abort;
    abort.signal.addEventListener("abort", () => {
      clearTimeout(this.#silence);
      clearTimeout(this.#afterwards);
    });
  }

  /**
   * Opens a link, to enter the room `roomId`, or if that is empty to create one. `abort` closes
   * it, even while it is being opened.
   */
  static async open(route: LinkRoute, roomId: string, abort: AbortController): Promise<Link> {
    const link = new Link(route, abort);
    try {
      // The app may never return a token. Closing the link ends that wait too.
      await Promise.race([link.#open(roomId), aborted(abort.signal)]);
      return link;
    } catch (reason) {
      link.close();
      throw link.#failure ?? reason;
    }
  }

  /** The name of the stream in the server's log. Empty if a proxy hides it. */
  get streamId(): string {
    return this.#streamId;
  }

  /** The room to enter. Empty if the server makes it. */
  get roomId(): string {
    return this.#roomId;
  }

  /** Sends frames, or without frames answers a heartbeat. At most one send may be under way. */
  async send(frames: Frame[]): Promise<void> {
    await this.#send(frames, false);
  }

  /** Sends the last frames, which may overtake a send under way, even if the page is unloading. */
  async sendLast(frames: Frame[]): Promise<void> {
    await this.#send(frames, true);
  }

  /** Resolves to the frames of the next response. Without frames it is a heartbeat, to be answered. */
  async receive(): Promise<Frame[]> {
    try {
      return (await this.#next()).frames;
    } catch (reason) {
      throw this.#failure ?? reason;
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
    this.#abort.abort();
  }

  async #send(frames: Frame[], keepalive: boolean): Promise<void> {
    const late = setTimeout(() => this.fail(this.#silent(SEND_MS)), SEND_MS);
    try {
      const request = SendRequest.encode({ sessionId: this.#sessionId, frames }).finish();
      const { signal } = this.#abort;
      await this.#route.transport.unary("Send", request, { headers: this.#headers, signal, keepalive });
    } catch (reason) {
      throw this.#failure ?? reason;
    } finally {
      clearTimeout(late);
    }
  }

  async #open(roomId: string): Promise<void> {
    const { transport, credentials } = this.#route;
    const { signal } = this.#abort;
    this.#expectMore();
    await credentials.open(roomId, async (headers, known) => {
      this.#headers = headers;
      this.#roomId = known;
      const request = ListenRequest.encode({}).finish();
      const onHeaders = (told: Headers): void => {
        this.#streamId = told.get("dyad-stream-id") ?? "";
      };
      this.#responses = transport.stream("Listen", request, { headers, signal, onHeaders })[Symbol.asyncIterator]();
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
    return ListenResponse.decode(response.value);
  }

  #expectMore(): void {
    clearTimeout(this.#silence);
    if (!this.#abort.signal.aborted) {
      this.#silence = setTimeout(() => {
        this.fail(this.#responses === undefined ? tokenIsLate() : this.#silent(SILENCE_MS));
      }, SILENCE_MS);
    }
  }

  #silent(milliseconds: number): DyadError {
    const { protocol, origin } = new URL(this.#route.baseUrl);
    const sentence = `${origin} did not answer for ${milliseconds / 1000} s.`;
    return new DyadError("unavailable", protocol === "http:" ? `${sentence} ${TOO_MANY_TABS}` : sentence, {
      retryable: true,
    });
  }
}

function tokenIsLate(): DyadError {
  const sentence = `The app's function has returned no token for ${SILENCE_MS / 1000} s.`;
  return new DyadError("unavailable", sentence, { retryable: true });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(lost()));
  });
}
