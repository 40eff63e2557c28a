import assert from "node:assert/strict";
import { test } from "node:test";

import { Calls, type RunningCall } from "../src/calls.js";

class FakeCall implements RunningCall {
  established = false;
  silent = false;
  #state: RTCPeerConnectionState = "new";
  readonly remote: MediaStream | undefined = undefined;

  get state(): RTCPeerConnectionState {
    return this.#state;
  }

  becomes(state: RTCPeerConnectionState): this {
    this.#state = state;
    this.established ||= state === "connected";
    return this;
  }

  silence(): void {
    this.silent = true;
  }

  close(): void {
    this.#state = "closed";
  }
}

function connected(): { calls: Calls<FakeCall>; first: FakeCall } {
  const calls = new Calls<FakeCall>();
  const first = new FakeCall();
  calls.begin(first);
  first.becomes("connected");
  calls.changed();
  return { calls, first };
}

test("a call is tried, flows, has a gap, and flows again", () => {
  const calls = new Calls<FakeCall>();
  assert.equal(calls.media, "none");
  const call = new FakeCall();
  calls.begin(call);
  assert.equal(calls.media, "trying");
  for (const [state, media] of [["connected", "flows"], ["disconnected", "gap"], ["failed", "gap"], ["connected", "flows"]] as const) {
    call.becomes(state);
    calls.changed();
    assert.equal(calls.media, media);
  }
});

test("a call that was never connected has no gap", () => {
  const calls = new Calls<FakeCall>();
  const call = new FakeCall();
  calls.begin(call);
  call.becomes("failed");
  calls.changed();
  assert.equal(calls.media, "trying");
});

test("a connected call stays until the next one is connected", () => {
  const { calls, first } = connected();
  const second = new FakeCall();
  calls.begin(second);
  assert.deepEqual([calls.current, calls.shown, calls.media], [second, first, "flows"]);
  assert.ok(first.silent);
  second.becomes("connecting");
  calls.changed();
  assert.equal(calls.shown, first);
  second.becomes("connected");
  calls.changed();
  assert.deepEqual([calls.shown, first.state], [second, "closed"]);
});

test("a call whose signaling is lost goes on, over a gap, until it fails", () => {
  const { calls, first } = connected();
  calls.letGo();
  assert.deepEqual([calls.current, calls.media], [undefined, "flows"]);
  first.becomes("disconnected");
  calls.changed();
  assert.equal(calls.media, "gap");
  first.becomes("failed");
  calls.changed();
  assert.deepEqual([calls.media, first.state], ["none", "closed"]);
});

test("a call that is not connected ends with its signaling", () => {
  const calls = new Calls<FakeCall>();
  const call = new FakeCall();
  calls.begin(call);
  calls.letGo();
  assert.deepEqual([call.state, calls.media], ["closed", "none"]);
});

test("of two negotiations in a row, the picture is that of the call that was connected", () => {
  const { calls, first } = connected();
  const second = new FakeCall();
  calls.begin(second);
  calls.begin(new FakeCall());
  assert.deepEqual([calls.shown, second.state], [first, "closed"]);
});

test("hanging up ends both calls", () => {
  const { calls, first } = connected();
  const second = new FakeCall();
  calls.begin(second);
  calls.end();
  assert.deepEqual([first.state, second.state, calls.media], ["closed", "closed", "none"]);
});
