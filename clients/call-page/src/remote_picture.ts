/** Plays what the other participant sends. */
export class RemotePicture {
  readonly #video: HTMLVideoElement;
  readonly #blocked: (blocked: boolean) => void;

  /** Calls `blocked` when the browser's autoplay rule has stopped the sound, or no longer does. */
  constructor(video: HTMLVideoElement, blocked: (blocked: boolean) => void) {
    this.#video = video;
    this.#blocked = blocked;
  }

  show(stream: MediaStream | undefined): void {
    const next = stream ?? null;
    // Setting the same stream again reloads it, and the video stays black until each of
    // its tracks flows. A new track may have to wait for signaling.
    if (this.#video.srcObject === next) {
      return;
    }
    this.#video.srcObject = next;
    if (next !== null) {
      void this.#play();
    }
  }

  /** The user has pressed a button, so the browser lets the page play sound. */
  async turnOnSound(): Promise<void> {
    this.#video.muted = false;
    await this.#play();
  }

  async #play(): Promise<void> {
    try {
      await this.#video.play();
      this.#blocked(this.#video.muted);
    } catch (reason) {
      // Otherwise another stream was set before this one played.
      if (reason instanceof DOMException && reason.name === "NotAllowedError" && !this.#video.muted) {
        // Browsers allow a picture without sound.
        this.#video.muted = true;
        await this.#play();
      }
    }
  }
}
