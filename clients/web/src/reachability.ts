import { DyadError, ended } from "./errors.js";
import { isGrpcWeb, methodUrl } from "./grpc_web.js";
import { Code, RpcError } from "./rpc.js";

const PROBE_MS = 3_000;

/**
 * Says why no connection could be opened, as far as a browser can tell. To a page, a dead
 * server, a wrong address and a missing CORS header are the same error, so this asks again,
 * without the token, if it `may`.
 */
export async function whyUnreachable(baseUrl: string, cause: DyadError, may: boolean): Promise<DyadError> {
  const { origin, protocol, hostname } = new URL(baseUrl);
  const unavailable = (sentence: string): DyadError =>
    new DyadError("unavailable", sentence, { retryable: true, cause: cause.cause ?? cause });
  const blocked = (sentence: string): DyadError =>
    new DyadError("blocked", sentence, { cause: cause.cause ?? cause });

  if (!may || typeof location === "undefined") {
    return unavailable(`The server at ${origin} cannot be reached.`);
  }
  if (location.protocol === "https:" && protocol === "http:" && !isLoopback(hostname)) {
    return blocked(`This page came over https, so the browser blocks its requests to ${origin}. Use an https address.`);
  }
  if (!navigator.onLine) {
    return unavailable("This device is offline.");
  }
  const [listen, anything] = await Promise.all([
    answers(methodUrl(baseUrl, "Listen"), {
      method: "POST",
      headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
    }),
    answers(baseUrl, { mode: "no-cors" }),
  ]);
  if (listen !== undefined && !isGrpcWeb(listen)) {
    return ended(new RpcError(Code.Unimplemented, `HTTP ${listen.status}`));
  }
  if (listen !== undefined) {
    return unavailable(`The connection to ${origin} broke while it was being opened.`);
  }
  return anything !== undefined
    ? blocked(
        `The server at ${origin} answers, but does not allow requests from ${location.origin} (CORS). ` +
          "Is this the address of Dyad's grpc-web proxy, and does its configuration name this page's origin?",
      )
    : unavailable(
        `Nothing answers at ${origin}. Is this the address of Dyad's grpc-web proxy, and is it running?`,
      );
}

async function answers(url: string, options: RequestInit): Promise<Response | undefined> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PROBE_MS);
  try {
    const response = await fetch(url, { ...options, signal: abort.signal, credentials: "omit", cache: "no-store" });
    void response.body?.cancel();
    return response;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Browsers trust plain http to the own machine. */
function isLoopback(hostname: string): boolean {
  return /(^|\.)localhost$|^127\.|^\[::1\]$/.test(hostname);
}
