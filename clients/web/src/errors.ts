import { type Error as Refusal, Error_Code } from "./gen/dyad/v1/signaling.js";
import { Code, RpcError } from "./rpc.js";

/**
 * Why something failed. The first three lines end the session. The fourth line is what the
 * server refuses, and the last what this library or the browser refuses: the session goes on.
 */
export type ErrorCode =
  // prettier-ignore
  | "unauthenticated" | "permission_denied" | "session_not_found" | "resource_exhausted"
  | "deadline_exceeded" | "aborted" | "taken_over" | "unavailable" | "lost" | "blocked"
  | "closed" | "protocol" | "token_failed"
  | "invalid_frame" | "room_not_found" | "room_full" | "not_in_room" | "peer_absent" | "refused"
  | "too_large" | "invalid_argument" | "in_room" | "unusable_description";

/** What a `DyadError` says besides its code and its sentence. */
export interface DyadErrorOptions {
  /** Whether the same again, with nothing else changed, may help. The default is false. */
  readonly retryable?: boolean;
  /** How long the server asks to wait before that, if it says so. */
  readonly retryAfterMs?: number | undefined;
  /** Whether the server, or the token function by null, said not to reconnect. The default is false. */
  readonly final?: boolean;
  /** The error beneath, such as the one that the app's token function threw. */
  readonly cause?: unknown;
}

/** Every error of this library. Its message is one plain sentence. */
export class DyadError extends Error {
  override readonly name = "DyadError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly final: boolean;

  constructor(code: ErrorCode, message: string, options: DyadErrorOptions = {}) {
    const { retryable = false, retryAfterMs, final = false, cause } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.final = final;
  }
}

// The contract's statuses.
const ENDED: ReadonlyMap<number, readonly [code: ErrorCode, retryable: boolean]> = new Map([
  [Code.Unauthenticated, ["unauthenticated", false]],
  [Code.PermissionDenied, ["permission_denied", false]],
  [Code.NotFound, ["session_not_found", true]],
  [Code.ResourceExhausted, ["resource_exhausted", true]],
  [Code.DeadlineExceeded, ["deadline_exceeded", false]],
  [Code.Aborted, ["aborted", false]],
  [Code.Unavailable, ["unavailable", true]],
]);

// A proxy or a broken network reports these.
const LOST: ReadonlySet<number> = new Set<number>([Code.Unknown, Code.Canceled, Code.DataLoss, Code.Internal]);

const REFUSED: ReadonlyMap<Error_Code, ErrorCode> = new Map([
  [Error_Code.CODE_INVALID_FRAME, "invalid_frame"],
  [Error_Code.CODE_ROOM_NOT_FOUND, "room_not_found"],
  [Error_Code.CODE_ROOM_FULL, "room_full"],
  [Error_Code.CODE_NOT_IN_ROOM, "not_in_room"],
  [Error_Code.CODE_PEER_ABSENT, "peer_absent"],
]);

/** The trailer of every status that Dyad itself sent. */
const DYADS_OWN = "dyad-status";

/** The error for whatever ended a connection or a request before a room was entered. */
export function ended(reason: unknown): DyadError {
  if (reason instanceof DyadError) {
    return reason;
  }
  if (!(reason instanceof RpcError) || LOST.has(reason.code)) {
    return lost(reason);
  }
  const known = ENDED.get(reason.code);
  return known === undefined
    ? new DyadError("protocol", `This is not a Dyad server, or not a compatible version: ${reason.message}`, {
        cause: reason,
      })
    : fromStatus(reason, known);
}

/**
 * The error for whatever ended a connection while in a room. A proxy whose server restarts
 * answers 404 or 403 for a moment, so only a status that Dyad sent is more than a cut.
 */
export function cut(reason: unknown): DyadError {
  const toldByProxy = reason instanceof RpcError && !reason.metadata.has(DYADS_OWN);
  return toldByProxy ? lost(reason) : ended(reason);
}

/** The connection is gone for an unknown reason. */
export function lost(cause?: unknown): DyadError {
  return new DyadError("lost", "The connection to the server was lost.", { retryable: true, cause });
}

/** The server, or something in front of it, answered, but opened no connection. */
export function unusable(cause: RpcError): DyadError {
  return new DyadError("unavailable", `The server cannot open a connection: ${cause.message}`, { retryable: true, cause });
}

/** The server refused one frame. */
export function refused(refusal: Refusal): DyadError {
  return new DyadError(REFUSED.get(refusal.code) ?? "refused", refusal.message);
}

function fromStatus(
  status: RpcError,
  [code, retryable]: readonly [code: ErrorCode, retryable: boolean],
): DyadError {
  const { message, metadata } = status;
  const after = retryAfter(metadata);
  return after !== undefined && after < 0
    ? new DyadError(code === "aborted" ? "taken_over" : code, message, { final: true, cause: status })
    : new DyadError(code, message, { retryable, retryAfterMs: after, cause: status });
}

function retryAfter(metadata: Headers): number | undefined {
  const text = metadata.get("retry-after-ms");
  const milliseconds = text === null ? Number.NaN : Number.parseInt(text, 10);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
