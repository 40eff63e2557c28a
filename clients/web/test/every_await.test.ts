// The app may hang up at any moment. Afterwards it must not be in the room any more, and no
// connection may be left. Each test repeats the same call, and hangs up one step later each time.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SendRequest } from "../src/gen/dyad/v1/signaling.js";
import type { Connection, ConnectionState, Transport } from "../src/index.js";
import { FakeServer } from "../src/testing/index.js";
import { client, listening, UNKNOWN_ROOM, stepping, until } from "./support.js";

// More than a call has. The loops end at the first step that is not reached.
const MOST_STEPS = 200;

type HangUp = (connection: Connection) => Promise<void>;

const HANG_UPS: Record<string, HangUp> = {
  close: async (connection) => {
    connection.close();
    await connection.closed;
  },
  leave: (connection) => connection.leave(),
};

/** Bob joins, loses his connection twice, and sends meanwhile. */
async function call(bob: Connection, roomId: string, server: FakeServer): Promise<void> {
  await bob.join(roomId);
  for (let n = 1; n <= 2; n += 1) {
    bob.sendOffer(`${n}`);
    // It may have hung up in that very call.
    if (bob.state.type !== "connected") return;
    const back = new Promise<void>((resolve) => {
      const stop = bob.on("state", ({ type }) => {
        if (type === "reconnecting") return;
        stop();
        resolve();
      });
    });
    server.cut();
    await back;
  }
  await bob.leave();
}

for (const [name, hangUp] of Object.entries(HANG_UPS)) {
  test(`${name}() at every step of a call leaves nobody in the room and no connection`, async () => {
    let reached = true;
    for (let at = 1; reached && at < MOST_STEPS; at += 1) {
      reached = false;
      const server = new FakeServer();
      const { roomId } = await client(server, "alice").create();
      let done: Promise<void> = Promise.resolve();
      const transport = stepping(server.transport, (step) => {
        if (step === at) {
          reached = true;
          done = hangUp(bob);
        }
      });
      const bob = client(server, "bob", { transport });
      await call(bob, roomId, server).catch(() => undefined);
      await done;
      await until(() => server.connections <= 1);
      assert.deepEqual(server.rooms.get(roomId), ["alice"], `step ${at}`);
      assert.equal(bob.state.type, name === "close" && reached ? "ended" : "idle", `step ${at}`);
    }
    assert.equal(reached, false, "the call has more steps");
  });

  for (const type of ["connecting", "connected", "reconnecting"] as const) {
    test(`${name}() in a listener for the state "${type}" does the same`, async () => {
      const server = new FakeServer();
      const { roomId } = await client(server, "alice").create();
      const bob = client(server, "bob");
      const heard = listening(bob).heard;
      let done: Promise<void> | undefined;
      bob.on("state", (state: ConnectionState) => {
        if (state.type === type) done ??= hangUp(bob);
      });
      const told: string[] = [];
      bob.on("state", (state) => told.push(state.type));
      await call(bob, roomId, server).catch(() => undefined);
      await done;
      await until(() => server.connections <= 1);
      assert.deepEqual(server.rooms.get(roomId), ["alice"]);
      assert.equal(told.at(-1), name === "close" ? "ended" : "idle");
      assert.equal(heard.filter((event) => event.type === "reconnected").length, 0);
    });
  }

  test(`${name}() in a listener for "reconnected" does the same`, async () => {
    const server = new FakeServer();
    const { roomId } = await client(server, "alice").create();
    const bob = client(server, "bob");
    await bob.join(roomId);
    const done = new Promise<void>((resolve, reject) => {
      bob.on("reconnected", () => void hangUp(bob).then(resolve, reject));
    });
    server.cut();
    await done;
    await until(() => server.connections <= 1);
    assert.deepEqual(server.rooms.get(roomId), ["alice"]);
  });
}

test("to cancel entering at every step leaves nobody in a room and no connection", async () => {
  let reached = true;
  for (let at = 1; reached; at += 1) {
    reached = false;
    const server = new FakeServer();
    const abort = new AbortController();
    const transport = stepping(server.transport, (step) => {
      if (step === at) {
        reached = true;
        abort.abort(new Error("changed my mind"));
      }
    });
    const bob = client(server, "bob", { transport });
    const entering = bob.create({ signal: abort.signal });
    const cancelled = await entering.then(
      () => false,
      (reason: Error) => reason.message === "changed my mind",
    );
    if (cancelled) {
      assert.equal(bob.state.type, "idle");
      await until(() => server.connections === 0);
      assert.deepEqual([...server.rooms], [], `step ${at}`);
      // The same connection may enter another room at once.
      await bob.create();
    }
    assert.equal(bob.state.type, "connected");
    bob.close();
    await bob.closed;
    assert.deepEqual([...server.rooms], [], `step ${at}`);
  }
});

test("a signal that is aborted already enters no room", async () => {
  const server = new FakeServer();
  const bob = client(server, "bob");
  await assert.rejects(bob.create({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual([bob.state.type, server.connections], ["idle", 0]);
});

test("detach at every step of a call leaves no connection, and the seat only for its grace time", async () => {
  let reached = true;
  for (let at = 1; reached && at < MOST_STEPS; at += 1) {
    reached = false;
    const server = new FakeServer({ graceMs: 1 });
    const { roomId } = await client(server, "alice").create();
    const transport = stepping(server.transport, (step) => {
      if (step !== at) return;
      reached = true;
      bob.detach();
    });
    const bob = client(server, "bob", { transport });
    await bob.join(roomId).catch(() => undefined);
    if (!reached) bob.detach();
    await bob.closed;
    await until(() => server.connections <= 1 && server.rooms.get(roomId)?.length === 1);
  }
});

/** A transport whose streams say nothing after the session's id, as for a page that is gone. */
function deaf(transport: Transport, sent: SendRequest[]): Transport {
  return {
    async unary(method, request, options) {
      sent.push(SendRequest.decode(request));
      return transport.unary(method, request, options);
    },
    async *stream(method, request, options) {
      for await (const response of transport.stream(method, request, options)) {
        yield response;
        await new Promise((_, reject) => options.signal.addEventListener("abort", reject));
      }
    },
  };
}

for (const [name, hangUp] of Object.entries(HANG_UPS)) {
  test(`${name}() during a join hangs up before the answer to the join`, async () => {
    const server = new FakeServer();
    const alice = listening(client(server, "alice"));
    const { roomId } = await alice.connection.create();
    const bob = client(server, "bob", { transport: deaf(server.transport, []) });
    const entering = assert.rejects(bob.join(roomId.toUpperCase()));
    await alice.hears("peerJoined");
    void hangUp(bob);
    assert.equal((await alice.hears("peerLeft")).reason, "left");
    await entering;
  });
}

test("close() while the room that the token names is entered hangs up there", async () => {
  const server = new FakeServer();
  const sent: SendRequest[] = [];
  const claims = Buffer.from(JSON.stringify({ room: UNKNOWN_ROOM.toUpperCase() })).toString("base64url");
  const bob = client(server, `e30.${claims}.signature`, { transport: deaf(server.transport, sent) });
  const entering = assert.rejects(bob.create());
  await until(() => server.rooms.size > 0);
  bob.close();
  await until(() => sent.length > 1);
  await entering;
  const farewell = sent.at(-1)?.frames.at(-1);
  assert.deepEqual([farewell?.event?.$case, farewell?.roomId], ["leaveRoom", UNKNOWN_ROOM]);
});
