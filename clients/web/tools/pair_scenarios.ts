// The scenarios of clients/INTEROP.md.

import { type Connection, DyadError } from "../src/index.js";
import { Failure, print, type Role, Script, sdp } from "./pair_script.js";

const PAUSE_MS = 10;
const TOO_LARGE = 70_000;

async function callOf(script: Script, pauseMs: number): Promise<void> {
  if (script.role === "caller") {
    await script.peerJoins();
    script.connection.sendOffer(sdp("caller", "offer"));
    const trickling = script.trickles(pauseMs);
    await script.hears("answer");
    await script.hearsCandidates();
    await trickling;
  } else {
    await script.hears("offer");
    script.connection.sendAnswer(sdp("callee", "answer"));
    const trickling = script.trickles(pauseMs);
    await script.hearsCandidates();
    await trickling;
    await script.peerLeaves();
  }
  await script.leaves();
}

async function glareOf(script: Script, polite: boolean): Promise<void> {
  if (script.role === "caller") {
    await script.peerJoins();
  }
  script.connection.sendOffer(sdp(script.role, "offer"));
  await script.hears("offer");
  if (polite) {
    script.connection.sendAnswer(sdp(script.role, "answer"));
    await script.peerLeaves();
  } else {
    await script.hears("answer");
  }
  await script.leaves();
}

async function closingOf(script: Script): Promise<void> {
  if (script.role === "caller") {
    await script.peerJoins();
  }
  if ((await script.breaksOrPeerLeaves()) === "breaks") {
    print("closing");
    script.connection.close();
    await script.connection.closed;
    print("closed");
  } else {
    await script.leaves();
  }
}

async function expiryOf(script: Script): Promise<void> {
  if (script.role === "caller") {
    await script.peerJoins();
    await script.hears("offer");
    script.connection.sendAnswer(sdp("caller", "answer"));
    await script.peerLeaves();
  } else {
    await script.reconnects();
    script.connection.sendOffer(sdp("callee", "offer"));
    await script.hears("answer");
  }
  await script.leaves();
}

async function tooLargeOf(script: Script): Promise<void> {
  try {
    script.connection.sendOffer("x".repeat(TOO_LARGE));
    throw new Failure("The client accepted an offer that is too large.");
  } catch (reason) {
    if (!(reason instanceof DyadError) || reason.code !== "too_large") throw reason;
    print("too_large");
  }
  script.connection.sendOffer(sdp("callee", "offer"));
  await script.hears("answer");
  await script.leaves();
}

async function againOf(script: Script): Promise<void> {
  await script.hearsCandidates(1);
  await script.leaves();
  await script.createsAgain();
  await script.peerJoins();
  await script.leaves();
}

async function detachOf(script: Script): Promise<void> {
  await script.hears("offer");
  script.connection.sendAnswer(sdp("callee", "answer"));
  script.connection.detach();
  await script.connection.closed;
  print("detached");
}

type Play = (script: Script, polite: boolean) => Promise<void>;

const PLAYS: Readonly<Record<string, Play>> = {
  call: (script) => callOf(script, 0),
  cut: (script) => callOf(script, PAUSE_MS),
  glare: glareOf,
  closing: closingOf,
  expiry: expiryOf,
  too_large: tooLargeOf,
  again: againOf,
  detach: detachOf,
  // Another device enters, and the iteration throws.
  taken_over: (script) => script.peerLeaves(),
};

/** The scenarios that the server refuses, and the code of the refusal. */
export const REFUSALS: Readonly<Record<string, string>> = { full: "ROOM_FULL", unknown: "ROOM_NOT_FOUND" };

/** The scenarios that a status ends, and the status. */
export const ENDS: Readonly<Record<string, string>> = { badtoken: "UNAUTHENTICATED", taken_over: "ABORTED" };

export const SCENARIOS = [...new Set([PLAYS, REFUSALS, ENDS].flatMap((some) => Object.keys(some)))];

/** Plays one side to the end. Rejects if anything is not as written. */
export async function play(connection: Connection, role: Role, scenario: string, roomId: string): Promise<void> {
  const room = await (role === "caller" ? connection.create() : connection.join(roomId));
  if (role === "caller") {
    print("created", { room: room.roomId });
  } else {
    print("joined", { room: room.roomId, polite: room.polite, peer: room.peer?.userId ?? null });
  }
  const script = new Script(connection, role);
  const playing = PLAYS[scenario];
  if (playing === undefined) {
    throw new Failure(`The server refused nothing in ${scenario}.`);
  }
  await playing(script, room.polite);
}
