import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { Connection } from "./connection.js";
import { Credentials, type Token } from "./credentials.js";
import { Signaling } from "./gen/dyad/v1/signaling_pb.js";
import { Link } from "./link.js";

const GIVE_UP_MS = 60_000;

export interface ConnectOptions {
  /** Instead of grpc-web over the browser's own fetch. */
  readonly transport?: Transport;
  /** How long to try to reconnect after the connection broke; a minute by default. */
  readonly giveUpAfterMs?: number;
}

/**
 * Opens a session.
 *
 * @param baseUrl where the server's grpc-web face is, such as `location.origin`.
 * @param token the app's JWT; a function is asked before each connection is
 *   opened, and again when a token was refused.
 * @throws DyadError when there is no session to be had.
 */
export async function connect(
  baseUrl: string,
  token: Token,
  options: ConnectOptions = {},
): Promise<Connection> {
  const { transport, giveUpAfterMs = GIVE_UP_MS } = options;
  const lasting = (input: RequestInfo | URL, init?: RequestInit) => fetch(input, { ...init, keepalive: true });
  const route = {
    client: createClient(Signaling, transport ?? createGrpcWebTransport({ baseUrl })),
    farewell: createClient(Signaling, transport ?? createGrpcWebTransport({ baseUrl, fetch: lasting })),
    credentials: new Credentials(token),
    giveUpAfterMs,
  };
  return new Connection(route, await Link.open(route, new AbortController()));
}
