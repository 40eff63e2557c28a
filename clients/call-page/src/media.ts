import { testPicture } from "./picture.js";

export type Kind = "camera" | "microphone";
export type DeviceState = "on" | "off" | "none";

/** Which devices the user has chosen. It outlives a call. */
export type Chosen = Partial<Record<Kind, string>>;

const TRACK: Readonly<Record<Kind, "video" | "audio">> = { camera: "video", microphone: "audio" };

/**
 * What this side sends: the camera and the microphone as far as the user wants and allows
 * them, and a drawn picture instead of the camera. A call never waits for the camera, or for
 * the user to allow it.
 */
export class LocalMedia {
  /** The stream stays the same when its tracks change. */
  readonly stream = new MediaStream();
  readonly #name: string;
  readonly #chosen: Chosen;
  readonly #changed: () => void;
  readonly #wanted: Record<Kind, boolean>;
  #picture: ReturnType<typeof testPicture> | undefined;
  #problem = "";
  #opening: Promise<void> | undefined;
  #stopped = false;

  /**
   * Starts with the drawn picture, and opens the devices only if `on`, or when the user turns
   * them on. Calls `changed` when the tracks or the states change.
   */
  constructor(name: string, on: boolean, chosen: Chosen, changed: () => void) {
    this.#name = name;
    this.#wanted = { camera: on, microphone: on };
    this.#problem = on ? "" : "Your camera and microphone are off. Turn them on when you are ready.";
    this.#chosen = chosen;
    this.#changed = changed;
    this.#draw();
  }

  /** `none`: there is no such device, or the user has not allowed it (yet). */
  state(kind: Kind): DeviceState {
    return !this.#wanted[kind] ? "off" : this.#device(kind) === undefined ? "none" : "on";
  }

  /** What is wrong with the devices, in a sentence for the user. */
  get problem(): string {
    return this.#problem;
  }

  /** The id of the device in use, or undefined. */
  deviceId(kind: Kind): string | undefined {
    return this.#device(kind)?.getSettings().deviceId;
  }

  /** Opens the devices that the user wants and that are not open. */
  async open(): Promise<void> {
    // The browser may ask the user for a long time. What is wanted meanwhile comes next.
    this.#opening ??= this.#openMissing().finally(() => (this.#opening = undefined));
    await this.#opening;
  }

  /** Turns a device on or off. A camera that is off is closed, and its light goes out. */
  async turn(kind: Kind, on: boolean): Promise<void> {
    this.#wanted[kind] = on;
    this.#problem = "";
    if (kind === "microphone") {
      this.#mute();
    } else if (!on) {
      this.#release(kind);
    }
    this.#changed();
    if (on) {
      await this.#opening;
      await this.open();
    }
  }

  /** Uses this device from now on. */
  async choose(kind: Kind, deviceId: string): Promise<void> {
    this.#chosen[kind] = deviceId;
    // First close the one in use: many phones open only one camera at a time.
    this.#release(kind);
    await this.turn(kind, true);
  }

  stop(): void {
    this.#stopped = true;
    this.#picture?.stop();
    this.stream.getTracks().forEach((track) => track.stop());
  }

  #device(kind: Kind): MediaStreamTrack | undefined {
    return this.stream.getTracks().find((track) => track.kind === TRACK[kind] && track !== this.#picture?.track);
  }

  #missing(): Kind[] {
    const kinds: Kind[] = ["camera", "microphone"];
    return kinds.filter((kind) => this.#wanted[kind] && this.#device(kind) === undefined);
  }

  async #openMissing(): Promise<void> {
    const missing = this.#missing();
    if (missing.length === 0 || this.#stopped) {
      return;
    }
    const asked = { ...this.#chosen };
    try {
      const opened = await openDevices(missing, asked);
      opened.forEach((track) => this.#add(track, asked));
      this.#problem = this.#whatIsMissing();
    } catch (reason) {
      this.#problem = whyNotOpened(reason);
    }
    if (!this.#stopped) {
      this.#changed();
    }
  }

  #whatIsMissing(): string {
    const missing = this.#missing();
    if (missing.includes("camera")) {
      return "There is no camera: the other person sees a drawn picture, and hears you.";
    }
    return missing.includes("microphone") ? "There is no microphone: the other person sees you, and hears nothing." : "";
  }

  #add(track: MediaStreamTrack, asked: Chosen): void {
    const kind = track.kind === "video" ? "camera" : "microphone";
    // The user may have chosen another device meanwhile, which is opened next.
    const unwanted = asked[kind] !== this.#chosen[kind] || (kind === "camera" && !this.#wanted.camera);
    if (this.#stopped || unwanted) {
      track.stop();
      return;
    }
    if (kind === "camera") {
      this.#erase();
    }
    this.stream.addTrack(track);
    this.#mute();
    // The event comes when the device is gone, and not after `stop`.
    track.addEventListener("ended", () => {
      this.#release(kind);
      this.#problem = `The ${kind} was unplugged, or another program has taken it.`;
      this.#changed();
    });
  }

  // A microphone stays open, so that the first word after it is on again is heard.
  #mute(): void {
    this.stream.getAudioTracks().forEach((track) => (track.enabled = this.#wanted.microphone));
  }

  #release(kind: Kind): void {
    const track = this.#device(kind);
    if (track !== undefined) {
      track.stop();
      this.stream.removeTrack(track);
    }
    if (kind === "camera" && !this.#stopped) {
      this.#draw();
    }
  }

  #draw(): void {
    if (this.#picture === undefined) {
      this.#picture = testPicture(this.#name);
      this.stream.addTrack(this.#picture.track);
    }
  }

  #erase(): void {
    if (this.#picture !== undefined) {
      this.#picture.stop();
      this.stream.removeTrack(this.#picture.track);
      this.#picture = undefined;
    }
  }
}

async function openDevices(kinds: readonly Kind[], chosen: Chosen): Promise<MediaStreamTrack[]> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices === undefined) {
    throw new DOMException("not a secure context", "SecurityError");
  }
  const constraints: MediaStreamConstraints = {};
  for (const kind of kinds) {
    const deviceId = chosen[kind];
    // Chromium ignores a device that is only preferred.
    constraints[TRACK[kind]] = deviceId === undefined ? true : { deviceId: { exact: deviceId } };
  }
  try {
    return (await devices.getUserMedia(constraints)).getTracks();
  } catch (reason) {
    const { name } = reason as Error;
    if (name === "OverconstrainedError" && Object.keys(chosen).length > 0) {
      // The device that was chosen is no longer there.
      return await openDevices(kinds, {});
    }
    // Asking for both fails if one is missing.
    if (name === "NotFoundError" && kinds.length > 1) {
      return await openDevices(["camera"], chosen).catch(() => openDevices(["microphone"], chosen));
    }
    throw reason;
  }
}

function whyNotOpened(reason: unknown): string {
  const shown = "The other person sees a drawn picture instead of you.";
  switch (reason instanceof DOMException ? reason.name : "") {
    case "NotAllowedError":
      return `${shown} To show yourself, allow camera and microphone in the browser's address bar, then turn the camera on.`;
    case "SecurityError":
      return `${shown} Browsers open the camera only on https pages and on localhost.`;
    case "NotReadableError":
      return `${shown} Another program uses the camera: close that, then turn the camera on.`;
    default:
      return `${shown} This device has no camera.`;
  }
}
