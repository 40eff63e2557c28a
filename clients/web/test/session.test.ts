import assert from "node:assert/strict";
import { test } from "node:test";

import { type Numbered, Session } from "../src/session.js";

interface Said extends Numbered {
  readonly what: string;
}

function said(what: string): Said {
  return { seq: 0n, ack: 0n, what };
}

function kept(...frames: string[]): Session<Said> {
  const session = new Session<Said>();
  session.keep(true);
  frames.forEach((what) => session.put(said(what), 10));
  return session;
}

const words = (frames: Said[]): string[] => frames.map(({ what }) => what);
const numbers = (frames: Said[]): number[] => frames.map(({ seq }) => Number(seq));

test("frames are numbered from 1, and sent together, in order and once", () => {
  const session = kept("a", "b");
  assert.deepEqual(numbers(session.take()), [1, 2]);
  assert.deepEqual(session.take(), []);
  session.put(said("c"), 10);
  assert.deepEqual(numbers(session.take()), [3]);
});

test("the last frame of a batch acknowledges what was received", () => {
  const session = kept("a", "b");
  session.arrive(1n, 10);
  session.arrive(2n, 10);
  assert.deepEqual(session.take().map(({ ack }) => ack), [0n, 2n]);
});

test("a number that was received before is a duplicate, and a number after the next is a gap", () => {
  const session = kept();
  assert.equal(session.arrive(1n, 10), "new");
  assert.equal(session.arrive(1n, 10), "duplicate");
  assert.equal(session.arrive(3n, 10), "gap");
  assert.equal(session.arrive(2n, 10), "new");
  assert.equal(session.arrive(0n, 10), "new");
  assert.equal(session.received, 2n);
});

test("after a rewind, frames that the server lacks are sent again with their numbers, then new ones", () => {
  const session = kept("a", "b", "c");
  session.take();
  session.put(said("d"), 10);
  assert.equal(session.rewind(1n), true);
  const again = session.take();
  assert.deepEqual(words(again), ["b", "c", "d"]);
  assert.deepEqual(numbers(again), [2, 3, 4]);
});

test("acknowledged frames are not sent again", () => {
  const session = kept("a", "b", "c");
  session.take();
  session.acknowledged(2n);
  session.rewind(2n);
  assert.deepEqual(words(session.take()), ["c"]);
});

test("a rewind fails before a frame that was acknowledged, or after one that was never sent", () => {
  const session = kept("a", "b");
  session.take();
  session.acknowledged(2n);
  assert.equal(session.rewind(1n), false);
  const other = kept("a");
  other.take();
  assert.equal(other.rewind(7n), false);
});

test("an acknowledgement of a frame that still waits does not lose it", () => {
  const session = kept("a");
  session.acknowledged(1n);
  assert.deepEqual(words(session.take()), ["a"]);
});

test("without keep, a frame is forgotten once it is confirmed", () => {
  const session = new Session<Said>();
  session.put(said("a"), 10);
  session.take();
  session.put(said("b"), 10);
  session.confirm(1n);
  assert.deepEqual(words(session.takeUnconfirmed()), ["b"]);
  session.confirm(2n);
  assert.equal(session.rewind(2n), true);
});

test("what the server may lack is sent together: frames under way again, and those that wait", () => {
  const session = kept("a", "b");
  session.take();
  session.confirm(1n);
  session.put(said("c"), 10);
  assert.deepEqual(session.unconfirmed, { frames: 2, bytes: 20 });
  assert.deepEqual(words(session.takeUnconfirmed()), ["b", "c"]);
  assert.deepEqual(session.take(), []);
});

test("frames that were never sent can be discarded, and the next frame takes their number", () => {
  const session = kept("a");
  session.take();
  session.put(said("b"), 10);
  session.rewind(0n);
  session.discardUnsent();
  session.put(said("c"), 10);
  const again = session.take();
  assert.deepEqual(words(again), ["a", "c"]);
  assert.deepEqual(numbers(again), [1, 2]);
});

test("an acknowledgement of frames that were never sent confirms nothing", () => {
  const session = kept("a");
  session.acknowledged(7n);
  assert.deepEqual(session.unconfirmed, { frames: 1, bytes: 10 });
});

test("at most so many frames and bytes are sent together, but at least one frame", () => {
  const session = kept("a", "b", "c", "d");
  assert.equal(session.take({ frames: 2, bytes: 1000 }).length, 2);
  assert.equal(session.take({ frames: 1000, bytes: 15 }).length, 1);
  assert.equal(session.take({ frames: 0, bytes: 0 }).length, 1);
});

test("no more than 256 frames are unacknowledged", () => {
  const session = kept(...Array.from({ length: 300 }, (_, index) => `${index}`));
  assert.equal(session.take().length, 256);
  assert.deepEqual(session.take(), []);
  session.acknowledged(10n);
  assert.equal(session.take().length, 10);
});

test("no more than 256 KiB are unacknowledged, and at most 64 KiB are sent together", () => {
  const session = kept();
  for (let index = 0; index < 20; index += 1) {
    session.put(said("large"), 30 * 1024);
  }
  for (let sent = 0; sent < 8; sent += 2) {
    assert.equal(session.take().length, 2);
  }
  assert.equal(session.nextSize, undefined);
  assert.deepEqual(session.take(), []);
  session.acknowledged(1n);
  assert.equal(session.take().length, 1);
});

test("a frame larger than the bounds waits for no acknowledgement that is not due", () => {
  const session = kept("small");
  session.put(said("huge"), 300 * 1024);
  assert.deepEqual(words(session.take()), ["small"]);
  assert.deepEqual(words(session.take()), ["huge"]);
  session.put(said("small"), 10);
  assert.deepEqual(session.take(), []);
});

test("a frame larger than the bounds is sent alone", () => {
  const session = kept();
  session.put(said("huge"), 300 * 1024);
  assert.deepEqual(words(session.take()), ["huge"]);
});

test("an acknowledgement is due after 32 frames or 32 KiB, until it is sent", () => {
  const session = kept();
  for (let seq = 1n; seq <= 31n; seq += 1n) session.arrive(seq, 10);
  assert.equal(session.ackDue, false);
  session.arrive(32n, 10);
  assert.equal(session.ackDue, true);
  assert.equal(session.ack(), 32n);
  assert.equal(session.ackDue, false);
  session.arrive(33n, 32 * 1024);
  assert.equal(session.ackDue, true);
  session.put(said("carries it"), 10);
  session.take();
  assert.equal(session.ackDue, false);
});

test("after a rewind an acknowledgement is due, even without a frame to send", () => {
  const session = kept();
  session.arrive(1n, 10);
  session.rewind(0n);
  assert.equal(session.ackDue, true);
  session.ack();
  assert.equal(session.ackDue, false);
});

test("progress grows with frames received and frames acknowledged, not with frames that wait", () => {
  const session = kept("a");
  const { progress } = session;
  session.take();
  session.put(said("b"), 10);
  session.arrive(0n, 10);
  assert.equal(session.progress, progress);
  session.acknowledged(1n);
  assert.equal(session.progress, progress + 1n);
  session.arrive(1n, 10);
  assert.equal(session.progress, progress + 2n);
});
