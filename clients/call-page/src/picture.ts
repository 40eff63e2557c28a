const WIDTH = 640;
const HEIGHT = 480;
const FRAMES_PER_SECOND = 15;

/** A moving picture with a name, to send instead of a camera's. */
export function testPicture(name: string): { track: MediaStreamTrack; stop: () => void } {
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
  const stop = (): void => {
    clearInterval(timer);
    track.stop();
  };
  return { track, stop };
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
