import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox } from "../src/outbox.js";

/** A connection on which each batch is under way until the test lets it arrive or fail. */
class Way {
  readonly sent: string[][] = [];
  readonly failures: unknown[] = [];
  /** How long nothing may be sent. */
  pause = 0;
  #waiting: string[] = [];
  #underWay: PromiseWithResolvers<void> | undefined;
  readonly outbox: Outbox<string>;

  constructor() {
    this.outbox = new Outbox({
      take: () => (this.pause === 0 ? this.#waiting.splice(0) : []),
      wait: () => (this.#waiting.length === 0 ? undefined : this.pause),
      send: (batch) => {
        assert.equal(this.#underWay, undefined, "two batches at once");
        this.sent.push(batch);
        this.#underWay = Promise.withResolvers();
        return this.#underWay.promise;
      },
      failed: (reason) => this.failures.push(reason),
    });
  }

  put(...frames: string[]): void {
    for (const frame of frames) {
      this.#waiting.push(frame);
      this.outbox.wake();
    }
  }

  async arrives(): Promise<void> {
    const { promise, resolve } = this.#underWay ?? assert.fail("nothing is under way");
    this.#underWay = undefined;
    resolve();
    await promise;
  }

  async fails(reason: unknown): Promise<void> {
    this.#underWay?.reject(reason);
    await this.#underWay?.promise.catch(() => undefined);
  }
}

test("the first frame goes out at once, and the frames that wait meanwhile go out together, in order", async () => {
  const way = new Way();
  way.put("a", "b", "c");
  assert.deepEqual(way.sent, [["a"]]);
  await way.arrives();
  assert.deepEqual(way.sent, [["a"], ["b", "c"]]);
  await way.arrives();
  assert.equal(way.sent.length, 2);
  way.outbox.close();
});

test("a heartbeat is an empty batch, and frames that wait replace it", async () => {
  const way = new Way();
  way.outbox.sendHeartbeat();
  assert.deepEqual(way.sent, [[]]);
  way.outbox.sendHeartbeat();
  way.put("a");
  await way.arrives();
  assert.deepEqual(way.sent, [[], ["a"]]);
  await way.arrives();
  assert.equal(way.sent.length, 2);
  way.outbox.close();
});

test("a batch that is under way replaces a heartbeat", async () => {
  const way = new Way();
  way.put("a");
  way.outbox.sendHeartbeat();
  await way.arrives();
  assert.deepEqual(way.sent, [["a"]]);
  way.outbox.sendHeartbeat();
  assert.deepEqual(way.sent, [["a"], []]);
  way.outbox.close();
});

test("a batch that fails is reported once, and nothing more is sent", async () => {
  const way = new Way();
  way.put("a", "b");
  await way.fails("gone");
  way.put("c");
  assert.deepEqual(way.failures, ["gone"]);
  assert.deepEqual(way.sent, [["a"]]);
});

test("a batch that fails after the end is not reported", async () => {
  const way = new Way();
  way.put("a");
  way.outbox.close();
  await way.fails("gone");
  assert.deepEqual(way.failures, []);
});

test("frames that may not be sent yet go out after the pause, and a heartbeat does not wait", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const way = new Way();
  way.pause = 500;
  way.put("a");
  assert.deepEqual(way.sent, []);
  way.outbox.sendHeartbeat();
  assert.deepEqual(way.sent, [[]]);
  await way.arrives();
  context.mock.timers.tick(499);
  way.pause = 0;
  assert.equal(way.sent.length, 1);
  context.mock.timers.tick(1);
  assert.deepEqual(way.sent, [[], ["a"]]);
});

test("after the end, nothing goes out, however long it waited", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const way = new Way();
  way.pause = 500;
  way.put("a");
  way.outbox.close();
  way.pause = 0;
  context.mock.timers.tick(500);
  assert.deepEqual(way.sent, []);
});
