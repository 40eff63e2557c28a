/** What tests/browser/test_react.py drives: a component in StrictMode whose properties it sets. */

import { createElement, type ReactElement, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";

import { type CallResult, useCall, useUserMedia, Video } from "../src/index.js";

interface Properties {
  readonly url: string;
  readonly token: string;
  readonly room?: string;
  readonly enabled?: boolean;
  readonly camera?: boolean;
  readonly microphone?: boolean;
  /** Whether the component gives the created room back, as an app does that keeps it in a state. */
  readonly keepsRoom?: boolean;
}

let root: Root | undefined;
let kept: string | undefined;
const states: string[] = [];

function Component({ camera = false, microphone = false, keepsRoom = false, room, token, ...others }: Properties): ReactElement {
  const { stream } = useUserMedia(camera || microphone ? { video: camera, audio: microphone } : undefined);
  const call = useCall({
    ...others,
    token: () => {
      harness.tokens += 1;
      return token;
    },
    room: keepsRoom ? kept : room,
    local: stream,
    configuration: {},
  });
  kept ??= call.room?.roomId;
  harness.call = call;
  harness.local = stream;
  if (states.at(-1) !== call.state.type) states.push(call.state.type);
  return <Video stream={call.remote} muted />;
}

const harness = {
  call: undefined as CallResult | undefined,
  local: undefined as MediaStream | undefined,
  /** How often the app was asked for a token. */
  tokens: 0,
  /** The states of the connection, as rendered. */
  states,
  render(properties: Properties): void {
    root ??= createRoot(document.body.appendChild(document.createElement("div")));
    root.render(<StrictMode>{createElement(Component, properties)}</StrictMode>);
  },
  unmount(): void {
    root?.unmount();
    root = undefined;
    harness.call = undefined;
  },
  /** Resolves once the component was rendered in this state. */
  async reaches(type: string): Promise<void> {
    while (harness.call?.state.type !== type) await new Promise(requestAnimationFrame);
  },
};

Object.assign(window, { harness });
