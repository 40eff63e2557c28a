import assert from "node:assert/strict";
import { test } from "node:test";

import { DyadError } from "../src/errors.js";
import { Peer, type PeerSignaling } from "../src/peer.js";

/** Like a browser's RTCPeerConnection, it refuses candidates before the remote description. */
class Connection extends EventTarget {
  signalingState: RTCSignalingState = "stable";
  /** A description that the browser cannot use. */
  unusable = "";
  remoteDescription: RTCSessionDescriptionInit | null = null;
  localDescription: RTCSessionDescriptionInit | null = null;
  iceConnectionState: RTCIceConnectionState = "connected";
  restarts = 0;
  readonly taken: string[] = [];
  /** The descriptions that were set, in order. */
  readonly set: string[] = [];
  #offers = 0;

  becomes(state: RTCIceConnectionState): void {
    this.iceConnectionState = state;
    this.dispatchEvent(new Event("iceconnectionstatechange"));
  }

  restartIce(): void {
    this.restarts += 1;
  }

  close(): void {}

  async createOffer(): Promise<RTCSessionDescriptionInit> {
    this.#offers += 1;
    return { type: "offer", sdp: `my offer ${this.#offers}` };
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    if (description.sdp === this.unusable) throw new DOMException("line 3 is wrong", "OperationError");
    this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
    this.remoteDescription = description;
    this.taken.push(description.type);
    this.set.push(`remote: ${description.sdp}`);
  }

  async setLocalDescription(set?: RTCSessionDescriptionInit): Promise<void> {
    const answers = this.signalingState === "have-remote-offer";
    const description = set ?? (answers ? { type: "answer", sdp: "an answer" } : await this.createOffer());
    this.signalingState = description.type === "offer" ? "have-local-offer" : "stable";
    this.localDescription = description;
    this.set.push(`local: ${description.sdp}`);
  }

  /** Like adding a track. When this resolves, the offer has been sent. */
  async needsNegotiation(): Promise<void> {
    this.dispatchEvent(new Event("negotiationneeded"));
    await new Promise(setImmediate);
  }

  async addIceCandidate({ candidate = "" }: RTCIceCandidateInit): Promise<void> {
    if (this.remoteDescription === null) {
      throw new DOMException("no remote description", "InvalidStateError");
    }
    this.taken.push(candidate);
  }
}

function peer({
  polite = true,
  failed = (reason: unknown) => assert.ifError(reason),
} = {}): { peer: Peer; connection: Connection; said: string[] } {
  const connection = new Connection();
  const said: string[] = [];
  const signaling: PeerSignaling = {
    sendOffer: (sdp) => said.push(sdp),
    sendAnswer: (sdp) => said.push(sdp),
    sendCandidate: (candidate) => said.push(candidate?.candidate ?? "end"),
  };
  const made = new Peer(connection as unknown as RTCPeerConnection, signaling, {
    polite,
    failed,
  });
  return { peer: made, connection, said };
}

test("candidates that arrive before the offer are added after it, in order", async () => {
  const { peer: bob, connection, said } = peer();
  await bob.take({ type: "candidate", candidate: { candidate: "first" } });
  await bob.take({ type: "candidate", candidate: { candidate: "second" } });
  assert.deepEqual(connection.taken, []);
  await bob.take({ type: "offer", sdp: "an offer" });
  await bob.take({ type: "candidate", candidate: { candidate: "third" } });
  assert.deepEqual(connection.taken, ["offer", "first", "second", "third"]);
  assert.deepEqual(said, ["an answer"]);
});

test("the polite side sets its offer when it is answered", async () => {
  const { peer: bob, connection, said } = peer();
  await connection.needsNegotiation();
  await connection.needsNegotiation();
  assert.deepEqual([said, connection.set], [["my offer 1"], []]);
  await bob.take({ type: "answer", sdp: "her answer" });
  assert.deepEqual(connection.set, ["local: my offer 1", "remote: her answer"]);
});

test("when both sides offer at once, the polite side has nothing to roll back, and offers again", async () => {
  const { peer: bob, connection, said } = peer();
  await connection.needsNegotiation();
  await bob.take({ type: "offer", sdp: "her offer" });
  assert.deepEqual(connection.set, ["remote: her offer", "local: an answer"]);
  await connection.needsNegotiation();
  assert.deepEqual(said, ["my offer 1", "an answer", "my offer 2"]);
  await bob.take({ type: "answer", sdp: "her answer" });
  assert.deepEqual(connection.set.slice(2), ["local: my offer 2", "remote: her answer"]);
});

