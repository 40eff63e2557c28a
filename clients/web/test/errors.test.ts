import assert from "node:assert/strict";
import { test } from "node:test";

import { cut, type ErrorCode, ended } from "../src/errors.js";
import { Code, RpcError } from "../src/rpc.js";

const STATUSES: readonly [status: keyof typeof Code, code: ErrorCode, retryable: boolean][] = [
  ["Unauthenticated", "unauthenticated", false],
  ["PermissionDenied", "permission_denied", false],
  ["NotFound", "session_not_found", true],
  ["ResourceExhausted", "resource_exhausted", true],
  ["DeadlineExceeded", "deadline_exceeded", false],
  ["Aborted", "aborted", false],
  ["Unavailable", "unavailable", true],
  // A proxy or the network breaks.
  ["Unknown", "lost", true],
  ["Canceled", "lost", true],
  ["Unimplemented", "protocol", false],
];

for (const [status, code, retryable] of STATUSES) {
  test(`the status ${status} is "${code}" and ${retryable ? "retryable" : "not retryable"}`, () => {
    const failure = ended(new RpcError(Code[status], "why"));
    assert.equal(failure.code, code);
    assert.equal(failure.retryable, retryable);
  });
}

test("the time that the server asks to wait is in the error", () => {
  const going = new RpcError(Code.Unavailable, "going away", new Headers({ "retry-after-ms": "750" }));
  assert.equal(ended(going).retryAfterMs, 750);
});

test("a negative time to wait is final, and with ABORTED it means that the seat was taken over", () => {
  const never = { "retry-after-ms": "-1" };
  const taken = ended(new RpcError(Code.Aborted, "The same user joined.", new Headers(never)));
  assert.equal(taken.code, "taken_over");
  assert.equal(taken.message, "The same user joined.");
  const going = ended(new RpcError(Code.Unavailable, "going away", new Headers(never)));
  for (const failure of [taken, going]) {
    assert.equal(failure.final, true);
    assert.equal(failure.retryable, false);
    assert.equal(failure.retryAfterMs, undefined);
  }
});

test("a time to wait that is not a number is ignored", () => {
  const going = new RpcError(Code.Unavailable, "going away", new Headers({ "retry-after-ms": "soon" }));
  assert.equal(ended(going).retryAfterMs, undefined);
});

test("in a room, a status that Dyad did not send is a cut", () => {
  for (const status of ["Unimplemented", "PermissionDenied", "Unauthenticated", "NotFound"] as const) {
    const reason = new RpcError(Code[status], "HTTP 404");
    assert.deepEqual([cut(reason).code, cut(reason).cause], ["lost", reason]);
  }
});

test("in a room, a status that Dyad sent keeps its meaning", () => {
  const reason = new RpcError(Code.PermissionDenied, "Another room.", new Headers({ "dyad-status": "7" }));
  assert.equal(cut(reason).code, "permission_denied");
});

test("an error keeps its cause", () => {
  const reason = new RpcError(Code.Unknown, "HTTP 500");
  assert.equal(ended(reason).cause, reason);
});
