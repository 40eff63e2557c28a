import assert from "node:assert/strict";
import { test } from "node:test";

import { describe, grade, measure, NO_COUNTERS, PLOT, plot, type Sample } from "../src/quality.js";

const GOOD: Sample = { loss: 0, roundTripMs: 24, width: 640, height: 480, framesPerSecond: 30, relayed: false };

function stats(received: number, lost: number, type = "host"): Parameters<typeof measure>[0] {
  return [
    { id: "v", type: "inbound-rtp", kind: "video", packetsReceived: received, packetsLost: lost, frameWidth: 640, frameHeight: 480, framesPerSecond: 29.6 },
    { id: "a", type: "inbound-rtp", kind: "audio", packetsReceived: 0, packetsLost: 0 },
    { id: "t", type: "transport", selectedCandidatePairId: "p" },
    { id: "p", type: "candidate-pair", currentRoundTripTime: 0.024, localCandidateId: "l", remoteCandidateId: "r" },
    { id: "l", type: "local-candidate", candidateType: type },
    { id: "r", type: "remote-candidate", candidateType: "host" },
  ];
}

test("a sample counts the packets since the last one", () => {
  const first = measure(stats(100, 0), NO_COUNTERS);
  const { sample } = measure(stats(190, 10), first.counters);
  assert.equal(sample.loss, 0.1);
  assert.deepEqual([sample.roundTripMs, sample.width, sample.height, sample.framesPerSecond], [24, 640, 480, 30]);
});

test("a packet that was counted as lost and came late does not make the loss negative", () => {
  const first = measure(stats(100, 5), NO_COUNTERS);
  assert.equal(measure(stats(200, 3), first.counters).sample.loss, 0);
});

test("without packets there is no loss to tell, and nothing arrives", () => {
  const first = measure(stats(100, 0), NO_COUNTERS);
  const { sample } = measure(stats(100, 0), first.counters);
  assert.equal(sample.loss, undefined);
  assert.equal(grade(sample), "Nothing arrives");
  assert.equal(measure([], NO_COUNTERS).sample.loss, undefined);
});

test("a call through a TURN server is told apart", () => {
  assert.equal(measure(stats(1, 0, "relay"), NO_COUNTERS).sample.relayed, true);
  assert.equal(measure(stats(1, 0), NO_COUNTERS).sample.relayed, false);
});

test("loss and delay decide what a call is called", () => {
  assert.equal(grade(GOOD), "Good");
  assert.equal(grade({ ...GOOD, loss: 0.02 }), "Fair");
  assert.equal(grade({ ...GOOD, roundTripMs: 200 }), "Fair");
  assert.equal(grade({ ...GOOD, loss: 0.08 }), "Poor");
  assert.equal(grade({ ...GOOD, roundTripMs: 400 }), "Poor");
});

test("a sample is described in words", () => {
  assert.equal(describe(GOOD), "24 ms there and back, 0.0 % lost, a picture of 640 × 480, 30 per second, directly between the two devices.");
  assert.match(describe({ ...GOOD, width: 0, loss: undefined, relayed: true }), /no packets, no picture, through a TURN server/);
});

test("the newest sample is at the right of the plot, and large values stay inside", () => {
  const { roundTrip, loss } = plot([GOOD, { ...GOOD, roundTripMs: 10_000, loss: undefined }]);
  assert.match(roundTrip, new RegExp(` ${PLOT.width}\\.0,1\\.0$`));
  assert.match(loss, / 120\.0,1\.0$/);
  assert.equal(plot([]).loss, "");
});
