import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Call, type Connection, type ConnectOptions, type Token } from "../src/index.js";
import { FakeServer } from "../src/testing/index.js";
import { client, listening, until } from "./support.js";

/** As much of an RTCPeerConnection as a negotiation needs. Adding a track makes the offer. */
class FakePeerConnection extends EventTarget {
  static made: FakePeerConnection[] = [];
  signalingState: RTCSignalingState = "stable";
  connectionState: RTCPeerConnectionState = "new";
  iceConnectionState = "new";
  localDescription: RTCSessionDescriptionInit | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;

  constructor(readonly configuration?: RTCConfiguration) {
    super();
    if (configuration?.iceServers?.[0]?.urls === "nonsense") {
      throw new DOMException("no address", "SyntaxError");
    }
    FakePeerConnection.made.push(this);
  }

  addTrack(): void {
    queueMicrotask(() => {
      if (this.signalingState === "stable") this.dispatchEvent(new Event("negotiationneeded"));
    });
  }

  async createOffer(): Promise<RTCSessionDescriptionInit> {
    return { type: "offer", sdp: "offer" };
  }

  async setLocalDescription(description?: RTCSessionDescriptionInit): Promise<void> {
    const type = description?.type ?? (this.signalingState === "have-remote-offer" ? "answer" : "offer");
    this.localDescription = description ?? { type, sdp: type };
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
    if (type === "answer") this.becomes("connected");
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    if (description.sdp === "nonsense") throw new DOMException("no SDP", "InvalidAccessError");
    this.remoteDescription = description;
    this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
    if (description.type === "answer") this.becomes("connected");
  }

  async addIceCandidate(): Promise<void> {}

  restartIce(): void {}

