import { type NegotiationEvent, Peer, type PeerSignaling } from "@dyad/web";

import type { RunningCall } from "./calls.js";

export interface CallEvents {
  /** The state or what the other participant sends has changed. */
  readonly changed: () => void;
  readonly failed: (reason: unknown) => void;
}

/** One RTCPeerConnection and its negotiation. Each peer that joins needs a new Call. */
export class Call implements RunningCall {
  readonly #pc: RTCPeerConnection;
  readonly #peer: Peer;
  readonly #senders = new Map<string, RTCRtpSender>();
  #remote: MediaStream | undefined;
  #established = false;
  #silent = false;

  constructor(configuration: RTCConfiguration, signaling: PeerSignaling, polite: boolean, events: CallEvents) {
    const pc = new RTCPeerConnection(configuration);
    pc.addEventListener("track", ({ track, streams }) => {
      this.#remote = streams[0] ?? new MediaStream([track]);
      events.changed();
    });
    pc.addEventListener("connectionstatechange", () => {
      this.#established ||= pc.connectionState === "connected";
      events.changed();
    });
    this.#pc = pc;
    this.#peer = new Peer(pc, this.#unlessSilent(signaling), {
      polite,
      failed: (reason) => this.#silent || events.failed(reason),
    });
  }

  get state(): RTCPeerConnectionState {
    return this.#pc.connectionState;
  }

  get established(): boolean {
    return this.#established;
  }

  get remote(): MediaStream | undefined {
    return this.#remote;
  }

  take(event: NegotiationEvent): void {
    void this.#peer.take(event);
  }

  /** Sends the stream's tracks to the peer, in place of those of the same kind sent before. */
  send(stream: MediaStream): void {
    for (const kind of ["audio", "video"]) {
      const track = stream.getTracks().find((own) => own.kind === kind) ?? null;
      const sender = this.#senders.get(kind);
      if (sender !== undefined) {
        void sender.replaceTrack(track);
      } else if (track !== null) {
        this.#senders.set(kind, this.#pc.addTrack(track, stream));
      }
    }
  }

  async stats(): Promise<Iterable<never>> {
    return (await this.#pc.getStats()).values() as Iterable<never>;
  }

  silence(): void {
    this.#silent = true;
  }

  close(): void {
    this.#silent = true;
    this.#peer.close();
  }

  #unlessSilent(signaling: PeerSignaling): PeerSignaling {
    return {
      sendOffer: (sdp) => this.#silent || signaling.sendOffer(sdp),
      sendAnswer: (sdp) => this.#silent || signaling.sendAnswer(sdp),
      sendCandidate: (candidate) => this.#silent || signaling.sendCandidate(candidate),
    };
  }
}
