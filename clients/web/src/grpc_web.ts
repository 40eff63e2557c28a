import { envelopes, inEnvelope, TRAILERS } from "./envelopes.js";
import { Code, RpcError, type RpcOptions, type Transport } from "./rpc.js";

export const HEADERS = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };

// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
const HTTP_STATUSES: ReadonlyMap<number, number> = new Map([
  [400, Code.Internal],
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.Unimplemented],
  [429, Code.Unavailable],
  [502, Code.Unavailable],
  [503, Code.Unavailable],
  [501, Code.Unimplemented],
  [504, Code.Unavailable],
]);

function statusOf(http: number): number {
  // Another server than Dyad's proxy refuses what it does not know.
  return HTTP_STATUSES.get(http) ?? (http < 500 ? Code.Unimplemented : Code.Unknown);
}

/** RPCs by grpc-web, over the browser's fetch. */
export class GrpcWeb implements Transport {
  readonly #baseUrl: string;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  async unary(method: string, request: Uint8Array, options: RpcOptions): Promise<Uint8Array> {
    let only: Uint8Array | undefined;
    for await (const message of this.stream(method, request, options)) {
      only = message;
    }
    if (only === undefined) {
      throw new RpcError(Code.Unknown, "The response has no message.");
    }
    return only;
  }

  async *stream(method: string, request: Uint8Array, options: RpcOptions): AsyncGenerator<Uint8Array> {
    const { headers, signal, keepalive = false, onHeaders } = options;
    const response = await fetch(methodUrl(this.#baseUrl, method), {
      method: "POST",
      headers: { ...HEADERS, ...headers },
      body: inEnvelope(request),
      redirect: "error",
      signal,
      keepalive,
    });
    onHeaders?.(response.headers);
    checkHead(response);
    // React Native's fetch leaves it undefined.
    if (!response.body) {
      throw new RpcError(Code.Unknown, "This fetch does not stream responses. Pass a transport that does.");
    }
    let complete = response.headers.has("grpc-status");
    for await (const { flags, content } of envelopes(response.body)) {
      if (flags === TRAILERS) {
        checkStatus(trailersIn(content));
        complete = true;
      } else if (flags === 0) {
        yield content;
      } else {
        throw new RpcError(Code.Internal, "The response is compressed, or is not gRPC.");
      }
    }
    // Firefox and Node do not report an abort that comes before the first read.
    signal.throwIfAborted();
    if (!complete) {
      throw new RpcError(Code.Unknown, "The response has no status.");
    }
  }
}

/** The address of a method of the service. */
export function methodUrl(baseUrl: string, method: string): string {
  return `${baseUrl.replace(/\/$/, "")}/dyad.v1.Signaling/${method}`;
}

/** Throws if the headers say that this is no answer of the service, or has the status instead of trailers. */
function checkHead(response: Response): void {
  const { ok, status, headers } = response;
  if (headers.has("grpc-status")) {
    checkStatus(headers);
  } else if (!ok) {
    throw new RpcError(statusOf(status), `HTTP ${status}`, headers);
  } else if (!isGrpcWeb(response)) {
    throw new RpcError(Code.Unimplemented, "The answer is a web page or a file, not grpc-web.", headers);
  }
}

export function isGrpcWeb({ headers }: Response): boolean {
  return /^application\/grpc-web\b/.test(headers.get("content-type") ?? "");
}

function checkStatus(trailers: Headers): void {
  const code = Number.parseInt(trailers.get("grpc-status") ?? "", 10);
  if (code !== 0) {
    throw new RpcError(Number.isNaN(code) ? Code.Unknown : code, sentenceIn(trailers), trailers);
  }
}

function sentenceIn(trailers: Headers): string {
  const text = trailers.get("grpc-message") ?? "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function trailersIn(content: Uint8Array): Headers {
  const trailers = new Headers();
  for (const line of new TextDecoder().decode(content).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) {
      trailers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
  }
  return trailers;
}
