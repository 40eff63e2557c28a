import { useCall, useUserMedia, Video } from "@dyad/react";
import { useState } from "react";

const CONFIGURATION = { iceServers: [{ urls: "stun:stun.l.google.com:19302" }] };

export function App({ token }: { token: string }) {
  const [enabled, setEnabled] = useState(true);
  const camera = useUserMedia(enabled ? { audio: true, video: true } : undefined);
  const call = useCall({
    url: location.origin,
    token,
    enabled,
    local: camera.stream,
    configuration: CONFIGURATION,
  });
  const error = call.error ?? camera.error;

  return (
    <main>
      <Video stream={camera.stream} muted />
      <Video stream={call.remote} />
      <p role="status">
        {call.state.type}
        {call.state.type === "connected" && (call.peer ? " with " + call.peer.userId : ", alone")}
      </p>
      {error instanceof Error && <p role="alert">{error.message}</p>}
      <button onClick={() => setEnabled(!enabled)}>{enabled ? "Hang up" : "Call"}</button>
      {call.state.type === "ended" && <button onClick={call.enterAgain}>Try again</button>}
    </main>
  );
}
