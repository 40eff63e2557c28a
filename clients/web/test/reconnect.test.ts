import assert from "node:assert/strict";
import { test } from "node:test";

import { DyadError, type ErrorCode } from "../src/errors.js";
import { ReconnectPolicy, type Step } from "../src/reconnect.js";

const SEATED = { resumable: true, progress: 7n };

function failure(code: ErrorCode, retryAfterMs?: number): DyadError {
  return new DyadError(code, code, { retryAfterMs });
}

/** A policy whose connection broke with `cause` at time 0. Its random waits are the longest. */
function broken(cause: ErrorCode, resumable = true): { policy: ReconnectPolicy; step: Step } {
  const policy = new ReconnectPolicy(60_000, true, () => 1);
  return { policy, step: policy.broke(failure(cause), { ...SEATED, resumable }, 0) };
}

function told(step: Step): string {
  return step.kind === "end" ? `end: ${step.failure.code}` : step.kind;
}

function wait(step: Step): number | string {
  return step.kind === "end" ? told(step) : step.afterMs;
}

const REJOINS: ErrorCode[] = ["unavailable", "lost", "session_not_found", "unauthenticated", "token_failed"];
const ONLY_RESUMES: ErrorCode[] = ["resource_exhausted", "deadline_exceeded"];
const FINAL: ErrorCode[] = ["permission_denied", "aborted", "taken_over", "protocol"];

for (const cause of [...REJOINS, ...ONLY_RESUMES]) {
  test(`after "${cause}" the client resumes`, () => {
    assert.equal(told(broken(cause).step), "resume");
  });
}

for (const cause of REJOINS) {
  test(`after "${cause}" the client joins again if its seat was released`, () => {
    assert.equal(told(broken(cause).policy.failed(failure("aborted"), false, 0)), "rejoin");
  });
}

for (const cause of ONLY_RESUMES) {
  test(`after "${cause}" the client does not join again if its seat was released`, () => {
    assert.equal(told(broken(cause).policy.failed(failure("aborted"), false, 0)), `end: ${cause}`);
  });
}

for (const cause of FINAL) {
  test(`after "${cause}" the client does not reconnect`, () => {
    assert.equal(told(broken(cause).step), `end: ${cause}`);
  });
}

test("a client does not take back a seat that the same user took elsewhere", () => {
  assert.equal(told(broken("lost").policy.failed(failure("taken_over"), false, 0)), "end: taken_over");
});

test("after an error that the server calls final, the client neither resumes nor tries again", () => {
  const final = new DyadError("unavailable", "Do not reconnect.", { final: true });
  assert.equal(told(new ReconnectPolicy(60_000, true).broke(final, SEATED, 0)), "end: unavailable");
  assert.equal(told(broken("lost").policy.failed(final, false, 0)), "end: unavailable");
});

test("an expired token is final if the app can give no other", () => {
  const policy = new ReconnectPolicy(60_000, false);
  assert.equal(told(policy.broke(failure("unauthenticated"), SEATED, 0)), "end: unauthenticated");
});

test("without a resume token the client does not reconnect", () => {
  assert.equal(told(broken("lost", false).step), "end: lost");
});

for (const code of ["unauthenticated", "permission_denied", "room_not_found", "room_full"] as const) {
  test(`a try that fails with "${code}" is the last`, () => {
    assert.equal(told(broken("lost").policy.failed(failure(code), false, 0)), `end: ${code}`);
  });
}

test("a client that may not join again gives up", () => {
  const { policy } = broken("lost");
  policy.failed(failure("aborted"), false, 0);
  assert.equal(told(policy.failed(failure("aborted"), false, 0)), "end: aborted");
});

test("the longest wait grows with each try, to 4 s", () => {
  const { policy, step } = broken("lost");
  const steps = [step, ...Array.from({ length: 7 }, () => policy.failed(failure("lost"), false, 0))];
  assert.deepEqual(steps.map(wait), [100, 250, 500, 1000, 2000, 4000, 4000, 4000]);
});

test("a wait is random, from 0", () => {
  const policy = new ReconnectPolicy(60_000, true, () => 0);
  assert.equal(wait(policy.broke(failure("lost"), SEATED, 0)), 0);
});

test("a wait is at least what the server asks for, and at most half as long again", () => {
  for (const [random, afterMs] of [
    [0, 600],
    [1, 900],
  ] as const) {
    const policy = new ReconnectPolicy(60_000, true, () => random);
    assert.equal(wait(policy.broke(failure("unavailable", 600), SEATED, 0)), afterMs);
  }
});

test("after a hang-up, a client whose resume is refused does not join again", () => {
  const { policy } = broken("lost");
  assert.equal(told(policy.failed(failure("aborted"), true, 0)), "end: lost");
});

test("after the time to give up, the client ends with the last failure", () => {
  const { policy } = broken("lost");
  assert.equal(told(policy.failed(failure("unavailable"), false, 59_000)), "resume");
  assert.equal(told(policy.failed(failure("unavailable"), false, 59_900)), "end: unavailable");
});

test("a connection that breaks at once was a failed try, so the waits grow", () => {
  const { policy } = broken("lost");
  policy.connected(1_000);
  assert.equal(wait(policy.broke(failure("lost"), SEATED, 5_999)), 250);
});

test("after a connection that lasted 5 s, the waits start over", () => {
  const { policy } = broken("lost");
  policy.connected(1_000);
  assert.equal(wait(policy.broke(failure("lost"), SEATED, 6_000)), 100);
});

test("after a connection that carried a frame, the waits start over", () => {
  const { policy } = broken("lost");
  policy.connected(1_000);
  assert.equal(wait(policy.broke(failure("lost"), { ...SEATED, progress: 8n }, 1_001)), 100);
});

test("connections that break at once do not delay giving up", () => {
  const { policy } = broken("lost");
  policy.connected(59_000);
  policy.broke(failure("lost"), SEATED, 59_001);
  policy.connected(59_900);
  assert.equal(wait(policy.broke(failure("lost"), SEATED, 59_901)), "end: lost");
});

test("after a change of the network, the waits and the time to give up start over", () => {
  const { policy } = broken("lost");
  policy.failed(failure("lost"), false, 50_000);
  policy.networkChanged(59_000);
  assert.equal(wait(policy.failed(failure("lost"), false, 59_000)), 100);
  assert.equal(told(policy.failed(failure("lost"), false, 118_000)), "resume");
});
