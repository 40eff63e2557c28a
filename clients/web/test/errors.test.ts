import assert from "node:assert/strict";
import { test } from "node:test";

import { Code, ConnectError } from "@connectrpc/connect";

import { cut, type ErrorCode, ended } from "../src/errors.js";

const STATUSES: readonly [status: Code, code: ErrorCode, retryable: boolean][] = [
  [Code.Unauthenticated, "unauthenticated", false],
  [Code.PermissionDenied, "permission_denied", false],
  [Code.NotFound, "session_not_found", true],
  [Code.ResourceExhausted, "resource_exhausted", true],
  [Code.DeadlineExceeded, "deadline_exceeded", false],
  [Code.Aborted, "aborted", false],
  [Code.Unavailable, "unavailable", true],
  // connect-web reports these when a proxy or the network breaks.
  [Code.Unknown, "lost", true],
  [Code.Canceled, "lost", true],
  [Code.Unimplemented, "protocol", false],
];

for (const [status, code, retryable] of STATUSES) {
  test(`the status ${Code[status]} is "${code}" and ${retryable ? "retryable" : "not retryable"}`, () => {
    const failure = ended(new ConnectError("why", status));
    assert.equal(failure.code, code);
    assert.equal(failure.retryable, retryable);
  });
}

test("the time that the server asks to wait is in the error", () => {
  const going = new ConnectError("going away", Code.Unavailable, { "retry-after-ms": "750" });
  assert.equal(ended(going).retryAfterMs, 750);
});

test("a negative time to wait is final, and with ABORTED it means that the seat was taken over", () => {
  const never = { "retry-after-ms": "-1" };
  const taken = ended(new ConnectError("The same user joined.", Code.Aborted, never));
  assert.equal(taken.code, "taken_over");
  assert.equal(taken.message, "The same user joined.");
  const going = ended(new ConnectError("going away", Code.Unavailable, never));
  for (const failure of [taken, going]) {
    assert.equal(failure.final, true);
    assert.equal(failure.retryable, false);
    assert.equal(failure.retryAfterMs, undefined);
  }
});

test("a time to wait that is not a number is ignored", () => {
  const going = new ConnectError("going away", Code.Unavailable, { "retry-after-ms": "soon" });
  assert.equal(ended(going).retryAfterMs, undefined);
});

test("in a room, a status that Dyad did not send is a cut", () => {
  for (const status of [Code.Unimplemented, Code.PermissionDenied, Code.Unauthenticated, Code.NotFound]) {
    const reason = new ConnectError("HTTP 404", status);
    assert.deepEqual([cut(reason).code, cut(reason).cause], ["lost", reason]);
  }
});

test("in a room, a status that Dyad sent keeps its meaning", () => {
  const reason = new ConnectError("Another room.", Code.PermissionDenied, { "dyad-status": "7" });
  assert.equal(cut(reason).code, "permission_denied");
});

test("an error keeps its cause", () => {
  const reason = new ConnectError("HTTP 500", Code.Unknown);
  assert.equal(ended(reason).cause, reason);
});
