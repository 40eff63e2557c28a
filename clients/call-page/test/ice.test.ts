import assert from "node:assert/strict";
import { test } from "node:test";

import { iceConfiguration, type IceSettings, SettingsError } from "../src/ice.js";

const NONE: IceSettings = { stun: "", turn: "", turnUser: "", turnPassword: "", relay: false };

test("without servers, the browser uses none", () => {
  assert.deepEqual(iceConfiguration(NONE), { iceServers: [], iceTransportPolicy: "all" });
});

test("several servers are separated by commas or spaces", () => {
  const { iceServers } = iceConfiguration({ ...NONE, stun: "stun:a, stun:b:3478 stuns:c" });
  assert.deepEqual(iceServers, [{ urls: ["stun:a", "stun:b:3478", "stuns:c"] }]);
});

test("a TURN server is used with its user and password, and alone if the user wants that", () => {
  const { iceServers, iceTransportPolicy } = iceConfiguration({ stun: "", turn: "turn:a", turnUser: "u", turnPassword: "p", relay: true });
  assert.deepEqual(iceServers, [{ urls: ["turn:a"], username: "u", credential: "p" }]);
  assert.equal(iceTransportPolicy, "relay");
});

for (const [what, settings] of Object.entries({
  "a STUN server that is no address": { stun: "stun.example.com" },
  "a TURN server that is no address": { turn: "stun:a", turnUser: "u", turnPassword: "p" },
  "a TURN server without a user": { turn: "turn:a", turnPassword: "p" },
  "a TURN server without a password": { turn: "turn:a", turnUser: "u" },
})) {
  test(`${what} is refused with a sentence`, () => {
    assert.throws(() => iceConfiguration({ ...NONE, ...settings }), (reason) => {
      assert.ok(reason instanceof SettingsError);
      assert.match(reason.message, /settings .+\.$/);
      return true;
    });
  });
}
