import { parseArgs } from "node:util";

import { connect, type Connection, type ConnectionEvent, DyadError } from "../src/index.js";

const USAGE = "usage: node pair.mjs --url URL --token TOKEN --token-b TOKEN";
const STEP_MS = 10_000;
const CANDIDATES = 3;

const started = performance.now();

/** A participant in the scripted call. It prints each step, and waits for the expected event. */
class Participant {
  readonly #events: AsyncIterator<ConnectionEvent>;

  constructor(
    readonly name: string,
    readonly connection: Connection,
  ) {
    this.#events = connection[Symbol.asyncIterator]();
  }

  says(step: string): void {
    const elapsed = Math.round(performance.now() - started).toString();
    console.log(`${elapsed.padStart(6)} ms  ${this.name.padEnd(6)} ${step}`);
  }

  async expects<T extends ConnectionEvent["type"]>(
    type: T,
  ): Promise<Extract<ConnectionEvent, { type: T }>> {
    const { value: event } = await within(this.#events.next(), `${this.name} waited for ${type}`);
    if (event?.type !== type) {
      const why = event?.type === "error" ? `: ${event.error.message}` : "";
      throw new Error(`${this.name} expected ${type} and received ${event?.type ?? "the end"}${why}`);
    }
    return event as Extract<ConnectionEvent, { type: T }>;
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} for ${STEP_MS / 1000} s`)), STEP_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function same(what: string, sent: string, received: string): void {
  if (sent !== received) {
    throw new Error(`${what} arrived changed`);
  }
}

async function trickle(from: Participant, to: Participant): Promise<void> {
  const sent = Array.from({ length: CANDIDATES }, (_, index) => ({
    candidate: `candidate:${index} 1 udp 1 192.0.2.1 ${5000 + index} typ host`,
    sdpMid: "0",
    sdpMLineIndex: 0,
    usernameFragment: null,
  }));
  for (const candidate of sent) {
    from.connection.sendCandidate(candidate);
  }
  from.connection.sendCandidate(null);
  from.says(`sent ${CANDIDATES} candidates and their end`);
  for (const candidate of sent) {
    const event = await to.expects("candidate");
    same("a candidate", JSON.stringify(candidate), JSON.stringify(event.candidate));
  }
  same("the end of candidates", "", (await to.expects("candidate")).candidate.candidate ?? "");
  to.says(`received ${CANDIDATES} candidates and their end`);
}

async function call(alice: Participant, bob: Participant): Promise<void> {
  const room = await within(alice.connection.create(), "alice waited for her room");
  alice.says(`created room ${room.roomId}`);
  const joined = await within(bob.connection.join(room.roomId), "bob waited for the room");
  bob.says(`joined; ${joined.peer?.userId ?? "nobody"} is there, ${joined.polite ? "polite" : "impolite"}`);
  if (room.polite || !joined.polite || joined.peer === undefined) {
    throw new Error("the room gave the wrong roles");
  }
  const { peer } = await alice.expects("peerJoined");
  alice.says(`was told that ${peer.userId} joined`);

  const offer = "v=0 (a scripted offer)";
  alice.connection.sendOffer(offer);
  alice.says("sent an offer");
  same("the offer", offer, (await bob.expects("offer")).sdp);
  bob.says("received the offer");

  const answer = "v=0 (a scripted answer)";
  bob.connection.sendAnswer(answer);
  bob.says("sent an answer");
  same("the answer", answer, (await alice.expects("answer")).sdp);
  alice.says("received the answer");

  await trickle(alice, bob);
  await trickle(bob, alice);

  await within(alice.connection.leave(), "alice waited for her hang-up");
  alice.says("left");
  const { reason } = await bob.expects("peerLeft");
  bob.says(`was told that alice left (${reason})`);
  await within(bob.connection.leave(), "bob waited for his hang-up");
  bob.says("left");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      token: { type: "string" },
      "token-b": { type: "string" },
    },
  });
  const { url, token, "token-b": tokenB } = values;
  if (url === undefined || token === undefined || tokenB === undefined) {
    throw new Error(USAGE);
  }
  const open: Connection[] = [];
  const participant = (name: string, ownToken: string): Participant => {
    const connection = connect(url, ownToken);
    open.push(connection);
    return new Participant(name, connection);
  };
  try {
    await call(participant("alice", token), participant("bob", tokenB));
  } finally {
    open.forEach((connection) => connection.close());
  }
}

try {
  await main();
} catch (reason) {
  const code = reason instanceof DyadError ? ` (${reason.code})` : "";
  console.error(`pair: ${reason instanceof Error ? reason.message : String(reason)}${code}`);
  process.exitCode = 1;
}
