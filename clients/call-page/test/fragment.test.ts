import assert from "node:assert/strict";
import { test } from "node:test";

import { invitation, readFragment, roomIn, withoutSecrets } from "../src/fragment.js";
import { nameIn } from "../src/token.js";

test("a link may have all settings of the page", () => {
  const link = "#token=a.b.c&room=r&stun=&turn=turn%3Ax&turn-user=u&turn-password=p&relay&auto=1";
  assert.deepEqual(readFragment(link), {
    token: "a.b.c",
    room: "r",
    stun: "",
    turn: "turn:x",
    turnUser: "u",
    turnPassword: "p",
    relay: true,
    auto: true,
  });
});

test("a setting that is not in the link is undefined", () => {
  const { relay, auto, ...texts } = readFragment("");
  assert.deepEqual([relay, auto], [false, false]);
  assert.deepEqual(new Set(Object.values(texts)), new Set([undefined]));
});

test("only the secrets are removed from the address", () => {
  assert.equal(withoutSecrets("#room=r&token=a.b.c&turn-password=p&turn=t&auto=1"), "room=r&turn=t&auto=1");
  assert.equal(withoutSecrets("#token"), "");
  assert.equal(withoutSecrets("#tokens=3"), "tokens=3");
});

test("the link for the other participant has the room and nothing else", () => {
  const page = { origin: "https://x", pathname: "/call", hash: "#token=a.b.c" } as Location;
  assert.equal(invitation(page, "r&s"), "https://x/call#room=r%26s");
});

test("a room is given by its id, or by a link to it", () => {
  assert.equal(roomIn(" r "), "r");
  assert.equal(roomIn("https://x/#auto&room=r%26s"), "r&s");
  assert.equal(roomIn("https://x/#auto"), "");
});

function token(claims: unknown): string {
  return `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
}

test("the name is the e-mail address, or else the user id, or else empty", () => {
  assert.equal(nameIn(token({ sub: "7", email: "zoë@example.com" })), "zoë@example.com");
  assert.equal(nameIn(token({ sub: "7", email: "" })), "7");
  assert.equal(nameIn("no token at all"), "");
  assert.equal(nameIn(token(null)), "");
});
