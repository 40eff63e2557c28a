import { Code, ConnectError } from "@connectrpc/connect";

import { type Error as Refusal, Error_Code } from "./gen/dyad/v1/signaling_pb.js";

/**
 * Why something failed. The first three lines end the session. The fourth line is what the
 * server refuses, and the last what this library refuses: the session goes on.
 */
export type ErrorCode =
  // prettier-ignore
  | "unauthenticated" | "permission_denied" | "session_not_found" | "resource_exhausted"
  | "deadline_exceeded" | "aborted" | "taken_over" | "unavailable" | "lost" | "blocked"
  | "closed" | "protocol"
  | "invalid_frame" | "room_not_found" | "room_full" | "not_in_room" | "peer_absent" | "refused"
  | "too_large" | "invalid_argument" | "in_room";

/** What a `DyadError` says besides its code and its sentence. */
export interface DyadErrorOptions {
  /** Whether the same again, with nothing else changed, may help. The default is false. */
  readonly retryable?: boolean;
  /** How long the server asks to wait before that, if it says so. */
  readonly retryAfterMs?: number | undefined;
  /** Whether the server said not to reconnect. The default is false. */
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

// The contract's statuses. If the server is out of reach, a proxy or the browser
// reports something else, which connect-web turns into Unknown.
const ENDED: ReadonlyMap<Code, readonly [code: ErrorCode, retryable: boolean]> = new Map([
  [Code.Unauthenticated, ["unauthenticated", false]],
  [Code.PermissionDenied, ["permission_denied", false]],
  [Code.NotFound, ["session_not_found", true]],
  [Code.ResourceExhausted, ["resource_exhausted", true]],
  [Code.DeadlineExceeded, ["deadline_exceeded", false]],
  [Code.Aborted, ["aborted", false]],
  [Code.Unavailable, ["unavailable", true]],
]);

const LOST: ReadonlySet<Code> = new Set([Code.Unknown, Code.Canceled, Code.DataLoss, Code.Internal]);

const REFUSED: ReadonlyMap<Error_Code, ErrorCode> = new Map([
  [Error_Code.INVALID_FRAME, "invalid_frame"],
  [Error_Code.ROOM_NOT_FOUND, "room_not_found"],
  [Error_Code.ROOM_FULL, "room_full"],
  [Error_Code.NOT_IN_ROOM, "not_in_room"],
  [Error_Code.PEER_ABSENT, "peer_absent"],
]);

/** The trailer of every status that Dyad itself sent. */
const DYADS_OWN = "dyad-status";

/** The error for whatever ended a connection or a request before a room was entered. */
export function ended(reason: unknown): DyadError {
  if (reason instanceof DyadError) {
    return reason;
  }
  const status = ConnectError.from(reason);
  const known = ENDED.get(status.code);
  if (known !== undefined) {
    return fromStatus(status, known);
  }
  return LOST.has(status.code)
    ? lost(reason)
    : new DyadError("protocol", `This is not a Dyad server, or not a compatible version: ${status.rawMessage}`, {
        cause: reason,
      });
}

/**
 * The error for whatever ended a connection while in a room. A proxy whose server restarts
 * answers 404 or 403 for a moment, so only a status that Dyad sent is more than a cut.
 */
export function cut(reason: unknown): DyadError {
  const sentByDyad = reason instanceof DyadError || ConnectError.from(reason).metadata.has(DYADS_OWN);
  return sentByDyad ? ended(reason) : lost(reason);
}

/** The connection is gone for an unknown reason. */
export function lost(cause?: unknown): DyadError {
  return new DyadError("lost", "The connection to the server was lost.", { retryable: true, cause });
}

/** The server refused one frame. */
export function refused(refusal: Refusal): DyadError {
  return new DyadError(REFUSED.get(refusal.code) ?? "refused", refusal.message);
}

function fromStatus(
  status: ConnectError,
  [code, retryable]: readonly [code: ErrorCode, retryable: boolean],
): DyadError {
  const cause = status;
  const after = retryAfter(status);
  return after !== undefined && after < 0
    ? new DyadError(code === "aborted" ? "taken_over" : code, status.rawMessage, { final: true, cause })
    : new DyadError(code, status.rawMessage, { retryable, retryAfterMs: after, cause });
}

function retryAfter(status: ConnectError): number | undefined {
  const text = status.metadata.get("retry-after-ms");
  const milliseconds = text === null ? Number.NaN : Number.parseInt(text, 10);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
