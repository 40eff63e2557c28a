/** Sends the tracks of the app's streams over one RTCPeerConnection. */
export class LocalTracks {
  readonly #pc: RTCPeerConnection;
  readonly #failed: (reason: unknown) => void;
  readonly #sending = new Map<MediaStreamTrack, RTCRtpTransceiver>();
  /** Those whose track was taken away. A new one for each track would make the SDP ever longer. */
  readonly #free = new Set<RTCRtpTransceiver>();

  /** `failed` is told if the browser cannot replace a track. */
  constructor(pc: RTCPeerConnection, failed: (reason: unknown) => void) {
    this.#pc = pc;
    this.#failed = failed;
  }

  /** Sends the tracks of this stream and no others. A new track replaces one of its kind. */
  send(stream: MediaStream | undefined): void {
    const wanted = stream?.getTracks() ?? [];
    for (const [track, transceiver] of this.#sending) {
      if (!wanted.includes(track)) {
        this.#sending.delete(track);
        this.#free.add(transceiver);
      }
    }
    for (const track of wanted) {
      if (!this.#sending.has(track)) {
        this.#sending.set(track, this.#reuse(track) ?? this.#add(track, stream as MediaStream));
      }
    }
    for (const { sender, direction } of this.#free) {
      if (sends(direction)) this.#pc.removeTrack(sender);
    }
  }

  #reuse(track: MediaStreamTrack): RTCRtpTransceiver | undefined {
    for (const transceiver of this.#free) {
      if (transceiver.receiver.track.kind === track.kind) {
        this.#free.delete(transceiver);
        transceiver.sender.replaceTrack(track).catch(this.#failed);
        if (!sends(transceiver.direction)) transceiver.direction = "sendrecv";
        return transceiver;
      }
    }
    return undefined;
  }

  #add(track: MediaStreamTrack, stream: MediaStream): RTCRtpTransceiver {
    const sender = this.#pc.addTrack(track, stream);
    return this.#pc.getTransceivers().find((one) => one.sender === sender) as RTCRtpTransceiver;
  }
}

function sends(direction: RTCRtpTransceiverDirection): boolean {
  return direction === "sendrecv" || direction === "sendonly";
}
