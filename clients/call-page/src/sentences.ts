import { DyadError, type ErrorCode } from "@dyad/web";

// What the user can do about an error. For other codes, the error's message is shown.
const ADVICE: Partial<Record<ErrorCode, string>> = {
  unauthenticated: "The server does not accept this token. Get a new one from your app, paste it and press Connect.",
  permission_denied: "This token is for another room. Use the link or the token that belongs to this call.",
  session_not_found: "The server no longer knows this session. Press Connect.",
  resource_exhausted: "This device sent too much at once. Wait a moment and press Connect.",
  deadline_exceeded: "Nobody else came in time, or this device slept. Create or join a room to connect again.",
  taken_over: "This call was taken over by another tab or device. To bring it back here, join the room again.",
  aborted: "The server ended this call. Press Connect to start a new one.",
  unavailable: "The server is restarting or out of reach. Press Connect in a few seconds.",
  lost: "The connection to the server was lost. Check your network and press Connect.",
  protocol: "At this address there is no Dyad server that this page understands. Check the address.",
  blocked: "The browser blocks this page from reaching the server. Check the server's address.",
  room_not_found: "There is no such room, or no longer. Ask the caller for a new link, or create a room.",
  room_full: "Two people are in this room already. Create another room.",
};

export function sentence(reason: unknown): string {
  if (reason instanceof DyadError) {
    return ADVICE[reason.code] ?? reason.message;
  }
  return "The browser could not make the call. Hang up and try again, or reload the page.";
}
