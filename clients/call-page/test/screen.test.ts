import assert from "node:assert/strict";
import { test } from "node:test";

import { AT_FIRST, type Facts, Screen, type View } from "../src/screen.js";

const SEATED: Partial<Facts> = { stay: "seated" };
const WITH_BOB: Partial<Facts> = { stay: "seated", peerIsHere: true, peer: "Bob" };
const IN_CALL: Partial<Facts> = { ...WITH_BOB, media: "flows" };
const SECOND = 1000;

function after(seconds: number, ...steps: Partial<Facts>[]): View {
  const screen = new Screen();
  steps.forEach((step) => screen.learn(step, 0));
  return screen.view(seconds * SECOND);
}

function shows(view: View, expected: { headline: RegExp; advice?: RegExp; status: View["status"]; offers?: View["offers"]; picture: boolean }): void {
  assert.equal(view.screen, "call");
  assert.match(view.headline, expected.headline);
  assert.match(view.advice, expected.advice ?? /^$/);
  assert.deepEqual([view.status, view.picture, view.offers], [expected.status, expected.picture, expected.offers ?? []]);
}

test("at first there is the setup, with why the last call ended", () => {
  const view = after(0, { ended: "Bob hung up." });
  assert.deepEqual([view.screen, view.status, view.message], ["setup", "Disconnected", "Bob hung up."]);
});

test("entering a room, then for long", () => {
  shows(after(9, { stay: "entering" }), { headline: /^Connecting to the server…$/, status: "Connecting", picture: false });
  shows(after(10, { stay: "entering" }), { headline: /Connecting/, advice: /longer than usual/, status: "Connecting", picture: false });
});

test("waiting for the other person, with the link to share", () => {
  shows(after(0, SEATED), { headline: /^Waiting/, advice: /link/, status: "Connected", offers: ["invite"], picture: false });
});

test("a problem with the camera is told while waiting", () => {
  shows(after(0, SEATED, { problem: "No camera." }), { headline: /^Waiting/, advice: /No camera/, status: "Connected", offers: ["invite"], picture: false });
});

test("connecting, then no way between the two, and what to do", () => {
  shows(after(14, WITH_BOB, { media: "trying" }), { headline: /^Connecting to Bob…$/, status: "Connected", picture: false });
  shows(after(15, WITH_BOB, { media: "trying" }), { headline: /no way to Bob/, advice: /TURN/, status: "Connected", picture: false });
});

test("a call that is connected says nothing more", () => {
  shows(after(100, IN_CALL), { headline: /^$/, status: "Connected to peer", picture: true });
});

test("in a call, a problem with the camera can be put away", () => {
  shows(after(0, IN_CALL, { problem: "No camera." }), { headline: /^$/, advice: /No camera/, status: "Connected to peer", offers: ["dismiss"], picture: true });
});

test("a picture that stopped, for a moment and for long", () => {
  shows(after(14, IN_CALL, { media: "gap" }), { headline: /picture of Bob has stopped/, advice: /Trying/, status: "Connected", picture: true });
  shows(after(15, IN_CALL, { media: "gap" }), { headline: /no way to Bob/, advice: /TURN/, status: "Connected", picture: true });
});

test("the server is away while the call goes on", () => {
  shows(after(0, IN_CALL, { server: "away" }), { headline: /^Reconnecting/, advice: /call goes on/, status: "Connected to peer", picture: true });
  shows(after(10, IN_CALL, { server: "away" }), { headline: /out of reach/, advice: /call goes on/, status: "Connected to peer", picture: true });
});

test("the server is away while waiting", () => {
  shows(after(0, SEATED, { server: "away" }), { headline: /^Reconnecting/, status: "Reconnecting", picture: false });
  shows(after(10, SEATED, { server: "away" }), { headline: /out of reach/, advice: /keeps trying/, status: "Reconnecting", picture: false });
});

test("a server that is gone for good does not end the call", () => {
  shows(after(0, IN_CALL, { server: "gone", because: "The room is gone." }), {
    headline: /room is gone/,
    advice: /goes on until/,
    status: "Connected to peer",
    picture: true,
  });
});

test("a token that the server refuses can be replaced, in its own words", () => {
  const expired: Partial<Facts> = { server: "away", wantsToken: true, because: "The token has expired." };
  shows(after(0, IN_CALL, expired), { headline: /^The token has expired\.$/, advice: /call goes on/, status: "Connected to peer", offers: ["renew"], picture: true });
  shows(after(0, SEATED, expired), { headline: /expired/, advice: /^Paste a new token from your app\.$/, status: "Reconnecting", offers: ["renew"], picture: false });
});

test("why the other one left, and the link to invite again", () => {
  const alone = { ...WITH_BOB, peerIsHere: false };
  for (const [left, words] of [["left", /^Bob hung up/], ["disconnected", /connection of Bob was lost/], ["replaced", /connecting again/], ["unspecified", /has left/]] as const) {
    shows(after(0, alone, { left }), { headline: words, advice: /link/, status: "Connected", offers: ["invite"], picture: false });
  }
});

test("a call goes on when only the server has lost the other one", () => {
  const alone: Partial<Facts> = { peerIsHere: false, left: "disconnected" };
  shows(after(0, IN_CALL, alone), { headline: /server has lost Bob/, advice: /goes on/, status: "Connected to peer", picture: true });
  shows(after(0, IN_CALL, alone, { media: "gap" }), { headline: /connection of Bob was lost/, advice: /link/, status: "Connected", offers: ["invite"], picture: false });
});

test("sound that the browser has stopped can be turned on, whatever else is said", () => {
  shows(after(0, IN_CALL, { soundBlocked: true }), { headline: /muted/, advice: /button/, status: "Connected to peer", offers: ["sound"], picture: true });
  shows(after(0, IN_CALL, { soundBlocked: true, server: "away" }), { headline: /^Reconnecting/, advice: /goes on/, status: "Connected to peer", offers: ["sound"], picture: true });
});

test("a time runs from when the trouble began, and starts over after it ended", () => {
  const screen = new Screen();
  screen.learn(WITH_BOB, 0);
  screen.learn({ media: "trying" }, 10 * SECOND);
  assert.match(screen.view(15 * SECOND).headline, /no way/);
  screen.learn({ media: "flows" }, 20 * SECOND);
  screen.learn({ media: "gap" }, 30 * SECOND);
  assert.match(screen.view(44 * SECOND).headline, /stopped/);
});

test("it says when the view changes by time alone", () => {
  const screen = new Screen();
  assert.equal(screen.nextChange(0), undefined);
  screen.learn({ ...WITH_BOB, server: "away" }, 5 * SECOND);
  assert.equal(screen.nextChange(5 * SECOND), 15 * SECOND);
  assert.equal(screen.nextChange(15 * SECOND), 20 * SECOND);
  assert.equal(screen.nextChange(20 * SECOND), undefined);
  screen.learn(AT_FIRST, 21 * SECOND);
  assert.equal(screen.nextChange(21 * SECOND), undefined);
});
