// The script of clients/INTEROP.md, which every client plays on the real server.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RpcError } from "../src/index.js";
import { FakeServer } from "../src/testing/index.js";
import { play } from "../tools/pair_scenarios.js";
import { client, listening, until } from "./support.js";

for (const scenario of ["call", "cut", "glare"]) {
  test(`two clients follow the script "${scenario}" on the fake server`, async (context) => {
    const printed: string[] = [];
    context.mock.method(console, "log", (line: string) => printed.push(line));
    const server = new FakeServer();
    const [alice, bob] = [client(server, "alice"), client(server, "bob")];
    const calling = play(alice, "caller", scenario, "");
    await until(() => alice.room !== undefined);
    const called = play(bob, "callee", scenario, alice.room?.roomId ?? "");
    if (scenario === "cut") {
      await until(() => printed.some((line) => /"candidate","n":100\b/.test(line)));
      server.cut();
    }
    await Promise.all([calling, called]);
    assert.equal(printed.filter((line) => line.includes('"resumed":true')).length, scenario === "cut" ? 2 : 0);
    await until(() => server.connections === 0);
    assert.equal(server.rooms.size, 0);
  });
}

test("the fake server refuses a token that its app does not know", async () => {
  const server = new FakeServer({ who: (token) => (token === "good" ? { userId: "alice" } : undefined) });
  await assert.rejects(client(server, "bad").create(), { code: "unauthenticated" });
  await client(server, "good").create();
  assert.deepEqual([...server.rooms.values()], [["alice"]]);
});

test("the fake server knows no session of another user", async () => {
  const { transport } = new FakeServer();
  const options = { headers: { authorization: "Bearer alice" }, signal: AbortSignal.timeout(1_000) };
  await assert.rejects(transport.unary("Send", new Uint8Array(), options), (reason) => {
    return reason instanceof RpcError && reason.code === 5 && reason.metadata.has("dyad-status");
  });
});

test("a participant that detaches without a reserved seat is gone at once", async () => {
  const server = new FakeServer();
  const alice = listening(client(server, "alice"));
  const { roomId } = await alice.connection.create();
  const bob = client(server, "bob");
  await bob.join(roomId, { resumable: false });
  bob.detach();
  assert.equal((await alice.hears("peerLeft")).reason, "disconnected");
});