  becomes(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  close(): void {
    this.signalingState = "closed";
    this.connectionState = "closed";
  }
}

beforeEach(() => {
  FakePeerConnection.made = [];
  globalThis.RTCPeerConnection = FakePeerConnection as unknown as typeof RTCPeerConnection;
});

afterEach(() => {
  delete (globalThis as { RTCPeerConnection?: unknown }).RTCPeerConnection;
});

interface Side {
  readonly connection: Connection;
  readonly call: Call;
  readonly failures: unknown[];
  readonly ended: () => number;
}

function side(server: FakeServer, user: Token, options?: ConnectOptions): Side {
  const connection = client(server, user, options);
  const failures: unknown[] = [];
  let ended = 0;
  const call = new Call(connection, {
    configuration: () => ({ iceServers: [{ urls: "stun:stun.example" }] }),
    started: (pc) => void pc.addTrack({} as MediaStreamTrack),
    ended: () => (ended += 1),
    failed: (reason) => failures.push(reason),
  });
  return { connection, call, failures, ended: () => ended };
}

const connected = ({ call }: Side): boolean => call.pc?.connectionState === "connected";

async function calling(
  server = new FakeServer(),
  options?: ConnectOptions,
): Promise<{ alice: Side; bob: Side; server: FakeServer }> {
  const [alice, bob] = [side(server, "alice", options), side(server, "bob", options)];
  const { roomId } = await alice.connection.create();
  await bob.connection.join(roomId);
  await until(() => connected(alice) && connected(bob));
  return { alice, bob, server };
}

test("two participants are connected, each with the app's configuration", async () => {
  await calling();
  assert.equal(FakePeerConnection.made.length, 2);
  for (const { configuration } of FakePeerConnection.made) {
    assert.equal(configuration?.iceServers?.length, 1);
  }
});

test("a hang-up ends the call on both sides, and the next peer gets a new one", async () => {
  const { alice, bob, server } = await calling();
  await bob.connection.leave();
  await until(() => alice.ended() === 1);
  assert.deepEqual([alice.call.pc, bob.call.pc, bob.ended()], [undefined, undefined, 1]);
  const carol = side(server, "carol");
  await carol.connection.join(alice.connection.room?.roomId ?? "");
  await until(() => connected(alice) && connected(carol));
});

test("an SDP that the browser refuses is reported, and the call goes on", async () => {
  const { alice, bob } = await calling();
  alice.connection.sendOffer("nonsense");
  await until(() => bob.failures.length === 1);
  alice.connection.sendOffer("offer");
  await until(() => bob.call.pc?.remoteDescription?.sdp === "offer");
  assert.ok(connected(bob));
});

test("the media goes on when only the peer's signaling is gone, until the path fails", async () => {
  const { alice, bob } = await calling(new FakeServer({ graceMs: 1 }));
  const { heard } = listening(alice.connection);
  bob.connection.detach();
  await until(() => heard.some(({ type }) => type === "peerLeft"));
  assert.ok(connected(alice));
  const [pc] = FakePeerConnection.made;
  pc?.becomes("disconnected");
  assert.equal(alice.ended(), 0);
  pc?.becomes("failed");
  assert.equal(alice.ended(), 1);
});

test("the media goes on when this side's session ends, unless the user went on elsewhere", async () => {
  const { alice, bob, server } = await calling();
  const roomId = bob.connection.room?.roomId ?? "";
  const other = side(server, "bob");
  await other.connection.join(roomId);
  await until(() => bob.ended() === 1);
  await until(() => connected(alice) && connected(other));
});

test("a user who is logged out when the client reconnects sends no media any more", async () => {
  let token: string | null = "alice";
  const server = new FakeServer();
  const [alice, bob] = [side(server, () => token), side(server, "bob")];
  const { roomId } = await alice.connection.create();
  await bob.connection.join(roomId);
  await until(() => connected(alice) && connected(bob));
  token = null;
  alice.connection.networkChanged();
  await until(() => alice.connection.state.type === "ended");
  assert.deepEqual([alice.call.pc, alice.ended()], [undefined, 1]);
});

for (const hangUp of ["leave", "close"] as const) {
  test(`${hangUp}() after the session ended with an error ends the media that went on`, async () => {
    const { alice, server } = await calling(new FakeServer(), { giveUpAfterMs: 50 });
    server.goAway();
    await until(() => alice.connection.state.type === "ended");
    assert.deepEqual([connected(alice), alice.ended()], [true, 0]);
    await alice.connection[hangUp]();
    assert.deepEqual([alice.call.pc, alice.ended()], [undefined, 1]);
    assert.equal(alice.connection.state.type, hangUp === "leave" ? "idle" : "ended");
    await alice.connection.leave();
    assert.equal(alice.connection.state.type, hangUp === "leave" ? "idle" : "ended");
  });
}

test("a peer that enters again gets a new RTCPeerConnection", async () => {
  const { alice, bob, server } = await calling();
  bob.connection.detach();
  const again = side(server, "bob");
  await again.connection.join(alice.connection.room?.roomId ?? "");
  await until(() => alice.ended() === 1 && connected(alice) && connected(again));
});

test("after close() no peer gets an RTCPeerConnection", async () => {
  const { alice, bob } = await calling();
  alice.call.close();
  assert.equal(alice.call.pc, undefined);
  bob.connection.sendOffer("offer");
  const { heard } = listening(alice.connection);
  await until(() => heard.length > 0);
  assert.equal(alice.call.pc, undefined);
});

test("a configuration that the browser refuses is reported", async () => {
  const server = new FakeServer();
  const alice = client(server, "alice");
  const failures: unknown[] = [];
  const call = new Call(alice, {
    configuration: { iceServers: [{ urls: "nonsense" }] },
    started: () => assert.fail("it cannot start"),
    failed: (reason) => failures.push(reason),
  });
  const { roomId } = await alice.create();
  await client(server, "bob").join(roomId);
  await until(() => failures.length === 1);
  assert.deepEqual([call.pc, (failures[0] as DOMException).name], [undefined, "SyntaxError"]);
});
