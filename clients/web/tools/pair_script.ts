// What one side of the scripted call sends, and what it expects (clients/INTEROP.md).

import type { Connection, ConnectionEvent } from "../src/index.js";

export type Role = "caller" | "callee";

const CANDIDATES = 200;

/** The scenario did not go as written. The message says where. */
export class Failure extends Error {}

export function print(event: string, rest: Record<string, unknown> = {}): void {
  console.log(JSON.stringify({ event, ...rest }));
}

export function sdp(role: Role, kind: "offer" | "answer"): string {
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
export class Script {
  readonly #peer: Role;
  #events: AsyncIterator<ConnectionEvent>;

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

  async hearsCandidates(last = CANDIDATES + 1): Promise<void> {
    for (let n = 1; n <= last; n += 1) {
      const heard = (await this.#next("candidate")).candidate;
      print("candidate", { n, candidate: heard.candidate });
      this.#same(`candidate ${n}`, JSON.stringify(heard), JSON.stringify(candidate(this.#peer, n)));
    }
  }

  async peerLeaves(): Promise<void> {
    this.#hearsLeft(await this.#next("peerLeft"));
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

  /** Waits until the client has reconnected, or the other side has hung up. */
  async breaksOrPeerLeaves(): Promise<"breaks" | "peer leaves"> {
    const { value: event } = await this.#events.next();
    if (event?.type === "reconnecting") {
      print("reconnecting");
      return "breaks";
    }
    this.#hearsLeft(event);
    return "peer leaves";
  }

  async reconnects(): Promise<void> {
    if ((await this.breaksOrPeerLeaves()) !== "breaks") {
      throw new Failure("The connection did not break.");
    }
    const { value: event } = await this.#events.next();
    if (event?.type !== "reconnected") {
      throw new Failure(`${event?.type ?? "The end"} came instead of reconnected.`);
    }
    this.#reconnected(event.resumed);
  }

  /** Reads on in the room that was entered after the last one. */
  async createsAgain(): Promise<void> {
    const { roomId } = await this.connection.create();
    this.#events = this.connection[Symbol.asyncIterator]();
    print("created", { room: roomId });
  }

  async #next<T extends ConnectionEvent["type"]>(type: T): Promise<Extract<ConnectionEvent, { type: T }>> {
    for (;;) {
      const { value: event } = await this.#events.next();
      if (event?.type === type) {
        return event as Extract<ConnectionEvent, { type: T }>;
      } else if (event?.type === "reconnecting") {
        print("reconnecting");
      } else if (event?.type === "reconnected") {
        this.#reconnected(event.resumed);
      } else {
        throw new Failure(`${event?.type ?? "The end"} came instead of ${type}.`);
      }
    }
  }

  #hearsLeft(event: ConnectionEvent | undefined): void {
    if (event?.type !== "peerLeft") {
      throw new Failure(`${event?.type ?? "The end"} came instead of peerLeft.`);
    }
    print("peer_left", { reason: event.reason.toUpperCase() });
    this.#same("the reason", event.reason, "left");
  }

  #reconnected(resumed: boolean): void {
    print("reconnected", { resumed });
    this.#same("whether it was resumed", `${resumed}`, "true");
  }

  #same(what: string, heard: string, expected: string): void {
    if (heard !== expected) {
      throw new Failure(`${what}: ${heard} is not ${expected}.`);
    }
  }
}
