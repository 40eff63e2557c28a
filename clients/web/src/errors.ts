import { Code, ConnectError } from "@connectrpc/connect";

import { type Error as Refusal, Error_Code } from "./gen/dyad/v1/signaling_pb.js";

/** Why something failed. The first two lines end the connection. After the third it goes on. */
export type ErrorCode =
  // prettier-ignore
  | "unauthenticated" | "permission_denied" | "session_not_found" | "resource_exhausted"
  | "deadline_exceeded" | "aborted" | "taken_over" | "unavailable" | "lost" | "closed" | "protocol"
  | "invalid_frame" | "room_not_found" | "room_full" | "not_in_room" | "peer_absent" | "refused";

/** Every error of this library. Its message is one plain sentence. */
export class DyadError extends Error {
  override readonly name = "DyadError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** Whether connecting again, with nothing else changed, may help. */
    readonly retryable = false,
    /** How long the server asks to wait before that, if it says so. */
    readonly retryAfterMs?: number,
    /** Whether the server said not to reconnect. */
    readonly final = false,
  ) {
    super(message);
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

/** The error for whatever ended a connection or a request. */
export function ended(reason: unknown): DyadError {
  if (reason instanceof DyadError) {
    return reason;
  }
  const status = ConnectError.from(reason);
  const known = ENDED.get(status.code);
  if (known !== undefined) {
    const [code, retryable] = known;
    const after = retryAfter(status);
    if (after !== undefined && after < 0) {
      return new DyadError(code === "aborted" ? "taken_over" : code, status.rawMessage, false, undefined, true);
    }
    return new DyadError(code, status.rawMessage, retryable, after);
  }
  return LOST.has(status.code)
    ? lost()
    : new DyadError("protocol", `This is not a Dyad server, or not a compatible version: ${status.rawMessage}`);
}

/** The connection is gone for an unknown reason. */
export function lost(): DyadError {
  return new DyadError("lost", "The connection to the server was lost.", true);
}

/** No connection could be opened. */
export function unreachable(): DyadError {
  return new DyadError("unavailable", "The server cannot be reached.", true);
}

/** The server refused one frame. */
export function refused(refusal: Refusal): DyadError {
  return new DyadError(REFUSED.get(refusal.code) ?? "refused", refusal.message);
}

function retryAfter(status: ConnectError): number | undefined {
  const text = status.metadata.get("retry-after-ms");
  const milliseconds = text === null ? Number.NaN : Number.parseInt(text, 10);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
