import assert from "node:assert/strict";
import { test } from "node:test";

import { DyadError } from "@dyad/web";

import { sentence } from "../src/sentences.js";

test("the page says what the user can do, instead of the server's message", () => {
  assert.match(sentence(new DyadError("room_full", "Two are in the room already.")), /Create another room/);
});

test("the page says that another tab or device has taken the call over", () => {
  assert.match(sentence(new DyadError("taken_over", "The same user joined.")), /another tab or device/);
});

test("an error of the browser is shown without its details", () => {
  assert.doesNotMatch(sentence(new TypeError("x is not a function")), /function/);
});
