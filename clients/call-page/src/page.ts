import { connect, type Connection, type ConnectionEvent, DyadError, type LeaveReason } from "@dyad/web";
import { Call } from "./call.js";
import { invitation, readFragment, withoutToken } from "./fragment.js";
import { LocalMedia } from "./media.js";
import { sentence } from "./sentences.js";
import { nameIn, rememberedToken, rememberToken } from "./token.js";
import * as view from "./view.js";
import { say } from "./view.js";

/** From Connect until there is no connection any more. */
interface Session {
  readonly connect: () => Promise<Connection>;
  /** The present one: while no room is entered, one follows another. */
  connection: Promise<Connection>;
  readonly media: LocalMedia;
  /** In a room, the other one there or not. */
  seated: boolean;
  call: Call | undefined;
  /** The connection broke and is being made again. */
  away: boolean;
  /** Hanging up: what the peer still says is for nobody. */
  leaving: boolean;
  /** The server is lost for good, and the call that runs is all there is. */
  last: { readonly callEnded: () => void } | undefined;
}

const LEFT: Readonly<Record<LeaveReason, string>> = {
  left: "The other one hung up.",
  disconnected: "The other one's connection was lost.",
  replaced: "The other one is connecting again.",
  unspecified: "The other one has left.",
};

let server = location.origin;
let session: Session | undefined;
let busy = false;

function show(next: view.Status): void {
  view.showStatus(next);
  showButtons();
}

function showButtons(): void {
  const seated = session?.seated === true;
  view.connectButton.disabled = busy || session !== undefined;
  view.createButton.disabled = busy || seated;
  view.joinButton.disabled = busy || seated;
  view.hangupButton.disabled = busy || !seated;
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
  view.element(form, HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void act(action);
  });
}

async function open(): Promise<Session> {
  if (session !== undefined) {
    return session;
  }
  const ownToken = view.token.value.trim();
  if (ownToken === "") {
    throw new DyadError("refused", "Paste the token that your app gave you, then press Connect.");
  }
  // For as long as a call may run by itself.
  const connecting = () => connect(server, ownToken, { giveUpAfterMs: Number.POSITIVE_INFINITY });
  const connection = connecting();
  await connection;
  const media = new LocalMedia(nameIn(ownToken), () => opened.call?.send(media.stream));
  const opened: Session = {
    connect: connecting,
    connection,
    media,
    seated: false,
    call: undefined,
    away: false,
    leaving: false,
    last: undefined,
  };
  session = opened;
  view.localVideo.srcObject = media.stream;
  show("Connected");
  void follow(opened);
  void media.useCamera().then((why) => {
    if (why !== undefined && session === opened && view.saysNothing()) {
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
    if (current.call?.running === true && !takenOver(reason)) {
      say(`${sentence(reason)} Your call goes on until one of you hangs up.`);
      await new Promise<void>((callEnded) => (current.last = { callEnded }));
    } else {
      say(sentence(reason));
    }
  } finally {
    endCall(current);
    current.media.stop();
    if (session === current) {
      session = undefined;
      view.localVideo.srcObject = null;
      view.showInvitation(undefined);
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

/** The same person is in this call elsewhere: it does not go on here. */
function takenOver(reason: unknown): boolean {
  return reason instanceof DyadError && reason.code === "taken_over";
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
      say("");
      startCall(current, connection);
      view.nameRemote(event.peer);
      break;
    case "peerLeft":
      endCall(current);
      say(LEFT[event.reason]);
      break;
    case "reconnecting":
      // The two talk to each other directly: a call that runs goes on.
      current.away = true;
      say("Reconnecting…");
      break;
    case "reconnected":
      current.away = false;
      say("");
      if (!event.resumed) {
        endCall(current);
        view.nameRemote(event.room.peer);
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
      await (current.call ?? startCall(current, connection))?.take(event).catch(callFailed);
      break;
    case "answer":
    case "candidate":
      await current.call?.take(event).catch(callFailed);
      break;
  }
}

/** Undefined, and said, when there is nobody to call or the settings are wrong. */
function startCall(current: Session, connection: Connection): Call | undefined {
  if (connection.room === undefined || current.leaving) {
    return undefined;
  }
  let call: Call;
  try {
    call = new Call(connection, connection.room.polite, view.stun.value, {
      shows: view.showRemote,
      becomes: (state) => current.call === call && callBecomes(current, state),
      // Once the server is lost there is nobody to negotiate with, which has been said.
      fails: (reason) => {
        if (current.last === undefined) {
          callFailed(reason);
        }
      },
    });
  } catch {
    say("The STUN server in the settings is not an address. It looks like stun:host:3478.");
    return undefined;
  }
  current.call = call;
  call.send(current.media.stream);
  return call;
}

function callBecomes(current: Session, state: RTCPeerConnectionState): void {
  show(state === "connected" ? "Connected to peer" : "Connected");
  if (state === "failed" && current.last !== undefined) {
    endCall(current);
  } else if (state === "failed") {
    say("No direct way to the other one was found. Some networks allow none without a TURN server, and this page knows none. Still trying.");
  } else if (state === "connected" && !current.away) {
    say("");
  }
}

function callFailed(reason: unknown): void {
  say(sentence(reason));
}

function endCall(current: Session): void {
  current.call?.close();
  current.call = undefined;
  current.last?.callEnded();
  view.showRemote(null);
  view.nameRemote(undefined);
  if (session === current) {
    show("Connected");
  }
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
  view.roomId.value = entered.roomId;
  view.showInvitation(invitation(location, entered.roomId));
  view.nameRemote(entered.peer);
}

async function join(): Promise<void> {
  const wanted = view.roomId.value.trim();
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
  view.showInvitation(undefined);
  if (current.last !== undefined) {
    return;
  }
  try {
    await (await current.connection).leave();
    current.seated = false;
  } finally {
    current.leaving = false;
  }
}

function applyFragment(): void {
  const fragment = readFragment(location.hash);
  if (fragment.server !== undefined && fragment.server !== server) {
    useServer(fragment.server);
  }
  view.token.value = fragment.token ?? rememberedToken(server) ?? view.token.value;
  view.roomId.value = fragment.room ?? view.roomId.value;
  view.stun.value = fragment.stun ?? view.stun.value;
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
  view.token.value = "";
  view.warnOfServer(server === location.origin ? undefined : server);
}

onSubmit("connectForm", async () => void (await open()));
onSubmit("joinForm", join);
view.createButton.addEventListener("click", () => void act(create));
view.hangupButton.addEventListener("click", () => void act(hangUp));
window.addEventListener("hashchange", applyFragment);
window.addEventListener("pagehide", () => void session?.connection.then((connection) => connection.close()));
applyFragment();
showButtons();
