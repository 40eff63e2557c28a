import assert from "node:assert/strict";
import { test } from "node:test";

import { Peer, type PeerSignaling } from "../src/peer.js";

/** As a browser's: it refuses candidates until it knows the other side's description. */
class Connection extends EventTarget {
  readonly signalingState = "stable";
  remoteDescription: RTCSessionDescriptionInit | null = null;
  localDescription: RTCSessionDescriptionInit | null = null;
  readonly taken: string[] = [];

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    this.remoteDescription = description;
    this.taken.push(description.type);
  }

  async setLocalDescription(): Promise<void> {
    this.localDescription = { type: "answer", sdp: "an answer" };
  }

  async addIceCandidate({ candidate = "" }: RTCIceCandidateInit): Promise<void> {
    if (this.remoteDescription === null) {
      throw new DOMException("no remote description", "InvalidStateError");
    }
    this.taken.push(candidate);
  }
}

function peer(): { peer: Peer; taken: string[]; said: string[] } {
  const connection = new Connection();
  const said: string[] = [];
  const signaling: PeerSignaling = {
    sendOffer: (sdp) => said.push(sdp),
    sendAnswer: (sdp) => said.push(sdp),
    sendCandidate: (candidate) => said.push(candidate?.candidate ?? "end"),
  };
  const made = new Peer(connection as unknown as RTCPeerConnection, signaling, {
    polite: true,
    failed: (reason) => assert.ifError(reason),
  });
  return { peer: made, taken: connection.taken, said };
}

test("candidates that come before the offer are used after it, in order", async () => {
  const { peer: bob, taken, said } = peer();
  await bob.take({ type: "candidate", candidate: { candidate: "first" } });
  await bob.take({ type: "candidate", candidate: { candidate: "second" } });
  assert.deepEqual(taken, []);
  await bob.take({ type: "offer", sdp: "an offer" });
  await bob.take({ type: "candidate", candidate: { candidate: "third" } });
  assert.deepEqual(taken, ["offer", "first", "second", "third"]);
  assert.deepEqual(said, ["an answer"]);
});
