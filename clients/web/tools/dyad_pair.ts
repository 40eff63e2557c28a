// One side of the scripted call in clients/INTEROP.md. Another client plays the other side.

import { parseArgs } from "node:util";

import { connect, type Connection, type ConnectionEvent, DyadError } from "../src/index.js";

const GIVE_UP_MS = 100_000;
const CANDIDATES = 200;
const PAUSE_MS = 10;

const SCENARIOS = ["call", "cut", "glare", "full", "unknown", "badtoken"];
type Role = "caller" | "callee";

/** The scenario did not go as written. The message says where. */
class Failure extends Error {}

function print(event: string, rest: Record<string, unknown> = {}): void {
  console.log(JSON.stringify({ event, ...rest }));
}

function sdp(role: Role, kind: "offer" | "answer"): string {
  return ["v=0", `o=${role} 1 1 IN IP4 192.0.2.1`, `s=${kind} ☎`, "t=0 0", ""].join("\r\n");
}

/** Candidate `n` of `role`. After the last one comes the end of candidates. */
function candidate(role: Role, n: number): RTCIceCandidateInit {
  const odd = n % 2 === 1;
  return n > CANDIDATES
    ? { candidate: "", sdpMid: null, sdpMLineIndex: null, usernameFragment: null }
    : {
        candidate: `candidate:${n} 1 udp 2122260223 192.0.2.1 ${50_000 + n} typ host`,
        sdpMid: odd ? "0" : null,
        sdpMLineIndex: 0,
        usernameFragment: odd ? role : null,
      };
}

/** Reads events one by one, prints them, and checks that each is the expected one. */
class Script {
  readonly #events: AsyncIterator<ConnectionEvent>;
  readonly #peer: Role;

  constructor(
    readonly connection: Connection,
    readonly role: Role,
  ) {
    this.#events = connection[Symbol.asyncIterator]();
    this.#peer = role === "caller" ? "callee" : "caller";
  }

  async peerJoins(): Promise<void> {
    const { peer } = await this.#next("peerJoined");
    print("peer_joined", { peer: peer.userId });
  }

  async hears(kind: "offer" | "answer"): Promise<void> {
    const event = await this.#next(kind);
    print(kind, { n: 1, sdp: event.sdp });
    this.#same(`the ${kind}`, event.sdp, sdp(this.#peer, kind));
  }

  async hearsCandidates(): Promise<void> {
    for (let n = 1; n <= CANDIDATES + 1; n += 1) {
      const heard = (await this.#next("candidate")).candidate;
      print("candidate", { n, candidate: heard.candidate });
      this.#same(`candidate ${n}`, JSON.stringify(heard), JSON.stringify(candidate(this.#peer, n)));
    }
  }

  async peerLeaves(): Promise<void> {
    const { reason } = await this.#next("peerLeft");
    print("peer_left", { reason: reason.toUpperCase() });
    this.#same("the reason", reason, "left");
  }

  async leaves(): Promise<void> {
    await this.connection.leave();
    print("left");
  }

  async trickles(pauseMs: number): Promise<void> {
    for (let n = 1; n <= CANDIDATES + 1; n += 1) {
      this.connection.sendCandidate(candidate(this.role, n));
      if (pauseMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  async #next<T extends ConnectionEvent["type"]>(type: T): Promise<Extract<ConnectionEvent, { type: T }>> {
    for (;;) {
      const { value: event } = await this.#events.next();
      if (event?.type === type) {
        return event as Extract<ConnectionEvent, { type: T }>;
      } else if (event?.type === "reconnecting") {
        print("reconnecting");
      } else if (event?.type === "reconnected") {
        print("reconnected", { resumed: event.resumed });
        this.#same("whether it was resumed", `${event.resumed}`, "true");
      } else {
        throw new Failure(`${event?.type ?? "The end"} came instead of ${type}.`);
      }
    }
  }

  #same(what: string, heard: string, expected: string): void {
    if (heard !== expected) {
      throw new Failure(`${what}: ${heard} is not ${expected}.`);
    }
  }
}

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

async function play(connection: Connection, role: Role, scenario: string, roomId: string): Promise<void> {
  const room = await (role === "caller" ? connection.create() : connection.join(roomId));
  if (role === "caller") {
    print("created", { room: room.roomId });
  } else {
    print("joined", { room: room.roomId, polite: room.polite, peer: room.peer?.userId ?? null });
  }
  const script = new Script(connection, role);
  if (scenario === "glare") {
    await glareOf(script, room.polite);
  } else if (scenario === "call" || scenario === "cut") {
    await callOf(script, scenario === "cut" ? PAUSE_MS : 0);
  } else {
    throw new Failure(`The server refused nothing in ${scenario}.`);
  }
}

/** Prints the refusal or the end that the scenario expects. False: it expects another one. */
function isExpected(scenario: string, reason: unknown): boolean {
  if (!(reason instanceof DyadError)) {
    return false;
  }
  const code = reason.code.toUpperCase();
  if (scenario === "badtoken" && code === "UNAUTHENTICATED") {
    print("ended", { code, retry: reason.retryable });
    return !reason.retryable;
  }
  const refusal = { full: "ROOM_FULL", unknown: "ROOM_NOT_FOUND" }[scenario];
  if (refusal === code) {
    print("refused", { code });
    return true;
  }
  return false;
}

async function main(): Promise<void> {
  const text = { type: "string", default: "" } as const;
  let given;
  try {
    given = parseArgs({ options: { role: text, target: text, token: text, room: text, scenario: text } }).values;
  } catch {
    given = undefined;
  }
  const role = given?.role;
  if ((role !== "caller" && role !== "callee") || !given?.target || !SCENARIOS.includes(given.scenario)) {
    console.error(
      `usage: dyad-pair --role caller|callee --target URL --token TOKEN [--room ID] --scenario ${SCENARIOS.join("|")}`,
    );
    process.exit(2);
  }
  setTimeout(() => {
    console.error(`The scenario was not over after ${GIVE_UP_MS / 1000} s.`);
    process.exit(1);
  }, GIVE_UP_MS).unref();
  let connection: Connection | undefined;
  try {
    connection = connect(given.target, given.token);
    await play(connection, role, given.scenario, given.room);
  } catch (reason) {
    if (!isExpected(given.scenario, reason)) {
      console.error(reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason));
      process.exitCode = 1;
    }
  } finally {
    connection?.close();
  }
}

await main();
