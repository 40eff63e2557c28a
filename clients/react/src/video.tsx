import { type ComponentPropsWithoutRef, type ReactElement, useEffect, useRef } from "react";

/** The properties of a `<video>`, with a stream instead of an address. */
export interface VideoProps extends Omit<ComponentPropsWithoutRef<"video">, "src"> {
  readonly stream: MediaStream | undefined;
}

/**
 * A `<video>` that plays a stream. If the browser does not let it start by itself, it shows the
 * browser's controls, so that the user can start it.
 */
export function Video({ stream, ...others }: VideoProps): ReactElement {
  const element = useRef<HTMLVideoElement>(null);

  useEffect(() => {
    const video = element.current;
    if (video === null) {
      return;
    }
    video.srcObject = stream ?? null;
    if (stream !== undefined) {
      video.play().catch(({ name }: Error) => {
        if (name === "NotAllowedError") video.controls = true;
      });
    }
  }, [stream]);

  return <video ref={element} autoPlay playsInline {...others} />;
}
