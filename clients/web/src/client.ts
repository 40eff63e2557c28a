import { Connection } from "./connection.js";
import { Credentials, type Token } from "./credentials.js";
import { DyadError } from "./errors.js";
import { GrpcWeb } from "./grpc_web.js";
import { harmless, type Log } from "./log.js";
import { type Limits, Pace, SERVERS_DEFAULTS } from "./pace.js";
import { whyUnreachable } from "./reachability.js";
import type { Transport } from "./rpc.js";

const GIVE_UP_MS = 60_000;

/** How a connection behaves. */
export interface ConnectOptions {
  /** The transport to use. The default is grpc-web over the browser's fetch. */
  readonly transport?: Transport;
  /** How long to try to reconnect after the connection broke. The default is a minute. */
  readonly giveUpAfterMs?: number;
  /** The server's limits, if they are not the defaults. What is too fast for them waits. */
  readonly limits?: Partial<Limits>;
  /**
   * Returns further headers of all requests, such as `traceparent`. It is called before each
   * connection. A proxy for pages of other origins has to allow them (CORS).
   */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Receives what the client does. The default is silence. */
  readonly log?: Log;
}

/**
 * Makes a connection to the server. It uses the network only while in a room, so this neither
 * waits nor fails because of the network: `create` and `join` do.
 *
 * @param baseUrl the address of the server's grpc-web proxy, such as `location.origin`.
 * @param token the app's JWT, or a function that returns one. It is called before each
 *   network connection is opened, and again if a token was refused.
 * @throws DyadError if the address or the token cannot be one.
 */
export function connect(baseUrl: string | URL, token: Token, options: ConnectOptions = {}): Connection {
  const url = addressOf(baseUrl);
  const { transport = new GrpcWeb(url), giveUpAfterMs = GIVE_UP_MS, limits, headers, log } = options;
  const allowed = { ...SERVERS_DEFAULTS, ...limits };
  return new Connection({
    baseUrl: url,
    transport,
    credentials: new Credentials(token, headers),
    pace: new Pace(allowed, performance.now()),
    maxFrameBytes: allowed.maxFrameBytes,
    giveUpAfterMs,
    log: harmless(log),
    whyUnreachable: (failure) => whyUnreachable(url, failure, options.transport === undefined, headers?.()),
  });
}

function addressOf(baseUrl: string | URL): string {
  try {
    const url = new URL(baseUrl, globalThis.location?.href);
    if (url.protocol === "http:" || url.protocol === "https:") {
      return url.href;
    }
  } catch {
    // The sentence below says it.
  }
  throw new DyadError("invalid_argument", "The address of the server has to be an http or https URL, such as https://calls.example.");
}
