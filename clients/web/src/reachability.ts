import { DyadError, ended } from "./errors.js";
import { HEADERS, isGrpcWeb, methodUrl } from "./grpc_web.js";
import { Code, RpcError } from "./rpc.js";

const PROBE_MS = 3_000;

/** What a request has besides `HEADERS`. A proxy must allow each of them to pages of other origins. */
const OWN_HEADERS = { authorization: "Bearer probe", "dyad-routing-key": "00000000" };

/**
 * Says why no connection could be opened, as far as a browser can tell. To a page, a dead
 * server, a wrong address and a missing CORS header are the same error, so this asks again,
 * without the token, if it `may`. `further` are the headers that the app adds.
 */
export async function whyUnreachable(
  baseUrl: string,
  cause: DyadError,
  may: boolean,
  further: Readonly<Record<string, string>> = {},
): Promise<DyadError> {
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
  const ask = (more: Record<string, string>): Promise<Answer> =>
    answers(methodUrl(baseUrl, "Listen"), { method: "POST", headers: { ...HEADERS, ...more } });
  const own = Object.entries({ ...further, ...OWN_HEADERS });
  const [listen, anything, ...allowed] = await Promise.all([
    ask({}),
    answers(baseUrl, { mode: "no-cors" }),
    ...own.map(([name, value]) => ask({ [name]: value })),
  ]);
  if (typeof listen === "object" && !isGrpcWeb(listen)) {
    return ended(new RpcError(Code.Unimplemented, `HTTP ${listen.status}`));
  }
  const refused = own.map(([name]) => name).filter((_, index) => allowed[index] === "refused");
  if (typeof listen === "object" && refused.length > 0) {
    return blocked(
      `The server at ${origin} allows requests from ${location.origin}, but not with the header ` +
        `${refused.join(" or ")} (CORS). Add it to the allowed headers in the configuration of the proxy.`,
    );
  }
  if (typeof listen === "object") {
    return unavailable(`The connection to ${origin} broke while it was being opened.`);
  }
  return typeof anything === "object"
    ? blocked(
        `The server at ${origin} answers, but does not allow requests from ${location.origin} (CORS). ` +
          "Is this the address of Dyad's grpc-web proxy, and does its configuration name this page's origin? " +
          `With dyad dev, that is --origin ${location.origin}.`,
      )
    : unavailable(
        `Nothing answers at ${origin}. Is this the address of Dyad's grpc-web proxy, and is it running?`,
      );
}

/** Late is what does not come within the time limit. */
type Answer = Response | "refused" | "late";

async function answers(url: string, options: RequestInit): Promise<Answer> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PROBE_MS);
  try {
    const response = await fetch(url, { ...options, signal: abort.signal, credentials: "omit", cache: "no-store" });
    void response.body?.cancel();
    return response;
  } catch {
    return abort.signal.aborted ? "late" : "refused";
  } finally {
    clearTimeout(timer);
  }
}

/** Browsers trust plain http to the own machine. */
function isLoopback(hostname: string): boolean {
  return /(^|\.)localhost$|^127\.|^\[::1\]$/.test(hostname);
}
