/** The elements of the page. */

function element<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`The page has no ${id}.`);
  }
  return found;
}

export const status = element("status", HTMLElement);

// The setup.
export const setup = element("setup", HTMLElement);
export const setupTitle = element("setupTitle", HTMLElement);
export const message = element("message", HTMLElement);
export const token = element("token", HTMLInputElement);
export const me = element("me", HTMLElement);
export const roomId = element("roomId", HTMLInputElement);
export const createForm = element("createForm", HTMLFormElement);
export const joinForm = element("joinForm", HTMLFormElement);
export const stun = element("stun", HTMLInputElement);
export const turn = element("turn", HTMLInputElement);
export const turnUser = element("turnUser", HTMLInputElement);
export const turnPassword = element("turnPassword", HTMLInputElement);
export const relay = element("relay", HTMLInputElement);

// The call.
export const call = element("call", HTMLElement);
export const remoteVideo = element("remoteVideo", HTMLVideoElement);
export const remoteName = element("remoteName", HTMLElement);
export const localVideo = element("localVideo", HTMLVideoElement);
export const notice = element("notice", HTMLElement);
export const headline = element("headline", HTMLElement);
export const advice = element("advice", HTMLElement);
export const invitation = element("invitation", HTMLElement);
export const link = element("link", HTMLAnchorElement);
export const share = element("share", HTMLButtonElement);
export const copy = element("copy", HTMLButtonElement);
export const renewForm = element("renewForm", HTMLFormElement);
export const newToken = element("newToken", HTMLInputElement);
export const sound = element("sound", HTMLButtonElement);
export const dismiss = element("dismiss", HTMLButtonElement);

export const microphone = element("microphone", HTMLButtonElement);
export const camera = element("camera", HTMLButtonElement);
export const devices = element("devices", HTMLButtonElement);
export const fullscreen = element("fullscreen", HTMLButtonElement);
export const hangup = element("hangup", HTMLButtonElement);

export const deviceDialog = element("deviceDialog", HTMLDialogElement);
export const cameraChoice = element("cameraChoice", HTMLSelectElement);
export const microphoneChoice = element("microphoneChoice", HTMLSelectElement);
export const speakerChoice = element("speakerChoice", HTMLSelectElement);
export const speakerRow = element("speakerRow", HTMLElement);

export const quality = element("quality", HTMLDetailsElement);
export const grade = element("grade", HTMLElement);
export const figures = element("figures", HTMLElement);
export const tripLine = element("tripLine", SVGPolylineElement);
export const lossLine = element("lossLine", SVGPolylineElement);
