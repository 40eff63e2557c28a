import assert from "node:assert/strict";
import { test } from "node:test";

import type { ConnectionState, ConnectOptions, DyadError } from "../src/index.js";
import { FakeServer } from "../src/testing/index.js";
import { client, code, listening, UNKNOWN_ROOM, until } from "./support.js";

const FAST = { limits: { maxFramesPerSecond: 1_000_000 } };

async function pair(server = new FakeServer(), options: ConnectOptions = {}) {
  const alice = listening(client(server, "alice", options));
  const bob = listening(client(server, "bob"));
  const { roomId } = await alice.connection.create();
  const room = await bob.connection.join(roomId);
  await alice.hears("peerJoined");
  return { server, alice, bob, room };
}

test("a connection uses no network until a room is entered, and again after it is left", async () => {
  const server = new FakeServer();
  const alice = client(server, "alice");
  assert.deepEqual([server.connections, alice.state], [0, { type: "idle" }]);
  await alice.create();
  assert.deepEqual([server.connections, alice.state], [1, { type: "connected" }]);
  await alice.leave();
  await until(() => server.connections === 0);
  assert.deepEqual([alice.state, alice.room], [{ type: "idle" }, undefined]);
});

test("each stream has an id that the app can show, also after the end", async () => {
  const server = new FakeServer();
  const alice = listening(client(server, "alice"));
  assert.equal(alice.connection.streamId, "");
  await alice.connection.create();
  const first = alice.connection.streamId;
  assert.match(first, /^[0-9a-f]{16}$/);
  server.cut();
  await alice.hears("reconnected");
  const second = alice.connection.streamId;
  assert.match(second, /^[0-9a-f]{16}$/);
  assert.notEqual(second, first);
  await alice.connection.leave();
  assert.equal(alice.connection.streamId, second);
});

test("two participants are paired, and what one sends reaches the other, with the room's id", async () => {
  const { alice, bob, room } = await pair();
  assert.deepEqual([room.polite, room.peer?.userId], [true, "alice"]);
  alice.connection.sendOffer("an offer");
  alice.connection.sendCandidate({ candidate: "first", sdpMLineIndex: 0 });
  alice.connection.sendCandidate(null);
  bob.connection.sendAnswer("an answer");
  const { roomId } = room;
  assert.deepEqual(await bob.hears("offer"), { type: "offer", roomId, sdp: "an offer" });
  assert.deepEqual(await alice.hears("answer"), { type: "answer", roomId, sdp: "an answer" });
  const [first, last] = [await bob.hears("candidate"), await bob.hears("candidate")];
  assert.deepEqual([first.candidate.candidate, first.candidate.sdpMLineIndex, last.candidate.candidate], ["first", 0, ""]);
});

test("the iteration covers one room, and unread events do not reach the next room", async () => {
  const { server, alice, bob } = await pair();
  for (let n = 1; n <= 20; n += 1) alice.connection.sendCandidate({ candidate: `${n}` });
  await until(() => bob.heard.length === 20);
  const read: string[] = [];
  for await (const event of bob.connection) {
    read.push(event.type);
    await bob.connection.leave();
  }
  assert.deepEqual(read, ["candidate"]);

  const { roomId } = await bob.connection.create();
  const carol = client(server, "carol");
  await carol.join(roomId);
  const { value: event } = await bob.connection[Symbol.asyncIterator]().next();
  assert.deepEqual([event?.type, event?.roomId], ["peerJoined", roomId]);
});

test("an iteration that began before the first room waits for it", async () => {
  const server = new FakeServer();
  const alice = client(server, "alice");
  const first = alice[Symbol.asyncIterator]().next();
  const { roomId } = await alice.create();
  await client(server, "bob").join(roomId);
  assert.equal((await first).value?.type, "peerJoined");
});

test("to leave twice, or without a room, is harmless", async () => {
  const { alice, bob } = await pair();
  await Promise.all([bob.connection.leave(), bob.connection.leave()]);
  await bob.connection.leave();
  assert.equal((await alice.hears("peerLeft")).reason, "left");
  assert.deepEqual(alice.heard, []);
});

