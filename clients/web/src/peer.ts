import type { ConnectionEvent } from "./events.js";
import { watchNetwork } from "./network.js";

// Shorter gaps mend by themselves.
const GAP_MS = 3_000;

/** Where a Peer says what the other one needs to hear; a Connection is one. */
export interface PeerSignaling {
  sendOffer(sdp: string): void;
  sendAnswer(sdp: string): void;
  sendCandidate(candidate: RTCIceCandidateInit | null): void;
}

export interface PeerOptions {
  /** The role that the room gave. */
  readonly polite: boolean;
  /** A negotiation that began on this side failed. */
  readonly failed: (reason: unknown) => void;
}

/** What a Peer takes of a connection's events. */
export type NegotiationEvent = Extract<ConnectionEvent, { type: "offer" | "answer" | "candidate" }>;

/**
 * Negotiates one RTCPeerConnection, from either side, by the W3C's "perfect
 * negotiation" (https://www.w3.org/TR/webrtc/#perfect-negotiation-example).
 *
 * In one thing it differs: the polite one sets what it offers only when that is
 * answered, so that it has nothing to roll back when the two offer at once.
 * Chromium shows and plays nothing more of the other one after a rollback.
 *
 * Adding a track, or a data channel, is what makes the offer. When the way to
 * the other one is lost, or the network another one, it asks for a new way (an
 * ICE restart).
 */
export class Peer {
  readonly #pc: RTCPeerConnection;
  readonly #signaling: PeerSignaling;
  readonly #options: PeerOptions;
  #makingOffer = false;
  /** What the polite one offered, and sets once it is answered. */
  #offered: RTCSessionDescriptionInit | undefined;
  #settingAnswer = false;
  #held: RTCIceCandidateInit[] = [];
  readonly #unwatch: () => void;
  #gap: ReturnType<typeof setTimeout> | undefined;

  constructor(pc: RTCPeerConnection, signaling: PeerSignaling, options: PeerOptions) {
    this.#pc = pc;
    this.#signaling = signaling;
    this.#options = options;
    pc.addEventListener("negotiationneeded", () => void this.#offer());
    pc.addEventListener("icecandidate", ({ candidate }) => this.#trickle(candidate));
    pc.addEventListener("iceconnectionstatechange", () => this.#mend());
    this.#unwatch = watchNetwork({ came: () => pc.restartIce() });
  }

  /** Takes what the other one said; rejects when the browser cannot use a description. */
  async take(event: NegotiationEvent): Promise<void> {
    if (event.type === "candidate") {
      await this.#takeCandidate(event.candidate);
    } else {
      await this.#takeDescription(event);
    }
  }

  close(): void {
    clearTimeout(this.#gap);
    this.#unwatch();
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
      this.#report(reason);
    } finally {
      this.#makingOffer = false;
    }
  }

  #trickle(candidate: RTCIceCandidate | null): void {
    // "" ends one generation of one media description, null all of them: one
    // end is enough for the other side.
    if (candidate?.candidate === "" || this.#closed) {
      return;
    }
    try {
      this.#signaling.sendCandidate(candidate?.toJSON() ?? null);
    } catch (reason) {
      this.#report(reason);
    }
  }

  async #takeDescription({ type, sdp }: { type: "offer" | "answer"; sdp: string }): Promise<void> {
    const pc = this.#pc;
    const readyForOffer =
      !this.#makingOffer && (pc.signalingState === "stable" || this.#settingAnswer);
    if (type === "offer" && !readyForOffer && !this.#options.polite) {
      return;
    }
    this.#settingAnswer = type === "answer";
    try {
      // Without a wait between the two, where an offer could come and roll back.
      const answered = type === "answer" ? this.#offered : undefined;
      await Promise.all([
        answered && pc.setLocalDescription(answered),
        pc.setRemoteDescription({ type, sdp }),
      ]);
    } finally {
      this.#settingAnswer = false;
      this.#offered = undefined;
    }
    const held = this.#held;
    this.#held = [];
    await Promise.all(held.map((candidate) => this.#addCandidate(candidate)));
    if (type === "offer") {
      await pc.setLocalDescription();
      this.#describe(pc.localDescription);
    }
  }

  async #takeCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    if (this.#pc.remoteDescription === null) {
      this.#held.push(candidate);
    } else {
      await this.#addCandidate(candidate);
    }
  }

  async #addCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch {
      // It may belong to an offer that was passed over, or to a call before
      // this one; and else it is one path fewer, which is no failed call.
    }
  }

  #describe(description: RTCSessionDescriptionInit | null): void {
    if (this.#closed || description?.sdp === undefined) {
      return;
    }
    if (description.type === "offer") {
      this.#signaling.sendOffer(description.sdp);
    } else {
      this.#signaling.sendAnswer(description.sdp);
    }
  }

  #report(reason: unknown): void {
    if (!this.#closed) {
      this.#options.failed(reason);
    }
  }

  get #closed(): boolean {
    return this.#pc.signalingState === "closed";
  }
}
