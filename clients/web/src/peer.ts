import { DyadError } from "./errors.js";
import { watchNetwork } from "./network.js";

// Shorter gaps close by themselves.
const GAP_MS = 3_000;

/** What a Peer needs to send to the other side. A Connection has it. */
export interface PeerSignaling {
  sendOffer(sdp: string): void;
  sendAnswer(sdp: string): void;
  sendCandidate(candidate: RTCIceCandidateInit | null): void;
}

export interface PeerOptions {
  /** The role: `polite` of the room. */
  readonly polite: boolean;
  /**
   * Called if a step of the negotiation failed: with a DyadError `unusable_description` if the
   * browser cannot use what the other side sent. Media that flows already goes on.
   */
  readonly failed: (reason: unknown) => void;
}

/** The events of a connection that a Peer needs. */
export type NegotiationEvent =
  | { readonly type: "offer" | "answer"; readonly sdp: string }
  | { readonly type: "candidate"; readonly candidate: RTCIceCandidateInit };

/**
 * Negotiates one RTCPeerConnection, from either side, by the W3C's "perfect
 * negotiation" (https://www.w3.org/TR/webrtc/#perfect-negotiation-example).
 *
 * It differs in one thing: the polite side sets its own offer only when that is
 * answered, so it has nothing to roll back when both sides offer at once. After a
 * rollback, Chromium shows and plays no remote media any more.
 *
 * Adding a track or a data channel makes the offer. A Peer asks for an ICE restart when
 * the path to the other side is lost, and when the network changes.
 *
 * After an `unusable_description`, the next offer of the other side may succeed. But Chromium
 * refuses all descriptions after some bad ones. Then both sides need a new RTCPeerConnection,
 * with a new Peer: let the user leave the room and join it again.
 */
export class Peer {
  readonly #pc: RTCPeerConnection;
  readonly #signaling: PeerSignaling;
  readonly #options: PeerOptions;
  readonly #unwatch: () => void;
  readonly #stopping = new AbortController();
  #taking: Promise<void> = Promise.resolve();
  #makingOffer = false;
  /** The polite side's offer, to be set when it is answered. */
  #offered: RTCSessionDescriptionInit | undefined;
  /** Whether the answer to this side's offer was unusable. Nothing will answer that offer now. */
  #unanswered = false;
  /** Candidates that arrived before the remote description. */
  #early: RTCIceCandidateInit[] = [];
  #gap: ReturnType<typeof setTimeout> | undefined;

  constructor(pc: RTCPeerConnection, signaling: PeerSignaling, options: PeerOptions) {
    this.#pc = pc;
    this.#signaling = signaling;
    this.#options = options;
    const { signal } = this.#stopping;
    pc.addEventListener("negotiationneeded", () => void this.#offer(), { signal });
    pc.addEventListener("icecandidate", ({ candidate }) => this.#trickle(candidate), { signal });
    pc.addEventListener("iceconnectionstatechange", () => this.#mend(), { signal });
    this.#unwatch = watchNetwork({ changed: () => pc.restartIce() });
  }

  /**
   * Handles an event from the other side, after those before it. It never rejects: `failed` is
   * told if the browser cannot use what arrived.
   */
  take(event: NegotiationEvent): Promise<void> {
    this.#taking = this.#taking.then(async () => {
      try {
        if (!this.#over) await this.#handle(event);
      } catch (reason) {
        this.#report(reason);
      }
    });
    return this.#taking;
  }

  /** Stops negotiating. The connection between the two browsers, and its media, go on. */
  stop(): void {
    clearTimeout(this.#gap);
    this.#unwatch();
    this.#stopping.abort();
  }

  /** Ends the connection between the two browsers. */
  close(): void {
    this.stop();
    this.#pc.close();
  }

  #mend(): void {
    const pc = this.#pc;
    clearTimeout(this.#gap);
    if (pc.iceConnectionState === "failed") {
      pc.restartIce();
    } else if (pc.iceConnectionState === "disconnected") {
      this.#gap = setTimeout(() => pc.restartIce(), GAP_MS);
    }
  }

  async #offer(): Promise<void> {
    if (this.#offered !== undefined) {
      return;
    }
    try {
      this.#makingOffer = true;
      if (this.#options.polite) {
        this.#offered = await this.#pc.createOffer();
        this.#describe(this.#offered);
      } else {
        await this.#pc.setLocalDescription();
        this.#describe(this.#pc.localDescription);
      }
    } catch (reason) {
      // What was not sent is not answered either.
      this.#offered = undefined;
      this.#report(reason);
    } finally {
      this.#makingOffer = false;
    }
  }

  #trickle(candidate: RTCIceCandidate | null): void {
    // "" ends one generation of one media description, null ends all of them. The other
    // side needs only the last.
    if (candidate?.candidate === "" || this.#over) {
      return;
    }
    try {
      this.#signaling.sendCandidate(candidate?.toJSON() ?? null);
    } catch (reason) {
      this.#report(reason);
    }
  }

  async #handle(event: NegotiationEvent): Promise<void> {
    if (event.type !== "candidate") {
      await this.#takeDescription(event);
    } else if (this.#pc.remoteDescription === null) {
      this.#early.push(event.candidate);
    } else {
      await this.#addCandidate(event.candidate);
    }
  }

  async #takeDescription({ type, sdp }: { type: "offer" | "answer"; sdp: string }): Promise<void> {
    const pc = this.#pc;
    const open = this.#offered !== undefined || pc.signalingState === "have-local-offer";
    if (type === "answer" && !open) {
      // It answers an offer that this side has dropped.
      return;
    }
    const offersCross = this.#makingOffer || (pc.signalingState !== "stable" && !this.#unanswered);
    if (type === "offer" && offersCross && !this.#options.polite) {
      return;
    }
    try {
      // Set both without a wait in between, in which an offer could arrive and roll back.
      const answered = type === "answer" ? this.#offered : undefined;
      await Promise.all([
        answered && pc.setLocalDescription(answered),
        pc.setRemoteDescription({ type, sdp }),
      ]);
      this.#unanswered = false;
    } catch (cause) {
      this.#unanswered ||= type === "answer";
      throw unusable(type, cause);
    } finally {
      this.#offered = undefined;
    }
    const early = this.#early;
    this.#early = [];
    await Promise.all(early.map((candidate) => this.#addCandidate(candidate)));
    if (type === "offer") {
      await pc.setLocalDescription();
      this.#describe(pc.localDescription);
    }
  }

  async #addCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch {
      // The candidate may belong to an ignored offer or to an earlier call. Otherwise
      // there is one path fewer, and the call may still work.
    }
  }

  #describe(description: RTCSessionDescriptionInit | null): void {
    if (this.#over || description?.sdp === undefined) {
      return;
    }
    if (description.type === "offer") {
      this.#signaling.sendOffer(description.sdp);
    } else {
      this.#signaling.sendAnswer(description.sdp);
    }
  }

  #report(reason: unknown): void {
    if (!this.#over) {
      this.#options.failed(reason);
    }
  }

  get #over(): boolean {
    return this.#stopping.signal.aborted || this.#pc.signalingState === "closed";
  }
}

/** The browser's own message may contain a part of the SDP, so only `cause` has it. */
function unusable(type: "offer" | "answer", cause: unknown): DyadError {
  const sentence = `The browser cannot use the ${type} of the other side. To start over, leave the room and join it again.`;
  return new DyadError("unusable_description", sentence, { cause });
}
