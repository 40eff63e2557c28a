import assert from "node:assert/strict";
import { test } from "node:test";

import { EventQueue } from "../src/event_queue.js";

async function all<T>(queue: EventQueue<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of queue) {
    values.push(value);
  }
  return values;
}

test("values that were put before they were read come in order, then the end", async () => {
  const queue = new EventQueue<number>(10);
  [1, 2, 3].forEach((value) => queue.put(value));
  queue.end(undefined);
  assert.deepEqual(await all(queue), [1, 2, 3]);
});

test("a reader that waits receives a value that is put later", async () => {
  const queue = new EventQueue<number>(10);
  const asked = queue[Symbol.asyncIterator]().next();
  queue.put(7);
  assert.deepEqual(await asked, { value: 7, done: false });
});

test("a failure is thrown after the last value", async () => {
  const queue = new EventQueue<number>(10);
  const values = queue[Symbol.asyncIterator]();
  queue.put(1);
  queue.end(new Error("gone"));
  assert.equal((await values.next()).value, 1);
  await assert.rejects(values.next(), /gone/);
});

test("only the first end counts", async () => {
  const queue = new EventQueue<number>(10);
  queue.end(undefined);
  queue.end(new Error("late"));
  assert.deepEqual(await all(queue), []);
});

test("two readers that wait both learn of the end", async () => {
  const queue = new EventQueue<number>(10);
  const readers = [all(queue), all(queue)];
  queue.end(undefined);
  assert.deepEqual(await Promise.all(readers), [[], []]);
});

test("a queue refuses values past its bound, and keeps those that wait", async () => {
  const queue = new EventQueue<number>(2);
  assert.deepEqual([1, 2, 3].map((value) => queue.put(value)), [true, true, false]);
  queue.end(undefined);
  assert.deepEqual(await all(queue), [1, 2]);
});

test("values that were cleared are not read", async () => {
  const queue = new EventQueue<number>(10);
  queue.put(1);
  queue.clear();
  queue.put(2);
  queue.end(undefined);
  assert.deepEqual(await all(queue), [2]);
});
