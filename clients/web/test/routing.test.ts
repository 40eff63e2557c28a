// The routing key, by which a proxy sends both participants of a room to the same node.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Transport } from "../src/index.js";
import { roomOf, routingHeader } from "../src/routing.js";
import { FakeServer } from "../src/testing/index.js";
import { client, listening, UNKNOWN_ROOM as ROOM, until } from "./support.js";

const OTHER = "00000000-0000-4000-8000-00000000abcd";
const KEY = "3f9f7a10";

const keyOf = (roomId: string): string => routingHeader(roomId)["dyad-routing-key"];

const claiming = (claims: unknown): string =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;

test("all who enter a room have the same key", () => {
  assert.equal(keyOf(ROOM), KEY);
  assert.equal(keyOf(ROOM.toUpperCase()), KEY);
  assert.equal(keyOf(roomOf(claiming({ room: ROOM }))), KEY);
  assert.equal(keyOf(roomOf(claiming({ sub: "J\u00f6rg\u2019s \u{1f600}", room: ROOM.toUpperCase() }))), KEY);
});

test("without a room the key is random", () => {
  const texts = ["", "a", "a.b", "a.b.c", "..", "a.\u00fc.c", `a.${"W".repeat(10_000)}.c`];
  const claims = [null, [], 7, {}, { room: null }, { room: "" }, { room: 7 }, { room: "lobby" }, { room: ` ${ROOM}` }];
  for (const token of [...texts, ...claims.map(claiming)]) {
    const keys = new Set(Array.from({ length: 100 }, () => keyOf(roomOf(token))));
    assert.equal(keys.size, 100, token.slice(0, 40));
    for (const key of keys) assert.match(key, /^[0-9a-f]{8}$/);
  }
});

test("an app that joins a room by its id enters that one, whatever its token names", async () => {
  const seen: string[] = [];
  const server = new FakeServer();
  const { roomId } = await client(server, "alice").create();
  await client(server, claiming({ room: OTHER }), { transport: noting(server.transport, "dyad-routing-key", seen) }).join(roomId);
  assert.equal(seen[0], `Listen ${roomId.slice(-KEY.length)}`);
});

/** A transport that notes a header of each RPC. */
function noting(transport: Transport, header: string, seen: string[]): Transport {
  const note = (method: string, headers: Readonly<Record<string, string>>): void => {
    seen.push(`${method} ${headers[header] ?? ""}`);
  };
  return {
    unary(method, request, options) {
      note(method, options.headers);
      return transport.unary(method, request, options);
    },
    stream(method, request, options) {
      note(method, options.headers);
      return transport.stream(method, request, options);
    },
  };
}

test("each Listen carries the key of its room, and each Send the key of its Listen", async () => {
  const server = new FakeServer();
  const seen: string[] = [];
  const alice = listening(client(server, "alice", { transport: noting(server.transport, "dyad-routing-key", seen) }));
  const { roomId } = await alice.connection.create();
  const chosen = seen[0]?.slice(-KEY.length) ?? "";
  assert.match(chosen, /^[0-9a-f]{8}$/);
  alice.connection.sendOffer("v=0");
  await until(() => seen.length >= 3);
  // The fake server chooses the whole id.
  assert.deepEqual([...new Set(seen.splice(0))], [`Listen ${chosen}`, `Send ${chosen}`]);
  server.cut();
  await alice.hears("reconnected");
  await until(() => seen.length >= 2);
  await alice.connection.leave();
  const key = roomId.slice(-KEY.length);
  assert.deepEqual([...new Set(seen.splice(0))], [`Listen ${key}`, `Send ${key}`]);
  const { roomId: other } = await client(server, "bob").create();
  await alice.connection.join(other.toUpperCase());
  assert.deepEqual([...new Set(seen)], [`Listen ${other.slice(-KEY.length)}`, `Send ${other.slice(-KEY.length)}`]);
});

test("the app's headers go with each connection, and cannot replace the token", async () => {
  const server = new FakeServer();
  const seen: string[] = [];
  let opened = 0;
  const headers = () => ({ authorization: "none", traceparent: `span ${(opened += 1)}` });
  const transport = noting(server.transport, "traceparent", seen);
  const alice = listening(client(server, "alice", { transport, headers }));
  await alice.connection.create();
  server.cut();
  await alice.hears("reconnected");
  await alice.connection.leave();
  assert.deepEqual([...new Set(seen)], ["Listen span 1", "Send span 1", "Listen span 2", "Send span 2"]);
});
