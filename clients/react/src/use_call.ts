import type { Token } from "@dyad/web";
import { useCallback, useEffect, useRef, useState } from "react";

import { type CallView, NO_CALL, Stay } from "./stay.js";

/** Which call a component is in. */
export interface UseCallOptions {
  /** The address of the server's grpc-web proxy, such as `location.origin`. */
  readonly url: string | URL;
  /**
   * The app's JWT, or a function that returns one. The newest is used for each network
   * connection. Another token does not end the call.
   */
  readonly token: Token;
  /** The room to join. Without it, the call is in a new room, or in the one that the token names. */
  readonly room?: string | undefined;
  /** Whether to be in the room. The default is true; false hangs up. */
  readonly enabled?: boolean | undefined;
  /** The tracks to send. To send other tracks, give another stream. */
  readonly local?: MediaStream | undefined;
  /** For the next RTCPeerConnection, such as its STUN and TURN servers. */
  readonly configuration?: RTCConfiguration | undefined;
}

/** A call as it is now, and what can be done about it. */
export interface CallResult extends CallView {
  /** Enters the room again, such as after an error. */
  readonly enterAgain: () => void;
}

/**
 * A component's call. The component is in the room while it is mounted and `enabled`, and hangs
 * up when it is unmounted, when the page closes, and before it enters another `room`.
 */
export function useCall(options: UseCallOptions): CallResult {
  const { url, room, enabled = true, local } = options;
  const address = String(url);
  const newest = useRef(options);
  const stay = useRef<Stay>(undefined);
  const [view, setView] = useState(NO_CALL);
  const [created, setCreated] = useState<string>();
  const [entry, setEntry] = useState(0);
  const enterAgain = useCallback(() => setEntry((number) => number + 1), []);
  // An app may keep the id of the room that was created: it is in that room already.
  const wanted = room === created ? undefined : room;

  useEffect(() => {
    newest.current = options;
  });

  useEffect(() => {
    if (!enabled) {
      return undefined;
    }
    const current = new Stay(address, wanted, () => newest.current, (shown) => {
      setView(shown);
      if (wanted === undefined && shown.room !== undefined) setCreated(shown.room.roomId);
    });
    const end = (): void => current.end();
    // After "back", a browser may show the page as it was, without its call.
    const shownAgain = ({ persisted }: PageTransitionEvent): void => {
      if (persisted) enterAgain();
    };
    addEventListener("pagehide", end);
    addEventListener("pageshow", shownAgain);
    stay.current = current;
    return () => {
      removeEventListener("pagehide", end);
      removeEventListener("pageshow", shownAgain);
      end();
      setView(NO_CALL);
      setCreated(undefined);
    };
  }, [address, wanted, enabled, entry, enterAgain]);

  useEffect(() => stay.current?.send(local), [local]);

  return { ...view, enterAgain };
}
