/** The direct connection to the other participant, as far as it matters here. */
export interface RunningCall {
  readonly state: RTCPeerConnectionState;
  /** Whether it was ever connected. */
  readonly established: boolean;
  /** What the other participant sends, once something arrives. */
  readonly remote: MediaStream | undefined;
  /** Stops negotiating. The media goes on. */
  silence(): void;
  close(): void;
}

/**
 * The call that is negotiated, and the one before it. The last call ends only when the next
 * one is connected, so that the picture does not stop while both sides negotiate again.
 */
export class Calls<C extends RunningCall> {
  #current: C | undefined;
  #last: C | undefined;

  /** The call that is negotiated. */
  get current(): C | undefined {
    return this.#current;
  }

  get media(): "none" | "trying" | "flows" | "gap" {
    const calls = this.all;
    if (calls.some(({ state }) => state === "connected")) {
      return "flows";
    }
    if (calls.some(({ state, established }) => established && (state === "disconnected" || state === "failed"))) {
      return "gap";
    }
    return this.#current === undefined ? "none" : "trying";
  }

  /** The call whose picture is shown. */
  get shown(): C | undefined {
    return this.#last ?? this.#current;
  }

  get all(): readonly C[] {
    return [this.#current, this.#last].filter((call) => call !== undefined);
  }

  /** Starts to negotiate a new call. */
  begin(call: C): void {
    this.letGo();
    this.#current = call;
  }

  /** Stop negotiating: the peer has left the room. A call that is connected goes on. */
  letGo(): void {
    const call = this.#current;
    this.#current = undefined;
    // A gap may close by itself.
    if (call?.state === "connected" || call?.state === "disconnected") {
      this.#last?.close();
      this.#last = call;
      call.silence();
    } else {
      call?.close();
    }
  }

  /** Tells that the state of a call has changed. */
  changed(): void {
    const over = this.#last !== undefined && (this.#last.state === "failed" || this.#last.state === "closed");
    if (over || this.#current?.state === "connected") {
      this.#last?.close();
      this.#last = undefined;
    }
  }

  end(): void {
    this.all.forEach((call) => call.close());
    this.#current = undefined;
    this.#last = undefined;
  }
}
