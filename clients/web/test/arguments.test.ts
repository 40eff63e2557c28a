// What the app passes is checked before anything is sent.

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, type DyadError } from "../src/index.js";
import { FakeServer } from "../src/testing/index.js";
import { client, code, UNKNOWN_ROOM, until } from "./support.js";

test("join takes nothing but a room's id", async () => {
  const alice = client(new FakeServer(), "alice");
  for (const wrong of ["", undefined, null, "room", UNKNOWN_ROOM.slice(1), ` ${UNKNOWN_ROOM}`]) {
    await assert.rejects(alice.join(wrong as string), code("invalid_argument"));
  }
});

test("what can be no token or no address is refused at once, in a sentence", () => {
  for (const wrong of [undefined, null, "", 7, new Uint8Array(3), "with space"]) {
    assert.throws(() => connect("http://fake", wrong as string), code("invalid_argument"));
  }
  for (const wrong of ["", "localhost:8080", "ws://fake", "fake"]) {
    assert.throws(() => connect(wrong, "token"), code("invalid_argument"));
  }
});

test("a token function that returns no token ends the attempt with a sentence", async () => {
  const alice = client(new FakeServer(), () => undefined as unknown as string);
  await assert.rejects(alice.create(), (reason: DyadError) => /undefined/.test(reason.message));
});

test("a token function that throws has an error of its own, which does not quote it", async () => {
  const cause = new Error("no login");
  const alice = client(new FakeServer(), () => Promise.reject(cause));
  await assert.rejects(alice.create(), (reason: DyadError) => {
    assert.deepEqual([reason.code, reason.retryable, reason.cause], ["token_failed", true, cause]);
    return !reason.message.includes("login");
  });
});

test("a token function that returns null ends the session at once", async () => {
  const server = new FakeServer();
  let asked = 0;
  const alice = client(server, () => ((asked += 1) === 1 ? "alice" : null));
  await alice.create();
  server.cut();
  await until(() => alice.state.type === "ended");
  const error = alice.state.type === "ended" ? alice.state.error : undefined;
  assert.deepEqual([asked, error?.code, error?.retryable], [2, "unauthenticated", false]);
});

test("join takes a room's id in upper case, and the answer is in lower case", async () => {
  const server = new FakeServer();
  const { roomId } = await client(server, "alice").create();
  const { roomId: answered } = await client(server, "bob").join(roomId.toUpperCase());
  assert.equal(answered, roomId);
});
