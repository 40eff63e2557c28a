/** The elements of the page, and functions that change them. */

export type Status = "Disconnected" | "Connected" | "Connected to peer";

export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`The page has no ${id}.`);
  }
  return found;
}

export const token = element("token", HTMLInputElement);
export const roomId = element("roomId", HTMLInputElement);
export const stun = element("stun", HTMLInputElement);
export const connectButton = element("connect", HTMLButtonElement);
export const createButton = element("create", HTMLButtonElement);
export const joinButton = element("join", HTMLButtonElement);
export const hangupButton = element("hangup", HTMLButtonElement);
export const localVideo = element("localVideo", HTMLVideoElement);
const remoteVideo = element("remoteVideo", HTMLVideoElement);
const copyButton = element("copy", HTMLButtonElement);
const remoteName = element("remoteName", HTMLElement);
const status = element("status", HTMLElement);
const message = element("message", HTMLElement);
const link = element("link", HTMLAnchorElement);
const invitationRow = element("invitation", HTMLElement);
const serverNote = element("serverNote", HTMLElement);

/** Shows a sentence to the user. An empty text hides it. */
export function say(text: string): void {
  message.textContent = text;
  message.hidden = text === "";
}

export function saysNothing(): boolean {
  return message.textContent === "";
}

export function showStatus(next: Status): void {
  status.textContent = next;
  status.dataset["status"] = next;
}

export function nameRemote(peer: { userId: string; email: string } | undefined): void {
  remoteName.textContent = peer?.email || peer?.userId || "Nobody yet";
}

export function showRemote(stream: MediaStream | null): void {
  // Setting the same stream again reloads it, and the video stays black until each of
  // its tracks flows. A new track may have to wait for signaling.
  if (remoteVideo.srcObject !== stream) {
    remoteVideo.srcObject = stream;
  }
}

/** Shows the link for the other participant. Undefined hides it. */
export function showInvitation(address: string | undefined): void {
  link.href = address ?? "";
  link.textContent = address ?? "";
  invitationRow.hidden = address === undefined;
}

/** A link can name any server, and connecting gives that server the token. */
export function warnOfServer(address: string | undefined): void {
  serverNote.textContent = `This link uses the server ${address}: connect only if you trust it with your token.`;
  serverNote.hidden = address === undefined;
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

copyButton.addEventListener("click", () => void copyLink());
