import { connect, type Connection, DyadError, type ConnectionEvent, Peer } from "../src/index.js";
import { invitation, readFragment, withoutToken } from "./fragment.js";
import { LocalMedia, send } from "./media.js";
import { sentence } from "./sentences.js";
import { nameIn, rememberedToken, rememberToken } from "./token.js";

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

/** From Connect until there is no connection any more. */
interface Session {
  readonly connect: () => Promise<Connection>;
  /** The present one: while no room is entered, one follows another. */
  connection: Promise<Connection>;
  readonly media: LocalMedia;
  /** In a room, the other one there or not. */
  seated: boolean;
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
  status.dataset["status"] = next;
  showButtons();
}

function showButtons(): void {
  const seated = session?.seated === true;
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
  const connecting = () => connect(server, ownToken);
  const connection = connecting();
  await connection;
  const media = new LocalMedia(nameIn(ownToken), () => {
    if (opened.call !== undefined) {
      send(opened.call.pc, media.stream);
    }
  });
  const opened: Session = { connect: connecting, connection, media, seated: false, call: undefined, leaving: false };
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

/** Does what the server tells, over one connection after the other, until there is no more. */
async function follow(current: Session): Promise<void> {
  try {
    for (let idle = true; idle; ) {
      idle = await followOne(current, current.connection);
    }
  } catch (reason) {
    say(sentence(reason));
  } finally {
    endCall(current);
    current.media.stop();
    if (session === current) {
      session = undefined;
      localVideo.srcObject = null;
      invitationRow.hidden = true;
      show("Disconnected");
    }
  }
}

/** True when there is another connection to follow; throws what ended this one otherwise. */
async function followOne(current: Session, connecting: Promise<Connection>): Promise<boolean> {
  const connection = await connecting;
  try {
    for await (const event of connection) {
      await take(current, connection, event);
    }
  } catch (reason) {
    if (current.seated || !idledOut(reason)) {
      throw reason;
    }
    await renew(current, connecting);
    return true;
  }
  return false;
}

/** The server ends a connection that enters no room; nothing is lost with it. */
function idledOut(reason: unknown): boolean {
  return reason instanceof DyadError && reason.code === "deadline_exceeded";
}

/** The connection after the one that ended; whoever asks first opens it. */
function renew(current: Session, ended: Promise<Connection>): Promise<Connection> {
  if (current.connection === ended) {
    current.connection = current.connect();
  }
  return current.connection;
}

async function take(current: Session, connection: Connection, event: ConnectionEvent): Promise<void> {
  switch (event.type) {
    case "peerJoined":
      endCall(current);
      startCall(current, connection);
      nameRemote(event.peer.email || event.peer.userId);
      break;
    case "peerLeft":
      endCall(current);
      say(event.reason === "left" ? "The other one hung up." : "The other one's connection was lost.");
      break;
    case "reconnecting":
      // The two talk to each other directly: a call that runs goes on.
      say("Reconnecting…");
      break;
    case "reconnected":
      say("");
      if (!event.resumed) {
        endCall(current);
        nameRemote(event.room.peer?.email || event.room.peer?.userId || "");
      }
      break;
    case "error":
      // What was on its way when the peer left, or this side did, has nobody
      // to go to; the one who sees it can do nothing and need not.
      if (event.error.code !== "peer_absent" && event.error.code !== "not_in_room") {
        say(sentence(event.error));
      }
      break;
    case "offer":
      await (current.call ?? startCall(current, connection))?.peer.take(event).catch(callFailed);
      break;
    case "answer":
    case "candidate":
      await current.call?.peer.take(event).catch(callFailed);
      break;
  }
}

/** Undefined, and said, when there is nobody to call or the settings are wrong. */
function startCall(current: Session, connection: Connection): Call | undefined {
  const { media } = current;
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
      say("No direct way to the other one was found. Some networks allow none without a TURN server, and this page knows none. Still trying.");
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
  const current = await open();
  const { connection } = current;
  const entered = await room(await connection).catch(async (reason: unknown) => {
    if (!idledOut(reason)) {
      throw reason;
    }
    // The two crossed: the server gave up waiting as the person chose.
    return room(await renew(current, connection));
  });
  current.seated = true;
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
    await (await current.connection).leave();
    current.seated = false;
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
  if (fragment.server !== undefined && fragment.server !== server) {
    useServer(fragment.server);
  }
  token.value = fragment.token ?? rememberedToken(server) ?? token.value;
  roomId.value = fragment.room ?? roomId.value;
  stun.value = fragment.stun ?? stun.value;
  if (fragment.token !== undefined) {
    rememberToken(server, fragment.token);
    history.replaceState(null, "", `#${withoutToken(location.hash)}`);
  }
  if (fragment.auto) {
    void act(create);
  }
}

function useServer(address: string): void {
  server = address;
  // The one that is there was meant for another server.
  token.value = "";
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
window.addEventListener("pagehide", () => void session?.connection.then((connection) => connection.close()));
applyFragment();
showButtons();
