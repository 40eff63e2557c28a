import assert from "node:assert/strict";
import { test } from "node:test";

import { readFragment, withoutToken } from "../src/fragment.js";
import { nameIn } from "../src/token.js";

test("a link may have all settings of the page", () => {
  assert.deepEqual(readFragment("#token=a.b.c&room=r&stun=&server=https%3A%2F%2Fx&auto=1"), {
    token: "a.b.c",
    room: "r",
    stun: "",
    server: "https://x",
    auto: true,
  });
});

test("a setting that is not in the link is undefined", () => {
  const { token, room, stun, server, auto } = readFragment("");
  assert.deepEqual([token, room, stun, server, auto], [undefined, undefined, undefined, undefined, false]);
});

test("only the token is removed from the address", () => {
  assert.equal(withoutToken("#room=r&token=a.b.c&auto=1"), "room=r&auto=1");
  assert.equal(withoutToken("#token"), "");
  assert.equal(withoutToken("#tokens=3"), "tokens=3");
});

function token(claims: object): string {
  return `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
}

test("the name is the e-mail address, or else the user id, or else Me", () => {
  assert.equal(nameIn(token({ sub: "7", email: "zoë@example.com" })), "zoë@example.com");
  assert.equal(nameIn(token({ sub: "7", email: "" })), "7");
  assert.equal(nameIn("no token at all"), "Me");
});
