/** Keeps a phone's screen on during a call, where the browser can. */
export class WakeLock {
  #wanted = false;
  #lock: WakeLockSentinel | undefined;

  constructor() {
    // The browser releases the lock when the page is hidden.
    document.addEventListener("visibilitychange", () => void this.#take());
  }

  set(wanted: boolean): void {
    this.#wanted = wanted;
    void (wanted ? this.#take() : this.#release());
  }

  async #take(): Promise<void> {
    const available = navigator as Partial<Pick<Navigator, "wakeLock">>;
    if (!this.#wanted || document.hidden || available.wakeLock === undefined || this.#lock?.released === false) {
      return;
    }
    try {
      this.#lock = await available.wakeLock.request("screen");
    } catch {
      // The battery is low, or the device does not allow it: the screen may turn off.
    }
    if (!this.#wanted) {
      await this.#release();
    }
  }

  async #release(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }
}
