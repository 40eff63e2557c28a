import { useEffect, useState } from "react";

/** The user's camera and microphone. */
export interface UserMedia {
  /** Absent until the user has allowed it. */
  readonly stream: MediaStream | undefined;
  /** Why there is no stream, such as a DOMException with the name NotAllowedError. */
  readonly error: unknown;
}

const NOTHING: UserMedia = { stream: undefined, error: undefined };

/**
 * Opens camera and microphone while the component is mounted, and closes them afterwards.
 *
 * @param constraints as for `getUserMedia`; undefined keeps both closed.
 */
export function useUserMedia(constraints: MediaStreamConstraints | undefined): UserMedia {
  const [media, setMedia] = useState(NOTHING);
  // Most apps create a new object in each render.
  const wanted = constraints && JSON.stringify(constraints);

  useEffect(() => {
    if (wanted === undefined) {
      return undefined;
    }
    let over = false;
    let opened: MediaStream | undefined;
    const stop = (): void => opened?.getTracks().forEach((track) => track.stop());
    const open = async (): Promise<void> => {
      // In StrictMode, React unmounts each new component at once and mounts it again.
      await Promise.resolve();
      if (over) return;
      try {
        opened = await devices().getUserMedia(JSON.parse(wanted) as MediaStreamConstraints);
        if (over) stop();
        else setMedia({ stream: opened, error: undefined });
      } catch (error) {
        if (!over) setMedia({ stream: undefined, error });
      }
    };
    void open();
    return () => {
      over = true;
      stop();
      setMedia(NOTHING);
    };
  }, [wanted]);

  return media;
}

function devices(): MediaDevices {
  const found = navigator.mediaDevices as MediaDevices | undefined;
  if (found === undefined) {
    throw new DOMException("Browsers open camera and microphone only on https pages and on localhost.", "SecurityError");
  }
  return found;
}
