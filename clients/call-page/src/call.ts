import { type NegotiationEvent, Peer, type PeerSignaling } from "@dyad/web";
import { send } from "./media.js";

export interface CallEvents {
  readonly shows: (remote: MediaStream) => void;
  readonly becomes: (state: RTCPeerConnectionState) => void;
  readonly fails: (reason: unknown) => void;
}

/** One RTCPeerConnection and its negotiation. Each peer that joins needs a new Call. */
export class Call {
  readonly #pc: RTCPeerConnection;
  readonly #peer: Peer;

  /** `stun` has the addresses of STUN servers. Throws the browser's error if one is invalid. */
  constructor(signaling: PeerSignaling, polite: boolean, stun: string, events: CallEvents) {
    const urls = stun.split(/[\s,]+/).filter((url) => url !== "");
    const pc = new RTCPeerConnection({ iceServers: urls.length > 0 ? [{ urls }] : [] });
    pc.addEventListener("track", ({ track, streams }) => {
      events.shows(streams[0] ?? new MediaStream([track]));
    });
    pc.addEventListener("connectionstatechange", () => events.becomes(pc.connectionState));
    this.#pc = pc;
    this.#peer = new Peer(pc, signaling, { polite, failed: events.fails });
  }

  /** Whether the media is connected, or was until a moment ago: a gap may close by itself. */
  get running(): boolean {
    return ["connected", "disconnected"].includes(this.#pc.connectionState);
  }

  take(event: NegotiationEvent): void {
    void this.#peer.take(event);
  }

  /** Sends these tracks to the peer, in place of the last ones. */
  send(stream: MediaStream): void {
    send(this.#pc, stream);
  }

  close(): void {
    this.#peer.close();
  }
}