test("the polite side answers an offer that arrives while it creates its own, and offers again", async () => {
  const { peer: bob, connection, said } = peer();
  const made = connection.needsNegotiation();
  await bob.take({ type: "offer", sdp: "her offer" });
  await made;
  await connection.needsNegotiation();
  assert.deepEqual(said, ["my offer 1", "an answer", "my offer 2"]);
});

test("when the path to the peer fails, ICE restarts at once", () => {
  const { connection } = peer();
  connection.becomes("failed");
  assert.equal(connection.restarts, 1);
});

test("ICE restarts after a gap of 3 s, but not after a shorter one", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { connection } = peer();
  connection.becomes("disconnected");
  context.mock.timers.tick(2_900);
  connection.becomes("connected");
  context.mock.timers.tick(3_000);
  assert.equal(connection.restarts, 0);
  connection.becomes("disconnected");
  context.mock.timers.tick(3_000);
  assert.equal(connection.restarts, 1);
});

test("ICE does not restart after the call is over", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { peer: bob, connection } = peer();
  connection.becomes("disconnected");
  bob.close();
  context.mock.timers.tick(3_000);
  assert.equal(connection.restarts, 0);
});

test("an offer that could not be sent is reported, and the next one is sent", async () => {
  const connection = new Connection();
  const said: string[] = [];
  const failures: unknown[] = [];
  let refuses = true;
  const signaling: PeerSignaling = {
    sendOffer: (sdp) => {
      if (refuses) throw new Error("too large");
      said.push(sdp);
    },
    sendAnswer: () => undefined,
    sendCandidate: () => undefined,
  };
  new Peer(connection as unknown as RTCPeerConnection, signaling, {
    polite: true,
    failed: (reason) => failures.push(reason),
  });
  await connection.needsNegotiation();
  refuses = false;
  await connection.needsNegotiation();
  assert.deepEqual([said, failures.length], [["my offer 2"], 1]);
});

test("events are handled one after the other, although the app does not wait", async () => {
  const { peer: bob, connection } = peer();
  void bob.take({ type: "offer", sdp: "an offer" });
  void bob.take({ type: "candidate", candidate: { candidate: "first" } });
  await bob.take({ type: "candidate", candidate: { candidate: "second" } });
  assert.deepEqual(connection.taken, ["offer", "first", "second"]);
});

test("a stopped peer says nothing and takes nothing, and its connection stays open", async () => {
  const { peer: bob, connection, said } = peer();
  bob.stop();
  await bob.take({ type: "offer", sdp: "an offer" });
  await connection.needsNegotiation();
  connection.becomes("failed");
  assert.deepEqual([said, connection.taken, connection.restarts], [[], [], 0]);
});

test("an answer to no offer, such as a repeated one, is ignored", async () => {
  const { peer: bob, connection, said } = peer({ polite: false });
  await bob.take({ type: "answer", sdp: "an answer to nothing" });
  await bob.take({ type: "offer", sdp: "her offer" });
  await bob.take({ type: "answer", sdp: "an answer to nothing" });
  assert.deepEqual([said, connection.set], [["an answer"], ["remote: her offer", "local: an answer"]]);
});

for (const polite of [true, false]) {
  test(`after an answer that the browser cannot use, a side with polite=${polite} takes the next offer`, async () => {
    const failures: unknown[] = [];
    const { peer: bob, connection, said } = peer({ polite, failed: (reason) => failures.push(reason) });
    connection.unusable = "nonsense";
    await connection.needsNegotiation();
    await bob.take({ type: "answer", sdp: "nonsense" });
    const [failure] = failures;
    assert.ok(failure instanceof DyadError);
    assert.equal(failure.code, "unusable_description");
    assert.match(failure.message, /answer.*leave the room and join it again/);
    // It may have a part of the SDP.
    assert.doesNotMatch(failure.message, /line 3/);
    assert.ok(failure.cause instanceof DOMException);
    await bob.take({ type: "offer", sdp: "her offer" });
    assert.deepEqual(said, ["my offer 1", "an answer"]);
    assert.equal(failures.length, 1);
  });
}
