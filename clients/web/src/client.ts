import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { Connection } from "./connection.js";
import { Credentials, type Token } from "./credentials.js";
import { Signaling } from "./gen/dyad/v1/signaling_pb.js";
import { Link } from "./link.js";

const GIVE_UP_MS = 60_000;

export interface ConnectOptions {
  /** The transport to use. The default is grpc-web over the browser's fetch. */
  readonly transport?: Transport;
  /** How long to try to reconnect after the connection broke. The default is a minute. */
  readonly giveUpAfterMs?: number;
}

/**
 * Opens a connection to the server.
 *
 * @param baseUrl the address of the server's grpc-web proxy, such as `location.origin`.
 * @param token the app's JWT, or a function that returns one. It is called before each
 *   connection is opened, and again if a token was refused.
 * @throws DyadError if no connection could be opened.
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
