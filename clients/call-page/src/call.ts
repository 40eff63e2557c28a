import { type NegotiationEvent, Peer, type PeerSignaling } from "@dyad/web";
import { send } from "./media.js";

export interface CallEvents {
  readonly shows: (remote: MediaStream) => void;
  readonly becomes: (state: RTCPeerConnectionState) => void;
  readonly fails: (reason: unknown) => void;
}

/** One RTCPeerConnection and what negotiates it: a new one for everybody who comes. */
export class Call {
  readonly #pc: RTCPeerConnection;
  readonly #peer: Peer;

  /** `stun`: addresses, or none. Throws what the browser throws when they are no such. */
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

  /** Whether the two see and hear each other, or did until a moment ago: a gap may mend by itself. */
  get running(): boolean {
    return ["connected", "disconnected"].includes(this.#pc.connectionState);
  }

  async take(event: NegotiationEvent): Promise<void> {
    await this.#peer.take(event);
  }

  /** Sends these tracks to the other one, in place of those before. */
  send(stream: MediaStream): void {
    send(this.#pc, stream);
  }

  close(): void {
    this.#peer.close();
  }
}
