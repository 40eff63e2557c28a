import type { Transport } from "@connectrpc/connect";

import { Connection } from "./connection.js";
import { Credentials, type Token } from "./credentials.js";
import { Link, route } from "./link.js";

export interface ConnectOptions {
  /** Instead of grpc-web over the browser's own fetch. */
  readonly transport?: Transport;
}

/**
 * Opens a session.
 *
 * @param baseUrl where the server's grpc-web face is, such as `location.origin`.
 * @param token the app's JWT; a function is asked before each connection is
 *   opened, and again when one has expired.
 * @throws DyadError when there is no session to be had.
 */
export async function connect(
  baseUrl: string,
  token: Token,
  options: ConnectOptions = {},
): Promise<Connection> {
  const way = route(baseUrl, new Credentials(token), options.transport);
  return new Connection(way, await Link.open(way, new AbortController()));
}
