import { connect, type Connection, DyadError, type ConnectionEvent, Peer } from "../src/index.js";
import { invitation, readFragment, withoutToken } from "./fragment.js";
import { LocalMedia, send } from "./media.js";
import { sentence } from "./sentences.js";
import { nameIn } from "./token.js";

type Status = "Disconnected" | "Connected" | "Connected to peer";

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`The page has no ${id}.`);
  }
  return found;
}

const token = element("token", HTMLInputElement);
const roomId = element("roomId", HTMLInputElement);
const stun = element("stun", HTMLInputElement);
const connectButton = element("connect", HTMLButtonElement);
const createButton = element("create", HTMLButtonElement);
const joinButton = element("join", HTMLButtonElement);
const hangupButton = element("hangup", HTMLButtonElement);
const copyButton = element("copy", HTMLButtonElement);
const localVideo = element("localVideo", HTMLVideoElement);
const remoteVideo = element("remoteVideo", HTMLVideoElement);
const remoteName = element("remoteName", HTMLElement);
const status = element("status", HTMLElement);
const message = element("message", HTMLElement);
const link = element("link", HTMLAnchorElement);
const invitationRow = element("invitation", HTMLElement);
const serverNote = element("serverNote", HTMLElement);

/** One RTCPeerConnection and what negotiates it: a new one for everybody who comes. */
interface Call {
  readonly pc: RTCPeerConnection;
  readonly peer: Peer;
}

/** From Connect until the connection ends. */
interface Session {
  readonly connection: Connection;
  readonly media: LocalMedia;
  call: Call | undefined;
  /** Hanging up: what the peer still says is for nobody. */
  leaving: boolean;
}

let server = location.origin;
let session: Session | undefined;
let busy = false;

function say(text: string): void {
  message.textContent = text;
  message.hidden = text === "";
}

function show(next: Status): void {
  status.textContent = next;
  showButtons();
}

function showButtons(): void {
  const seated = session?.connection.room !== undefined;
  connectButton.disabled = busy || session !== undefined;
  createButton.disabled = busy || seated;
  joinButton.disabled = busy || seated;
  hangupButton.disabled = busy || !seated;
}

/** Runs what a button asks for; one at a time, and what fails is said. */
async function act(action: () => Promise<void>): Promise<void> {
  if (busy) {
    return;
  }
  busy = true;
  say("");
  showButtons();
  try {
    await action();
  } catch (reason) {
    say(sentence(reason));
  } finally {
    busy = false;
    showButtons();
  }
}

/** A form's button, or Enter in its field. */
function onSubmit(form: string, action: () => Promise<void>): void {
  element(form, HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void act(action);
  });
}

async function open(): Promise<Session> {
  if (session !== undefined) {
    return session;
  }
  const ownToken = token.value.trim();
  if (ownToken === "") {
    throw new DyadError("refused", "Paste the token that your app gave you, then press Connect.");
  }
  const connection = await connect(server, ownToken);
  const media = new LocalMedia(nameIn(ownToken), () => {
    if (opened.call !== undefined) {
      send(opened.call.pc, media.stream);
    }
  });
  const opened: Session = { connection, media, call: undefined, leaving: false };
  session = opened;
  localVideo.srcObject = media.stream;
  show("Connected");
  void follow(opened);
  void media.useCamera().then((why) => {
    if (why !== undefined && session === opened && message.hidden) {
      say(why);
    }
  });
  return opened;
}

/** Does what the server tells, until it tells no more. */
async function follow(current: Session): Promise<void> {
  try {
    for await (const event of current.connection) {
      await take(current, event);
    }
  } catch (reason) {
    say(sentence(reason));
  } finally {
    endCall(current);
    current.media.stop();
    if (session === current) {
      session = undefined;
      localVideo.srcObject = null;
      show("Disconnected");
    }
  }
}

async function take(current: Session, event: ConnectionEvent): Promise<void> {
  switch (event.type) {
    case "peerJoined":
      endCall(current);
      startCall(current);
      nameRemote(event.peer.email || event.peer.userId);
      break;
    case "peerLeft":
      endCall(current);
      say(event.reason === "left" ? "The other one hung up." : "The other one's connection was lost.");
      break;
    case "error":
      // What was on its way when the peer left, or this side did, has nobody
      // to go to; the one who sees it can do nothing and need not.
      if (event.error.code !== "peer_absent" && event.error.code !== "not_in_room") {
        say(sentence(event.error));
      }
      break;
    case "offer":
      await (current.call ?? startCall(current))?.peer.take(event).catch(callFailed);
      break;
    case "answer":
    case "candidate":
      await current.call?.peer.take(event).catch(callFailed);
      break;
  }
}

