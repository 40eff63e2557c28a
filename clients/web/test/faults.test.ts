import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, RpcError, type RpcOptions, type Transport } from "../src/index.js";
import { SendRequest } from "../src/gen/dyad/v1/signaling.js";
import { Code } from "../src/rpc.js";
import { FakeServer } from "../src/testing/index.js";
import { client, listening, until } from "./support.js";

/** A transport whose RPCs fail, or never end, while the test says so. */
class Way implements Transport {
  readonly server: FakeServer;
  /** What each RPC fails with. */
  failure: Error | undefined;
  /** Whether a Send disappears, as on a network connection that died. */
  swallows = false;
  /** The Sends that were started, even if they never end. */
  readonly sends: { readonly frames: number; readonly keepalive: boolean }[] = [];

  constructor(server: FakeServer) {
    this.server = server;
  }

  async unary(method: string, request: Uint8Array, options: RpcOptions): Promise<Uint8Array> {
    const { frames } = SendRequest.decode(request);
    this.sends.push({ frames: frames.length, keepalive: options.keepalive === true });
    if (this.failure !== undefined) throw this.failure;
    if (this.swallows && options.keepalive !== true) {
      await new Promise((_, reject) => options.signal.addEventListener("abort", reject));
    }
    return this.server.transport.unary(method, request, options);
  }

  async *stream(method: string, request: Uint8Array, options: RpcOptions): AsyncGenerator<Uint8Array> {
    if (this.failure !== undefined) throw this.failure;
    yield* this.server.transport.stream(method, request, options);
  }
}

async function pair(options = {}) {
  const server = new FakeServer();
  const way = new Way(server);
  const alice = listening(client(server, "alice"));
  const bob = listening(client(server, "bob", { transport: way, ...options }));
  const { roomId } = await alice.connection.create();
  await bob.connection.join(roomId);
  await alice.hears("peerJoined");
  way.sends.length = 0;
  return { server, way, alice, bob };
}

const FRONTS: readonly [what: string, status: number][] = [
  ["404", Code.Unimplemented],
  ["403", Code.PermissionDenied],
  ["401", Code.Unauthenticated],
  ["503", Code.Unavailable],
  ["a web page", Code.Unknown],
];

for (const [what, status] of FRONTS) {
  test(`a proxy that answers ${what} during a reconnect does not end the session`, async () => {
    const { server, way, alice, bob } = await pair();
    way.failure = new RpcError(status, `HTTP ${what}`);
    server.cut();
    await until(() => bob.connection.state.type === "reconnecting" && bob.connection.state.attempt > 3);
    way.failure = undefined;
    assert.equal((await bob.hears("reconnected")).resumed, true);
    bob.connection.sendOffer("still here");
    assert.equal((await alice.hears("offer")).sdp, "still here");
  });

  test(`a proxy that answers ${what} to a Send only causes a reconnect`, async () => {
    const { way, alice, bob } = await pair();
    way.failure = new RpcError(status, `HTTP ${what}`);
    bob.connection.sendOffer("an offer");
    await bob.hears("reconnecting");
    way.failure = undefined;
    assert.equal((await bob.hears("reconnected")).resumed, true);
    assert.equal((await alice.hears("offer")).sdp, "an offer");
  });

  test(`before a room is entered, ${what} is told at once`, async () => {
    const way = new Way(new FakeServer());
    way.failure = new RpcError(status, `HTTP ${what}`);
    await assert.rejects(client(way.server, "bob", { transport: way }).create());
  });
}

test("a status that Dyad sent still ends the session", async () => {
  const { server, way, bob } = await pair();
  way.failure = new RpcError(Code.PermissionDenied, "Another room.", new Headers({ "dyad-status": "7" }));
  server.cut();
  await until(() => bob.connection.state.type === "ended");
});

test("a Send on a dead connection is given up after 8 s, and its frames go out on the next one", async (context) => {
  const { way, alice, bob } = await pair();
  context.mock.timers.enable({ apis: ["setTimeout"] });
  way.swallows = true;
  bob.connection.sendOffer("an offer");
  context.mock.timers.tick(7_999);
  assert.equal(bob.connection.state.type, "connected");
  context.mock.timers.tick(1);
  way.swallows = false;
  await bob.hears("reconnecting");
  context.mock.timers.tick(100);
  assert.equal((await alice.hears("offer")).sdp, "an offer");
});

test("close() hangs up although a Send hangs, and delivers what that carried", async () => {
  const { way, alice, bob } = await pair();
  way.swallows = true;
  bob.connection.sendOffer("an offer");
  bob.connection.sendAnswer("an answer");
  bob.connection.close();
  await alice.hears("offer");
  await alice.hears("answer");
  assert.equal((await alice.hears("peerLeft")).reason, "left");
  assert.deepEqual(way.sends, [
    { frames: 1, keepalive: false },
    { frames: 3, keepalive: true },
  ]);
});

test("close() does not ask the browser to let more outlive the page than it would", async () => {
  const { way, alice, bob } = await pair();
  way.swallows = true;
  const large = "x".repeat(50_000);
  bob.connection.sendOffer(large);
  bob.connection.sendOffer(large);
  way.swallows = false;
  bob.connection.close();
  assert.equal((await alice.hears("offer")).sdp, large);
  assert.equal((await alice.hears("peerLeft")).reason, "left");
  assert.equal(way.sends.at(-1)?.keepalive, false);
  // The second offer had not been sent yet, and would have delayed the hang-up.
  assert.deepEqual(alice.heard, []);
});

test("close() does not wait for frames that are held back", async () => {
  const { alice, bob } = await pair({ limits: { maxFramesPerSecond: 2 } });
  for (let n = 1; n <= 100; n += 1) bob.connection.sendCandidate({ candidate: `${n}` });
  bob.connection.close();
  assert.equal((await alice.hears("peerLeft")).reason, "left");
  assert.ok(alice.heard.length < 20, `${alice.heard.length}`);
});

test("frames that are too fast go out later, in order, and none is lost", async (context) => {
  const { alice, bob } = await pair({ limits: { maxFramesPerSecond: 20 } });
  context.mock.timers.enable({ apis: ["setTimeout"] });
  for (let n = 1; n <= 100; n += 1) bob.connection.sendCandidate({ candidate: `${n}` });
  await until(() => {
    context.mock.timers.tick(10);
    return alice.heard.length === 100;
  });
  const heard = alice.heard.map((event) => event.type === "candidate" && event.candidate.candidate);
  assert.deepEqual(heard, Array.from({ length: 100 }, (_, index) => `${index + 1}`));
});

test("a fetch that does not stream responses, as React Native's, is told", async (context) => {
  const headers = new Headers({ "content-type": "application/grpc-web+proto" });
  context.mock.method(globalThis, "fetch", async () => ({ ok: true, status: 200, headers }));
  await assert.rejects(connect("http://calls.example", "token").create(), /does not stream responses/);
});
