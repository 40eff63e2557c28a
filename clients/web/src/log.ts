export type LogLevel = "debug" | "info" | "warn";

/** Receives what the client does, in sentences without tokens, ids, SDP or other personal data. */
export type Log = (level: LogLevel, message: string) => void;

/** A log that cannot harm the client: what the app's function throws is reported elsewhere. */
export function harmless(log: Log | undefined): Log {
  return log === undefined
    ? () => undefined
    : (level, message) => {
        try {
          log(level, message);
        } catch (reason) {
          reportUncaught(reason);
        }
      };
}

/** Reports what the app's code threw as the browser reports it for an event listener. */
export function reportUncaught(reason: unknown): void {
  if (typeof reportError === "function") {
    reportError(reason);
  } else {
    queueMicrotask(() => {
      throw reason;
    });
  }
}
