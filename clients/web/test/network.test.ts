import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { FakeServer } from "../src/testing/index.js";
import { client, listening } from "./support.js";

/** The window of a browser, as far as it reports the network. */
const page = new EventTarget();
const connection = Object.assign(new EventTarget(), { type: "wifi" });

beforeEach(() => {
  Object.assign(globalThis, {
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  });
  Object.defineProperty(navigator, "connection", { value: connection, configurable: true });
});

afterEach(() => {
  Object.assign(globalThis, { addEventListener: undefined, removeEventListener: undefined });
  delete (navigator as { connection?: unknown }).connection;
});

function becomes(type: string): void {
  connection.type = type;
  connection.dispatchEvent(new Event("change"));
}

const CHANGES: Readonly<Record<string, (app: { networkChanged(): void }) => void>> = {
  "the browser is online again": () => page.dispatchEvent(new Event("online")),
  "the network is another one": () => becomes("cellular"),
  "the app says so": (app) => app.networkChanged(),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`the client reconnects at once when ${what}`, async () => {
    connection.type = "wifi";
    const alice = listening(client(new FakeServer(), "alice"));
    await alice.connection.create();
    change(alice.connection);
    assert.equal((await alice.hears("reconnected")).resumed, true);
  });
}

test("a new estimate of the same network's speed, and the loss of the network, change nothing", async () => {
  connection.type = "wifi";
  const alice = listening(client(new FakeServer(), "alice"));
  await alice.connection.create();
  ["wifi", "none", "wifi"].forEach(becomes);
  await alice.connection.leave();
  assert.deepEqual(alice.heard, []);
});

test("a connection without a room does not listen to the browser", async () => {
  const alice = listening(client(new FakeServer(), "alice"));
  await alice.connection.create();
  await alice.connection.leave();
  page.dispatchEvent(new Event("online"));
  assert.equal(alice.connection.state.type, "idle");
});
