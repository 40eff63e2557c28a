/** What the browser says of the network. */
export interface NetworkWatcher {
  /** It is gone, as far as the browser can tell. */
  readonly went?: () => void;
  /** It is back, and may be another one. */
  readonly came: () => void;
}

/** Tells the watcher until what this returns is called; outside of browsers, nothing. */
export function watchNetwork({ went = () => undefined, came }: NetworkWatcher): () => void {
  if (typeof addEventListener !== "function") {
    return () => undefined;
  }
  addEventListener("offline", went);
  addEventListener("online", came);
  return () => {
    removeEventListener("offline", went);
    removeEventListener("online", came);
  };
}
