import assert from "node:assert/strict";
import { test } from "node:test";

import { Comeback, type Step } from "../src/comeback.js";
import { DyadError, type ErrorCode } from "../src/errors.js";

function failure(code: ErrorCode, retryAfterMs?: number): DyadError {
  return new DyadError(code, code, false, retryAfterMs);
}

/** Lost the connection by `cause`; the longest waits. */
function away(cause: ErrorCode, resumable = true): { comeback: Comeback; step: Step } {
  const comeback = new Comeback(60_000, true, () => 1);
  return { comeback, step: comeback.lost(failure(cause), resumable, 0) };
}

function told(step: Step): string {
  return step.kind === "end" ? `end: ${step.failure.code}` : step.kind;
}

const COMES_BACK: ErrorCode[] = ["unavailable", "lost", "session_not_found", "unauthenticated"];
const COMES_BACK_ONCE: ErrorCode[] = ["resource_exhausted", "deadline_exceeded"];
const FINAL: ErrorCode[] = ["permission_denied", "aborted", "taken_over", "protocol"];

for (const cause of [...COMES_BACK, ...COMES_BACK_ONCE]) {
  test(`after "${cause}" one comes back`, () => {
    assert.equal(told(away(cause).step), "resume");
  });
}

for (const cause of COMES_BACK) {
  test(`after "${cause}" a seat that is no longer held is taken anew`, () => {
    assert.equal(told(away(cause).comeback.failed(failure("aborted"), false, 0)), "rejoin");
  });
}

for (const cause of COMES_BACK_ONCE) {
  test(`after "${cause}" a seat that is no longer held is the end`, () => {
    assert.equal(told(away(cause).comeback.failed(failure("aborted"), false, 0)), `end: ${cause}`);
  });
}

for (const cause of FINAL) {
  test(`"${cause}" is the end`, () => {
    assert.equal(told(away(cause).step), `end: ${cause}`);
  });
}

test("a seat that the same user took elsewhere is not taken back", () => {
  assert.equal(told(away("lost").comeback.failed(failure("taken_over"), false, 0)), "end: taken_over");
});

test("whatever the server calls final is the end, also of a try", () => {
  const final = new DyadError("unavailable", "Do not come back.", false, undefined, true);
  assert.equal(told(new Comeback(60_000, true).lost(final, true, 0)), "end: unavailable");
  assert.equal(told(away("lost").comeback.failed(final, false, 0)), "end: unavailable");
});

test("a token that expired is the end where there is no other", () => {
  const comeback = new Comeback(60_000, false);
  assert.equal(told(comeback.lost(failure("unauthenticated"), true, 0)), "end: unauthenticated");
});

test("without a token to come back with, the end is said at once", () => {
  assert.equal(told(away("lost", false).step), "end: lost");
});

for (const code of ["unauthenticated", "permission_denied", "room_not_found", "room_full"] as const) {
  test(`a try that fails by "${code}" is the last`, () => {
    assert.equal(told(away("lost").comeback.failed(failure(code), false, 0)), `end: ${code}`);
  });
}

test("a seat taken anew and lost once more by the same means is the end", () => {
  const { comeback } = away("lost");
  comeback.failed(failure("aborted"), false, 0);
  assert.equal(told(comeback.failed(failure("aborted"), false, 0)), "end: aborted");
});

test("each wait is longer than the one before, to 4 s", () => {
  const { comeback, step } = away("lost");
  const waits = [step, ...Array.from({ length: 7 }, () => comeback.failed(failure("lost"), false, 0))];
  assert.deepEqual(
    waits.map((one) => (one.kind === "end" ? one : one.afterMs)),
    [100, 250, 500, 1000, 2000, 4000, 4000, 4000],
  );
});

test("a wait is random, from nothing on", () => {
  const comeback = new Comeback(60_000, true, () => 0);
  assert.deepEqual(comeback.lost(failure("lost"), true, 0), { kind: "resume", afterMs: 0 });
});

test("the server's wish is kept, and up to half as much again added", () => {
  for (const [random, afterMs] of [
    [0, 600],
    [1, 900],
  ] as const) {
    const comeback = new Comeback(60_000, true, () => random);
    assert.deepEqual(comeback.lost(failure("unavailable", 600), true, 0), { kind: "resume", afterMs });
  }
});

test("who has hung up and is refused has left, and takes no seat anew", () => {
  const { comeback } = away("lost");
  assert.equal(told(comeback.failed(failure("aborted"), true, 0)), "end: lost");
});

test("who has hung up tries no longer than the seat is held", () => {
  const { comeback } = away("lost");
  assert.equal(told(comeback.failed(failure("lost"), true, 14_000)), "resume");
  assert.equal(told(comeback.failed(failure("lost"), true, 15_000)), "end: lost");
});

test("after the time that was given the last failure is the end", () => {
  const { comeback } = away("lost");
  assert.equal(told(comeback.failed(failure("unavailable"), false, 59_000)), "resume");
  assert.equal(told(comeback.failed(failure("unavailable"), false, 59_900)), "end: unavailable");
});

test("a connection that was lost at once was a failed try, and one that held was none", () => {
  const { comeback } = away("lost");
  comeback.back(1_000);
  assert.deepEqual(comeback.lost(failure("lost"), true, 1_999), { kind: "resume", afterMs: 250 });
  comeback.back(6_000);
  assert.deepEqual(comeback.lost(failure("lost"), true, 7_000), { kind: "resume", afterMs: 100 });
});
