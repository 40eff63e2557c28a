/** What to do when the browser reports a change of the network. */
export interface NetworkWatcher {
  /** The network is gone, as far as the browser can tell. */
  readonly offline?: () => void;
  /** The network is back, or is another one. */
  readonly changed: () => void;
}

/** The part of the Network Information API that says which network this is. Not in all browsers. */
interface NetworkInformation extends EventTarget {
  readonly type?: string;
}

/** Calls the watcher until the function returned is called. Outside of browsers, does nothing. */
export function watchNetwork({ offline = () => undefined, changed }: NetworkWatcher): () => void {
  if (typeof addEventListener !== "function") {
    return () => undefined;
  }
  const unwatch = watchType(changed);
  addEventListener("offline", offline);
  addEventListener("online", changed);
  return () => {
    unwatch();
    removeEventListener("offline", offline);
    removeEventListener("online", changed);
  };
}

/** Notices a change from Wi-Fi to cellular. The browser also reports mere estimates of speed. */
function watchType(changed: () => void): () => void {
  const { connection } = navigator as Navigator & { connection?: NetworkInformation };
  let type = connection?.type;
  const listener = (): void => {
    const before = type;
    type = connection?.type;
    // While there is no network, `online` follows.
    if (type !== before && type !== "none" && before !== "none") changed();
  };
  connection?.addEventListener("change", listener);
  return () => connection?.removeEventListener("change", listener);
}
