import assert from "node:assert/strict";
import { test } from "node:test";

import { Code, ConnectError } from "@connectrpc/connect";

import { type ErrorCode, ended } from "../src/errors.js";

const STATUSES: readonly [status: Code, code: ErrorCode, retryable: boolean][] = [
  [Code.Unauthenticated, "unauthenticated", false],
  [Code.PermissionDenied, "permission_denied", false],
  [Code.NotFound, "session_not_found", true],
  [Code.ResourceExhausted, "resource_exhausted", true],
  [Code.DeadlineExceeded, "deadline_exceeded", false],
  [Code.Aborted, "aborted", false],
  [Code.Unavailable, "unavailable", true],
  // What connect-web says when a proxy or the network goes.
  [Code.Unknown, "lost", true],
  [Code.Canceled, "lost", true],
  [Code.Unimplemented, "protocol", false],
];

for (const [status, code, retryable] of STATUSES) {
  test(`the status ${Code[status]} is "${code}" and ${retryable ? "worth" : "not worth"} another try`, () => {
    const failure = ended(new ConnectError("why", status));
    assert.equal(failure.code, code);
    assert.equal(failure.retryable, retryable);
  });
}

test("the server's own wish for when to come back is kept", () => {
  const going = new ConnectError("going away", Code.Unavailable, { "retry-after-ms": "750" });
  assert.equal(ended(going).retryAfterMs, 750);
});

test("a negative wish is not to come back, and ABORTED with it is a seat taken over", () => {
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

test("a wish that is no number is none", () => {
  const going = new ConnectError("going away", Code.Unavailable, { "retry-after-ms": "soon" });
  assert.equal(ended(going).retryAfterMs, undefined);
});
