/** What to do when the browser reports a change of the network. */
export interface NetworkWatcher {
  /** The network is gone, as far as the browser can tell. */
  readonly offline?: () => void;
  /** The network is back. It may be another one. */
  readonly online: () => void;
}

/** Calls the watcher until the function returned is called. Outside of browsers, does nothing. */
export function watchNetwork({ offline = () => undefined, online }: NetworkWatcher): () => void {
  if (typeof addEventListener !== "function") {
    return () => undefined;
  }
  addEventListener("offline", offline);
  addEventListener("online", online);
  return () => {
    removeEventListener("offline", offline);
    removeEventListener("online", online);
  };
}
