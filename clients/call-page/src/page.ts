import { type Connection, DyadError, type Room } from "@dyad/web";

import { invitation, readFragment, withoutToken } from "./fragment.js";
import { sentence } from "./sentences.js";
import { Session } from "./session.js";
import { rememberedToken, rememberToken } from "./token.js";
import * as view from "./view.js";
import { say } from "./view.js";

let server = location.origin;
let session: Session | undefined;
let busy = false;

function showButtons(): void {
  const seated = session?.seated === true;
  view.connectButton.disabled = busy || session !== undefined;
  view.createButton.disabled = busy || seated;
  view.joinButton.disabled = busy || seated;
  view.hangupButton.disabled = busy || !seated;
}

/** Runs a button's action, one at a time, and shows an error. */
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

/** Runs the action when the user presses the form's button, or Enter in its field. */
function onSubmit(form: string, action: () => Promise<void>): void {
  view.element(form, HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void act(action);
  });
}

function open(): Session {
  if (session !== undefined) {
    return session;
  }
  const token = view.token.value.trim();
  if (token === "") {
    throw new DyadError("refused", "Paste the token that your app gave you, then press Connect.");
  }
  const opened = new Session(server, token);
  session = opened;
  void opened.run().finally(() => {
    session = undefined;
    showButtons();
  });
  return opened;
}

async function enter(ask: (connection: Connection) => Promise<Room>): Promise<void> {
  const { roomId } = await open().enter(ask);
  view.roomId.value = roomId;
  view.showInvitation(invitation(location, roomId));
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
  // The token in the field is for another server.
  view.token.value = "";
  view.warnOfServer(server === location.origin ? undefined : server);
}

onSubmit("connectForm", async () => void open());
onSubmit("joinForm", join);
view.createButton.addEventListener("click", () => void act(create));
view.hangupButton.addEventListener("click", () => void act(async () => session?.hangUp()));
window.addEventListener("hashchange", applyFragment);
window.addEventListener("pagehide", () => session?.close());
applyFragment();
showButtons();
