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

test("frames are numbered from 1 and go out together, in order, once", () => {
  const session = kept("a", "b");
  assert.deepEqual(numbers(session.take()), [1, 2]);
  assert.deepEqual(session.take(), []);
  session.put(said("c"), 10);
  assert.deepEqual(numbers(session.take()), [3]);
});

test("the last frame of a batch acknowledges what was taken in", () => {
  const session = kept("a", "b");
  session.arrive(1n, 10);
  session.arrive(2n, 10);
  assert.deepEqual(session.take().map(({ ack }) => ack), [0n, 2n]);
});

test("a number that was taken in before is a duplicate, and one too far a gap", () => {
  const session = kept();
  assert.equal(session.arrive(1n, 10), "new");
  assert.equal(session.arrive(1n, 10), "duplicate");
  assert.equal(session.arrive(3n, 10), "gap");
  assert.equal(session.arrive(2n, 10), "new");
  assert.equal(session.arrive(0n, 10), "new");
  assert.equal(session.takenIn, 2n);
});

test("over another connection goes what the server lacks, with the numbers it had, then what is new", () => {
  const session = kept("a", "b", "c");
  session.take();
  session.put(said("d"), 10);
  assert.equal(session.rewind(1n), true);
  const again = session.take();
  assert.deepEqual(words(again), ["b", "c", "d"]);
  assert.deepEqual(numbers(again), [2, 3, 4]);
});

test("what the server has acknowledged does not go again", () => {
  const session = kept("a", "b", "c");
  session.take();
  session.acknowledged(2n);
  session.rewind(2n);
  assert.deepEqual(words(session.take()), ["c"]);
});

test("a server that lacks what was acknowledged, or has what was never sent, is out of step", () => {
  const session = kept("a", "b");
  session.take();
  session.acknowledged(2n);
  assert.equal(session.rewind(1n), false);
  const other = kept("a");
  other.take();
  assert.equal(other.rewind(7n), false);
});

test("an acknowledgement of what still waits does not lose it", () => {
  const session = kept("a");
  session.acknowledged(1n);
  assert.deepEqual(words(session.take()), ["a"]);
});

test("what is not to be kept goes once", () => {
  const session = new Session<Said>();
  session.put(said("a"), 10);
  session.take();
  session.put(said("b"), 10);
  assert.deepEqual(words(session.take()), ["b"]);
});

test("no more than 256 frames stand unacknowledged", () => {
  const session = kept(...Array.from({ length: 300 }, (_, index) => `${index}`));
  assert.equal(session.take().length, 256);
  assert.deepEqual(session.take(), []);
  session.acknowledged(10n);
  assert.equal(session.take().length, 10);
});

test("no more than 256 KiB stand unacknowledged, and at most 200 KiB go together", () => {
  const session = kept();
  for (let index = 0; index < 10; index += 1) {
    session.put(said("large"), 60 * 1024);
  }
  assert.equal(session.take().length, 3);
  assert.equal(session.take().length, 1);
  assert.deepEqual(session.take(), []);
  session.acknowledged(1n);
  assert.equal(session.take().length, 1);
});

test("a frame larger than the bounds goes alone", () => {
  const session = kept();
  session.put(said("huge"), 300 * 1024);
  assert.deepEqual(words(session.take()), ["huge"]);
});

test("an acknowledgement is due after 32 frames or 32 KiB, until one goes", () => {
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

test("after a resume an acknowledgement goes at once, even if there is nothing else to send", () => {
  const session = kept();
  session.arrive(1n, 10);
  session.rewind(0n);
  assert.equal(session.ackDue, true);
  session.ack();
  assert.equal(session.ackDue, false);
});

test("progress grows with a frame that arrived and one that was acknowledged, not with one that waits", () => {
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