/** Undefined, and said, when there is nobody to call or the settings are wrong. */
function startCall(current: Session): Call | undefined {
  const { connection, media } = current;
  if (connection.room === undefined || current.leaving) {
    return undefined;
  }
  const urls = stun.value.split(/[\s,]+/).filter((url) => url !== "");
  let pc: RTCPeerConnection;
  try {
    pc = new RTCPeerConnection({ iceServers: urls.length > 0 ? [{ urls }] : [] });
  } catch {
    say("The STUN server in the settings is not an address. It looks like stun:host:3478.");
    return undefined;
  }
  pc.addEventListener("track", ({ track, streams }) => {
    remoteVideo.srcObject = streams[0] ?? new MediaStream([track]);
  });
  pc.addEventListener("connectionstatechange", () => {
    if (current.call?.pc !== pc) {
      return;
    }
    show(pc.connectionState === "connected" ? "Connected to peer" : "Connected");
    if (pc.connectionState === "failed") {
      say("No direct way to the other one was found. Trying again; a TURN server in the settings may be needed.");
    } else if (pc.connectionState === "connected") {
      say("");
    }
  });
  const peer = new Peer(pc, connection, { polite: connection.room.polite, failed: callFailed });
  current.call = { pc, peer };
  send(pc, media.stream);
  return current.call;
}

function callFailed(reason: unknown): void {
  say(sentence(reason));
}

function endCall(current: Session): void {
  current.call?.peer.close();
  current.call = undefined;
  remoteVideo.srcObject = null;
  nameRemote("");
  if (session === current) {
    show("Connected");
  }
}

function nameRemote(name: string): void {
  remoteName.textContent = name === "" ? "Nobody yet" : name;
}

async function enter(room: (connection: Connection) => ReturnType<Connection["create"]>): Promise<void> {
  const { connection } = await open();
  const entered = await room(connection);
  roomId.value = entered.roomId;
  link.href = invitation(location, entered.roomId);
  link.textContent = link.href;
  invitationRow.hidden = false;
  if (entered.peer !== undefined) {
    nameRemote(entered.peer.email || entered.peer.userId);
  }
}

async function join(): Promise<void> {
  const wanted = roomId.value.trim();
  if (wanted === "") {
    throw new DyadError("refused", "Put in the room's id that the caller sent you, or create a room.");
  }
  await enter((connection) => connection.join(wanted));
}

async function create(): Promise<void> {
  await enter((connection) => connection.create());
}

async function hangUp(): Promise<void> {
  if (session === undefined) {
    return;
  }
  const current = session;
  current.leaving = true;
  endCall(current);
  invitationRow.hidden = true;
  try {
    await current.connection.leave();
  } finally {
    current.leaving = false;
  }
}

async function copyLink(): Promise<void> {
  try {
    await navigator.clipboard.writeText(link.href);
    copyButton.textContent = "Copied";
    setTimeout(() => (copyButton.textContent = "Copy link"), 2000);
  } catch {
    say("The browser did not let this page copy. Copy the link by hand.");
  }
}

function applyFragment(): void {
  const fragment = readFragment(location.hash);
  token.value = fragment.token ?? token.value;
  roomId.value = fragment.room ?? roomId.value;
  stun.value = fragment.stun ?? stun.value;
  if (fragment.token !== undefined) {
    history.replaceState(null, "", `#${withoutToken(location.hash)}`);
  }
  if (fragment.server !== undefined) {
    useServer(fragment.server);
  }
  if (fragment.auto) {
    void act(create);
  }
}

function useServer(address: string): void {
  server = address;
  // A link can name any server, and whoever connects gives that their token.
  serverNote.textContent = `This link uses the server ${address}: connect only if you trust it with your token.`;
  serverNote.hidden = server === location.origin;
}

onSubmit("connectForm", async () => void (await open()));
onSubmit("joinForm", join);
createButton.addEventListener("click", () => void act(create));
hangupButton.addEventListener("click", () => void act(hangUp));
copyButton.addEventListener("click", () => void copyLink());
window.addEventListener("hashchange", applyFragment);
window.addEventListener("pagehide", () => session?.connection.close());
applyFragment();
showButtons();
