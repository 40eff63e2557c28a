import * as page from "./elements.js";
import type { DeviceState, Kind, LocalMedia } from "./media.js";

const NAMES: Readonly<Record<Kind, Readonly<Record<DeviceState, string>>>> = {
  microphone: { on: "Mute", off: "Unmute", none: "No mic" },
  camera: { on: "Camera off", off: "Camera on", none: "No camera" },
};
const BUTTONS: Readonly<Record<Kind, HTMLButtonElement>> = { microphone: page.microphone, camera: page.camera };
const CHOICES: Readonly<Record<Kind, HTMLSelectElement>> = { microphone: page.microphoneChoice, camera: page.cameraChoice };
const KINDS: readonly Kind[] = ["microphone", "camera"];

/** The buttons over the picture, except the one that hangs up. `media` is that of the call. */
export function bindControls(media: () => LocalMedia | undefined): void {
  for (const kind of KINDS) {
    BUTTONS[kind].addEventListener("click", () => {
      const own = media();
      void own?.turn(kind, own.state(kind) !== "on");
    });
    CHOICES[kind].addEventListener("change", () => void media()?.choose(kind, CHOICES[kind].value));
  }
  page.devices.addEventListener("click", () => {
    page.deviceDialog.showModal();
    void listDevices(media());
  });
  page.speakerChoice.addEventListener("change", () => void page.remoteVideo.setSinkId(page.speakerChoice.value));
  (navigator.mediaDevices as MediaDevices | undefined)?.addEventListener("devicechange", () => void listDevices(media()));
  page.fullscreen.hidden = !document.fullscreenEnabled;
  page.fullscreen.addEventListener("click", () => void toggleFullscreen());
  document.addEventListener("fullscreenchange", () => {
    label(page.fullscreen, document.fullscreenElement === null ? "Full screen" : "Leave full screen");
  });
}

/** Shows which devices are in use. */
export function showDevices(media: LocalMedia): void {
  for (const kind of KINDS) {
    const state = media.state(kind);
    label(BUTTONS[kind], NAMES[kind][state]);
    BUTTONS[kind].classList.toggle("off", state !== "on");
  }
}

async function toggleFullscreen(): Promise<void> {
  if (document.fullscreenElement === null) {
    await page.call.requestFullscreen();
  } else {
    await document.exitFullscreen();
  }
}

async function listDevices(media: LocalMedia | undefined): Promise<void> {
  const available = (await (navigator.mediaDevices as MediaDevices | undefined)?.enumerateDevices()) ?? [];
  const fill = (choice: HTMLSelectElement, kind: MediaDeviceKind, used: string | undefined): void => {
    const devices = available.filter((device) => device.kind === kind);
    choice.replaceChildren(
      ...devices.map(({ label: name, deviceId }, i) => new Option(name || `Number ${i + 1}`, deviceId, false, deviceId === used)),
    );
    if (devices.length === 0) {
      choice.replaceChildren(new Option("None", ""));
    }
  };
  fill(page.cameraChoice, "videoinput", media?.deviceId("camera"));
  fill(page.microphoneChoice, "audioinput", media?.deviceId("microphone"));
  const speakers = page.remoteVideo as Partial<Pick<HTMLVideoElement, "sinkId">>;
  page.speakerRow.hidden = speakers.sinkId === undefined;
  fill(page.speakerChoice, "audiooutput", speakers.sinkId || "default");
}

function label(button: HTMLButtonElement, text: string): void {
  const name = button.querySelector("span");
  if (name !== null && name.textContent !== text) {
    name.textContent = text;
  }
}
