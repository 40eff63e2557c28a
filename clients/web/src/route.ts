import type { DyadError } from "./errors.js";
import type { LinkRoute } from "./link.js";
import type { Log } from "./log.js";
import type { Pace } from "./pace.js";

/** How to reach the server, and how to behave. */
export interface Route extends LinkRoute {
  readonly pace: Pace;
  /** The most bytes in a frame. */
  readonly maxFrameBytes: number;
  /** How long to try to reconnect. */
  readonly giveUpAfterMs: number;
  readonly log: Log;
  /** Says why no connection could be opened. */
  readonly whyUnreachable: (failure: DyadError) => Promise<DyadError>;
}

/** A seat that can be resumed. */
export interface Seat {
  readonly roomId: string;
  readonly resumeToken: string;
}
