const WIDTH = 640;
const HEIGHT = 480;
const FRAMES_PER_SECOND = 15;

/**
 * What this side shows: a test picture at first, and the camera as soon as it is open, if
 * there is one. A call never waits for the camera, or for the user to allow it.
 */
export class LocalMedia {
  /** The stream stays the same when its tracks change. */
  readonly stream = new MediaStream();
  readonly #changed: () => void;
  #stopped = false;
  #stopPicture: () => void;

  /** Starts with the test picture. Calls `changed` when the tracks change. */
  constructor(name: string, changed: () => void) {
    this.#changed = changed;
    const picture = testPicture(name);
    this.#stopPicture = picture.stop;
    this.stream.addTrack(picture.track);
  }

  /** Switches to the camera. Resolves to a sentence for the user if there is none. */
  async useCamera(): Promise<string | undefined> {
    let camera: MediaStream;
    try {
      camera = await openCamera();
    } catch (reason) {
      return whyNoCamera(reason);
    }
    const tracks = camera.getTracks();
    if (this.#stopped) {
      tracks.forEach((track) => track.stop());
      return undefined;
    }
    if (camera.getVideoTracks().length > 0) {
      this.stream.getVideoTracks().forEach((track) => this.stream.removeTrack(track));
      this.#stopPicture();
    }
    tracks.forEach((track) => this.stream.addTrack(track));
    this.#changed();
    return camera.getVideoTracks().length > 0 ? undefined : "There is no camera: the other side sees a test picture and hears you.";
  }

  stop(): void {
    this.#stopped = true;
    this.#stopPicture();
    this.stream.getTracks().forEach((track) => track.stop());
  }
}

/** Sends the stream's tracks to the peer, in place of those of the same kind sent before. */
export function send(pc: RTCPeerConnection, stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    const sender = pc.getSenders().find((other) => other.track?.kind === track.kind);
    if (sender === undefined) {
      pc.addTrack(track, stream);
    } else if (sender.track !== track) {
      void sender.replaceTrack(track);
    }
  }
}

async function openCamera(): Promise<MediaStream> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices === undefined) {
    throw new DOMException("not a secure context", "SecurityError");
  }
  try {
    return await devices.getUserMedia({ audio: true, video: true });
  } catch (reason) {
    // Asking for both fails if one is missing.
    if (!(reason instanceof DOMException) || reason.name !== "NotFoundError") {
      throw reason;
    }
    return await devices
      .getUserMedia({ video: true })
      .catch(() => devices.getUserMedia({ audio: true }));
  }
}

function whyNoCamera(reason: unknown): string {
  const shown = "The other side sees a test picture.";
  switch (reason instanceof DOMException ? reason.name : "") {
    case "NotAllowedError":
      return `${shown} To show yourself, allow the camera in the browser's address bar and connect again.`;
    case "SecurityError":
      return `${shown} Browsers open the camera only on https pages and on localhost.`;
    case "NotReadableError":
      return `${shown} Another program uses the camera: close that and connect again.`;
    default:
      return `${shown} This device has no camera.`;
  }
}

function testPicture(name: string): { track: MediaStreamTrack; stop: () => void } {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext("2d");
  const hue = Math.floor(Math.random() * 360);
  const draw = (): void => {
    if (context !== null) {
      drawFrame(context, name, hue, performance.now() / 1000);
    }
  };
  draw();
  // Not animation frames: those stop in a background tab, and the picture would freeze
  // for the peer.
  const timer = setInterval(draw, 1000 / FRAMES_PER_SECOND);
  const [track] = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks();
  if (track === undefined) {
    throw new Error("A canvas has one video track.");
  }
  return { track, stop: () => clearInterval(timer) };
}

function drawFrame(context: CanvasRenderingContext2D, name: string, hue: number, seconds: number): void {
  context.fillStyle = `hsl(${hue} 55% 32%)`;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.fillStyle = `hsl(${hue} 70% 62%)`;
  context.beginPath();
  context.arc(
    WIDTH / 2 + Math.cos(seconds) * WIDTH * 0.3,
    HEIGHT / 2 + Math.sin(seconds * 1.3) * HEIGHT * 0.3,
    60,
    0,
    2 * Math.PI,
  );
  context.fill();
  context.fillStyle = "#fff";
  context.textAlign = "center";
  context.font = "bold 40px sans-serif";
  context.fillText(name, WIDTH / 2, HEIGHT / 2, WIDTH - 40);
  context.font = "24px monospace";
  context.fillText(new Date().toLocaleTimeString(), WIDTH / 2, HEIGHT / 2 + 48);
}
