import assert from "node:assert/strict";
import { test } from "node:test";

import { type Limits, Pace, SERVERS_DEFAULTS } from "../src/pace.js";
import type { Amount } from "../src/session.js";

/** The server's own rule: `burst` at once, then `rate` a second. Throws past that. */
class Server {
  #frames: number;
  #bytes: number;
  #then = 0;

  constructor(readonly limits: Limits) {
    this.#frames = limits.maxFramesPerSecond * 5;
    this.#bytes = limits.maxBytesPerSecond * 5;
  }

  accepts({ frames, bytes }: Amount, now: number): void {
    const seconds = (now - this.#then) / 1000;
    const { maxFramesPerSecond, maxBytesPerSecond } = this.limits;
    this.#frames = Math.min(this.#frames + seconds * maxFramesPerSecond, maxFramesPerSecond * 5) - frames;
    this.#bytes = Math.min(this.#bytes + seconds * maxBytesPerSecond, maxBytesPerSecond * 5) - bytes;
    this.#then = now;
    assert.ok(this.#frames >= 0 && this.#bytes >= 0, "RESOURCE_EXHAUSTED");
  }
}

/** Sends messages as fast as the pace allows. Returns when the last one goes out. */
function sends(count: number, message: Amount, limits = SERVERS_DEFAULTS): number {
  const pace = new Pace(limits, 0);
  const server = new Server(limits);
  let now = 0;
  for (let sent = 0; sent < count; sent += 1) {
    now += pace.wait(message, now);
    pace.spend(message, now);
    server.accepts(message, now);
  }
  return now;
}

test("a call's frames go out at once", () => {
  assert.equal(sends(60, { frames: 1, bytes: 300 }), 0);
});

test("800 candidates at once take a few seconds", () => {
  const milliseconds = sends(800, { frames: 1, bytes: 150 });
  assert.ok(milliseconds > 5_000 && milliseconds < 7_000, `${milliseconds}`);
});

test("a dozen offers of 20 kB take a few seconds", () => {
  const milliseconds = sends(12, { frames: 1, bytes: 20_000 });
  assert.ok(milliseconds > 4_500 && milliseconds < 6_000, `${milliseconds}`);
});

test("a pace goes on for minutes without exceeding the server's limits", () => {
  sends(20_000, { frames: 1, bytes: 50 });
  sends(500, { frames: 3, bytes: 60_000 });
});

test("a Send that the network delays, and those that follow at once, keep the server's limits", () => {
  for (const message of [{ frames: 1, bytes: 150 }, { frames: 1, bytes: 20_000 }, { frames: 1, bytes: 60_000 }]) {
    const pace = new Pace(SERVERS_DEFAULTS, 0);
    const server = new Server(SERVERS_DEFAULTS);
    // As many as go out at once, in one Send of at most 64 KiB.
    let delayed = 0;
    while (pace.wait(message, 0) === 0 && (delayed + 1) * message.bytes <= 65_536) {
      pace.spend(message, 0);
      delayed += 1;
    }
    const now = 7_000;
    server.accepts({ frames: delayed, bytes: delayed * message.bytes }, now);
    while (pace.wait(message, now) === 0) {
      pace.spend(message, now);
      server.accepts(message, now);
    }
  }
});

test("a message without frames counts as one frame", () => {
  const pace = new Pace(SERVERS_DEFAULTS, 0);
  const before = pace.allowance(0).frames;
  pace.spend({ frames: 0, bytes: 0 }, 0);
  assert.equal(pace.allowance(0).frames, before - 1);
});

test("a frame larger than the server ever allows at once goes out when nothing else did for long", () => {
  const slow = { ...SERVERS_DEFAULTS, maxBytesPerSecond: 1_000 };
  const pace = new Pace(slow, 0);
  const large = { frames: 1, bytes: 60_000 };
  assert.equal(pace.wait(large, 0), 0);
  pace.spend(large, 0);
  assert.ok(pace.wait({ frames: 1, bytes: 1 }, 0) > 50_000);
});

test("a clock that goes back fills nothing", () => {
  const pace = new Pace(SERVERS_DEFAULTS, 1_000);
  pace.spend({ frames: 450, bytes: 0 }, 1_000);
  assert.ok(pace.wait({ frames: 1, bytes: 0 }, 0) > 0);
});
