import { bindControls, showDevices } from "./controls.js";
import * as page from "./elements.js";
import { invitation, readFragment, roomIn, withoutSecrets } from "./fragment.js";
import { iceConfiguration } from "./ice.js";
import { type Chosen, LocalMedia } from "./media.js";
import { QualityPanel } from "./quality_panel.js";
import { remember, remembered } from "./remembered.js";
import { RemotePicture } from "./remote_picture.js";
import { render } from "./render.js";
import { AT_FIRST, type Facts, Screen } from "./screen.js";
import { sentence } from "./sentences.js";
import { nameOf, Session } from "./session.js";
import { showInvitation } from "./share.js";
import { nameIn } from "./token.js";
import { WakeLock } from "./wake_lock.js";

interface Running {
  readonly session: Session;
  readonly media: LocalMedia;
}

const LOCAL: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

const screen = new Screen();
const wakeLock = new WakeLock();
const picture = new RemotePicture(page.remoteVideo, (soundBlocked) => learn({ soundBlocked }));
const panel = new QualityPanel(() => running?.session.calls.shown);
const chosen: Chosen = {};
let running: Running | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

function learn(changes: Partial<Facts>): void {
  screen.learn(changes, performance.now());
  show();
}

function show(): void {
  const now = performance.now();
  const view = screen.view(now);
  render(view);
  page.remoteName.textContent = screen.facts.peer;
  panel.set(view.picture);
  clearTimeout(timer);
  const next = screen.nextChange(now);
  timer = next === undefined ? undefined : setTimeout(show, next - now);
}

/** Starts a session with this token, with camera and microphone `on` or off. */
function start(token: string, on: boolean): Running {
  const ice = iceConfiguration({
    stun: page.stun.value,
    turn: page.turn.value,
    turnUser: page.turnUser.value.trim(),
    turnPassword: page.turnPassword.value,
    relay: page.relay.checked,
  });
  const media: LocalMedia = new LocalMedia(nameIn(token) || "Me", on, chosen, () => mediaChanged(media));
  const session: Session = new Session(location.origin, token, ice, media.stream, {
    learn: (changes) => running?.session === session && learn(changes),
    pictures: () => running?.session === session && picture.show(session.calls.shown?.remote),
    over: (why) => running?.session === session && stop(why),
  });
  return { session, media };
}

function mediaChanged(media: LocalMedia): void {
  if (running?.media === media) {
    running.session.sendTracks();
    showDevices(media);
    learn({ problem: media.problem });
  }
}

/** Joins the room, or without an id creates one. */
async function enter(roomId: string | undefined, on = true): Promise<void> {
  if (running !== undefined) {
    return;
  }
  const token = page.token.value.trim();
  if (token === "") {
    learn({ ended: "Paste the token that your app gave you." });
    page.token.focus();
    return;
  }
  let mine: Running;
  try {
    mine = start(token, on);
  } catch (reason) {
    learn({ ended: sentence(reason) });
    return;
  }
  running = mine;
  learn({ ...AT_FIRST, stay: "entering", problem: mine.media.problem });
  page.localVideo.srcObject = mine.media.stream;
  showDevices(mine.media);
  wakeLock.set(true);
  void mine.media.open();
  try {
    const room = await mine.session.enter(roomId);
    if (running === mine) {
      seated(room);
    }
  } catch (reason) {
    if (running === mine) {
      stop(sentence(reason));
    }
  }
}

function seated({ roomId, peer }: Awaited<ReturnType<Session["enter"]>>): void {
  page.roomId.value = roomId;
  showInvitation(invitation(location, roomId));
  learn({ stay: "seated", server: "there", ...(peer === undefined ? {} : { peerIsHere: true, peer: nameOf(peer) }) });
}

/** Hangs up, closes the devices, and shows the setup with this sentence. */
function stop(why: string): void {
  const { session, media } = running ?? {};
  running = undefined;
  session?.close();
  media?.stop();
  picture.show(undefined);
  page.localVideo.srcObject = null;
  wakeLock.set(false);
  if (document.fullscreenElement !== null) {
    void document.exitFullscreen();
  }
  learn({ ...AT_FIRST, ended: why });
}

function create(): void {
  void enter(undefined);
}

function join(): void {
  const roomId = roomIn(page.roomId.value);
  if (roomId === "") {
    learn({ ended: "Paste the room's id, or the link, that the caller sent you. Or create a room." });
  } else {
    void enter(roomId);
  }
}

function tokenChanged(): void {
  const token = page.token.value.trim();
  const name = nameIn(token);
  page.me.textContent = name === "" ? "This is not a token: it has no user in it." : `You are ${name}.`;
  page.me.hidden = token === "";
}

function applyFragment(): void {
  const fragment = readFragment(location.hash);
  page.token.value = fragment.token ?? remembered("token") ?? page.token.value;
  page.roomId.value = fragment.room ?? page.roomId.value;
  page.stun.value = fragment.stun ?? page.stun.value;
  page.turn.value = fragment.turn ?? page.turn.value;
  page.turnUser.value = fragment.turnUser ?? page.turnUser.value;
  page.turnPassword.value = fragment.turnPassword ?? remembered("turnPassword") ?? page.turnPassword.value;
  page.relay.checked ||= fragment.relay;
  invite(fragment.room !== undefined);
  tokenChanged();
  if (fragment.token !== undefined) remember("token", fragment.token);
  if (fragment.turnPassword !== undefined) remember("turnPassword", fragment.turnPassword);
  if (withoutSecrets(location.hash) !== location.hash.replace(/^#/, "")) {
    history.replaceState(null, "", `#${withoutSecrets(location.hash)}`);
  }
  if (fragment.auto) {
    // Elsewhere a stranger's link could turn on a camera that the user has allowed before.
    void enter(undefined, LOCAL.has(location.hostname));
  }
}

/** Who follows a link to a room wants to join it: by the first button, or Enter in the token's field. */
function invite(invited: boolean): void {
  document.body.toggleAttribute("data-invited", invited);
  const [first, second] = invited ? [page.joinForm, page.createForm] : [page.createForm, page.joinForm];
  first.after(second);
  page.token.setAttribute("form", first.id);
}

function onSubmit(form: HTMLFormElement, action: () => void): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

onSubmit(page.createForm, create);
onSubmit(page.joinForm, join);
onSubmit(page.renewForm, () => {
  const token = page.newToken.value.trim();
  if (token !== "") {
    page.newToken.value = "";
    page.token.value = token;
    remember("token", token);
    running?.session.renew(token);
  }
});
page.token.addEventListener("input", tokenChanged);
page.hangup.addEventListener("click", () => stop(""));
page.sound.addEventListener("click", () => void picture.turnOnSound());
page.dismiss.addEventListener("click", () => learn({ problem: "" }));
bindControls(() => running?.media);
window.addEventListener("hashchange", applyFragment);
window.addEventListener("pagehide", () => running && stop("You left this page, so the call has ended."));
applyFragment();
show();
