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

test("what was put before anybody asked comes in order, then the end", async () => {
  const queue = new EventQueue<number>();
  [1, 2, 3].forEach((value) => queue.put(value));
  queue.end(undefined);
  assert.deepEqual(await all(queue), [1, 2, 3]);
});

test("whoever waits gets what is put later", async () => {
  const queue = new EventQueue<number>();
  const asked = queue[Symbol.asyncIterator]().next();
  queue.put(7);
  assert.deepEqual(await asked, { value: 7, done: false });
});

test("a failure is told after the last value", async () => {
  const queue = new EventQueue<number>();
  const values = queue[Symbol.asyncIterator]();
  queue.put(1);
  queue.end(new Error("gone"));
  assert.equal((await values.next()).value, 1);
  await assert.rejects(values.next(), /gone/);
});

test("the first end is the one that counts", async () => {
  const queue = new EventQueue<number>();
  queue.end(undefined);
  queue.end(new Error("late"));
  assert.deepEqual(await all(queue), []);
});
