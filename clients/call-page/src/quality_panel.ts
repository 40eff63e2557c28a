import type { Call } from "./call.js";
import * as page from "./elements.js";
import { describe, grade, measure, NO_COUNTERS, PLOT, plot, type Sample } from "./quality.js";

const EVERY_MS = 2_000;

/** Shows how good the connection to the other participant is, in words and as a small plot. */
export class QualityPanel {
  readonly #shown: () => Call | undefined;
  #measured: Call | undefined;
  #counters = NO_COUNTERS;
  #samples: Sample[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `shown` is the call to measure. */
  constructor(shown: () => Call | undefined) {
    this.#shown = shown;
  }

  /** Measures while `on`. */
  set(on: boolean): void {
    if (on && this.#timer === undefined) {
      this.#timer = setInterval(() => void this.#measure(), EVERY_MS);
    } else if (!on) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      page.quality.hidden = true;
      page.quality.open = false;
      this.#measured = undefined;
      this.#samples = [];
    }
  }

  async #measure(): Promise<void> {
    const call = this.#shown();
    if (call === undefined) {
      return;
    }
    if (call !== this.#measured) {
      this.#measured = call;
      this.#counters = NO_COUNTERS;
    }
    const { sample, counters } = measure(await call.stats(), this.#counters);
    if (call !== this.#measured || this.#timer === undefined) {
      return;
    }
    this.#counters = counters;
    this.#samples = [...this.#samples, sample].slice(-PLOT.samples);
    this.#show(sample);
  }

  #show(sample: Sample): void {
    page.quality.hidden = false;
    page.grade.textContent = `Quality: ${grade(sample)}`;
    page.figures.textContent = describe(sample);
    const { roundTrip, loss } = plot(this.#samples);
    page.tripLine.setAttribute("points", roundTrip);
    page.lossLine.setAttribute("points", loss);
  }
}