test("close hangs up at once and ends the iteration, and closing twice is harmless", async () => {
  const { server, alice, bob } = await pair();
  bob.connection.close();
  bob.connection.close();
  assert.deepEqual([bob.connection.state, bob.connection.room], [{ type: "ended" }, undefined]);
  for await (const event of bob.connection) assert.fail(event.type);
  assert.equal((await alice.hears("peerLeft")).reason, "left");
  await bob.connection.closed;
  await until(() => server.connections === 1);
  await assert.rejects(bob.connection.create(), code("closed"));
  assert.throws(() => bob.connection.sendOffer(""), code("closed"));
});

test("close while reconnecting delivers the hang-up when the server is back", async () => {
  const { server, alice, bob } = await pair();
  server.goAway();
  await bob.hears("reconnecting");
  bob.connection.close();
  server.comeBack();
  await bob.connection.closed;
  assert.equal((await alice.hears("peerLeft")).reason, "left");
});

test("leave while reconnecting resolves when the server is back", async () => {
  const { server, alice, bob } = await pair();
  server.goAway();
  await bob.hears("reconnecting");
  const leaving = bob.connection.leave();
  server.comeBack();
  await leaving;
  assert.deepEqual(bob.connection.state, { type: "idle" });
  assert.equal((await alice.hears("peerLeft")).reason, "left");
});

test("a hang-up that cannot be delivered is given up after 15 s", async (context) => {
  const { server, bob } = await pair();
  server.goAway();
  await bob.hears("reconnecting");
  context.mock.timers.enable({ apis: ["setTimeout"] });
  bob.connection.close();
  context.mock.timers.tick(15_000);
  await bob.connection.closed;
});

test("detach delivers what was sent before it", async () => {
  const { alice, bob } = await pair();
  bob.connection.sendOffer("the last offer");
  bob.connection.detach();
  await bob.connection.closed;
  assert.equal((await alice.hears("offer")).sdp, "the last offer");
});

test("detach keeps the seat until the grace time is over", async () => {
  const { server, alice, bob, room } = await pair(new FakeServer({ graceMs: 100 }));
  bob.connection.detach();
  await bob.connection.closed;
  await until(() => server.connections === 1);
  assert.deepEqual(server.rooms.get(room.roomId), ["alice", "bob"]);
  assert.equal((await alice.hears("peerLeft")).reason, "disconnected");
});

test("the states are told in order, and only when they are true", async () => {
  const { server, bob } = await pair();
  const states: ConnectionState[] = [];
  bob.connection.on("state", (state) => {
    assert.equal(bob.connection.state, state);
    states.push(state);
  });
  server.goAway();
  await until(() => states.length === 3);
  server.comeBack();
  await bob.hears("reconnected");
  await bob.connection.leave();
  const tries = states.splice(0, states.length - 2);
  assert.deepEqual(states, [{ type: "connected" }, { type: "idle" }]);
  tries.forEach((state, index) => {
    assert.ok(state.type === "reconnecting");
    assert.equal(state.attempt, index + 1);
    assert.ok(state.cause.cause instanceof TypeError);
  });
});

test("a listener may be removed, and one that throws does no harm", async () => {
  const { alice, bob } = await pair();
  const reported: unknown[] = [];
  const report = globalThis.reportError;
  globalThis.reportError = (reason) => reported.push(reason);
  try {
    const heard: string[] = [];
    const mistake = new Error("the app's");
    bob.connection.on("offer", () => {
      throw mistake;
    });
    const stop = bob.connection.on("offer", ({ sdp }) => heard.push(sdp));
    alice.connection.sendOffer("1");
    await bob.hears("offer");
    stop();
    alice.connection.sendOffer("2");
    await bob.hears("offer");
    assert.deepEqual([heard, reported], [["1"], [mistake, mistake]]);
  } finally {
    globalThis.reportError = report;
  }
});

test("a refused join is thrown, and another one may follow", async () => {
  const { server, room } = await pair();
  const carol = client(server, "carol");
  await assert.rejects(carol.join(room.roomId), code("room_full"));
  await assert.rejects(carol.join(UNKNOWN_ROOM), code("room_not_found"));
  assert.deepEqual(carol.state, { type: "idle" });
  await carol.create();
  await assert.rejects(carol.create(), code("in_room"));
});

