/** The gRPC status codes that this client tells apart. */
export const Code = {
  Canceled: 1,
  Unknown: 2,
  DeadlineExceeded: 4,
  NotFound: 5,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  Aborted: 10,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** An RPC that ended with another status than OK. */
export class RpcError extends Error {
  override readonly name = "RpcError";

  constructor(
    /** The gRPC status code. */
    readonly code: number,
    /** The server's sentence. */
    message: string,
    /** The trailers, and the headers if there were no trailers. */
    readonly metadata = new Headers(),
  ) {
    super(message);
  }
}

/** What goes with an RPC besides its message. */
export interface RpcOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the RPC. */
  readonly signal: AbortSignal;
  /** Whether the request has to continue after the page has unloaded. */
  readonly keepalive?: boolean;
  /** Is called with the headers of the answer, before its first message. */
  readonly onHeaders?: (headers: Headers) => void;
}

/**
 * Carries RPCs of the service `dyad.v1.Signaling`. Both methods throw an RpcError if the RPC
 * ends with a status, and anything else if the network fails.
 */
export interface Transport {
  /** An RPC with one response. */
  unary(method: string, request: Uint8Array, options: RpcOptions): Promise<Uint8Array>;
  /** An RPC with a stream of responses. It is over when the iteration ends or throws. */
  stream(method: string, request: Uint8Array, options: RpcOptions): AsyncIterable<Uint8Array>;
}