test("a frame that is too large is refused, and the call goes on", async () => {
  const { alice, bob } = await pair();
  assert.throws(() => bob.connection.sendOffer("x".repeat(70_000)), (reason: DyadError) => {
    assert.equal(reason.retryable, false);
    return code("too_large")(reason);
  });
  bob.connection.sendOffer("small");
  assert.equal((await alice.hears("offer")).sdp, "small");
});

test("a frame without a room, or after the hang-up, is refused", async () => {
  const { bob } = await pair();
  const leaving = bob.connection.leave();
  assert.throws(() => bob.connection.sendOffer(""), code("not_in_room"));
  await leaving;
  assert.throws(() => bob.connection.sendOffer(""), code("not_in_room"));
});

test("a user that enters from another device ends the older session, which may call again", async () => {
  const { server, alice, bob, room } = await pair();
  await client(server, "bob").join(room.roomId);
  await until(() => bob.connection.state.type === "ended");
  assert.equal((await alice.hears("peerLeft")).reason, "replaced");
  const { state } = bob.connection;
  assert.equal(state.type === "ended" && state.error?.code, "taken_over");
  await assert.rejects(async () => {
    for await (const event of bob.connection) assert.notEqual(event.type, "reconnecting");
  }, code("taken_over"));
  assert.throws(() => bob.connection.sendOffer(""), code("taken_over"));
  await bob.connection.create();
  assert.equal(bob.connection.state.type, "connected");
});

test("when the room is gone after a reconnect, the session ends with the server's refusal", async () => {
  const server = new FakeServer({ graceMs: 1 });
  const { alice } = await pair(server);
  server.goAway();
  await until(() => server.rooms.size === 0);
  server.comeBack();
  await until(() => alice.connection.state.type === "ended");
  const { state } = alice.connection;
  assert.equal(state.type === "ended" && state.error?.code, "room_not_found");
});

test("an app that reads no events ends its session, and is told", async () => {
  const server = new FakeServer();
  const alice = listening(client(server, "alice", FAST));
  const bob = client(server, "bob");
  const { roomId } = await alice.connection.create();
  await bob.join(roomId);
  for (let n = 0; n <= 1_000; n += 1) alice.connection.sendCandidate({ candidate: `${n}` });
  await until(() => bob.state.type === "ended");
  assert.equal((await alice.hears("peerLeft")).reason, "left");
  await assert.rejects(async () => {
    for await (const event of bob) assert.equal(event.type, "candidate");
  }, code("resource_exhausted"));
});

test("an app with listeners need not iterate", async () => {
  const { alice, bob } = await pair(new FakeServer(), FAST);
  for (let n = 0; n <= 1_000; n += 1) alice.connection.sendCandidate({ candidate: `${n}` });
  await until(() => bob.heard.length === 1_001);
  assert.equal(bob.connection.state.type, "connected");
});

test("after giving up, the error's cause is the app's own", async () => {
  const server = new FakeServer();
  const mistake = new Error("no login");
  let broken = false;
  const token = () => {
    if (broken) throw mistake;
    return "alice";
  };
  const alice = client(server, token, { giveUpAfterMs: 200 });
  await alice.create();
  broken = true;
  server.cut();
  await until(() => alice.state.type === "ended");
  assert.equal(alice.state.type === "ended" && alice.state.error?.cause, mistake);
});

test("the log has no token, room, SDP or address, and one that throws does no harm", async () => {
  const server = new FakeServer({ who: (token) => ({ userId: token, email: `${token}@example.com` }) });
  const lines: string[] = [];
  const bob = client(server, "bob-secret", {
    log: (level, message) => {
      lines.push(`${level} ${message}`);
      throw new Error("the app's");
    },
  });
  const report = globalThis.reportError;
  globalThis.reportError = () => undefined;
  try {
    const { roomId } = await bob.create();
    bob.sendOffer("sdp-secret");
    server.cut();
    await until(() => lines.some((line) => /nothing was lost/.test(line)));
    await bob.leave();
    const text = lines.join("\n");
    assert.match(text, /Try 1/);
    for (const secret of ["secret", "example.com", roomId]) assert.ok(!text.includes(secret), text);
  } finally {
    globalThis.reportError = report;
  }
});
