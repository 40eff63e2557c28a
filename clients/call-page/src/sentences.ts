import { DyadError, type ErrorCode } from "@dyad/web";

import { SettingsError } from "./ice.js";

// What the user can do about an error. For other codes, the error's message is shown.
const ADVICE: Partial<Record<ErrorCode, string>> = {
  invalid_argument: "This is not the id of a room. Paste the whole id, or the link, that the caller sent you.",
  permission_denied: "This token is for another room. Use the link or the token that belongs to this call.",
  session_not_found: "The server no longer knows this call. Enter the room again.",
  resource_exhausted: "This device sent too much at once. Wait a moment, then enter the room again.",
  deadline_exceeded: "The call ended because the other person did not join, or because this device was asleep. You can enter the room again.",
  taken_over: "This call was taken over by another tab or device. To bring it back here, join the room again.",
  aborted: "The server ended this call. Enter the room again.",
  unavailable: "The server is restarting or out of reach. Try again in a few seconds.",
  token_failed: "The page could not get a token. Check your network and try again.",
  lost: "The connection to the server was lost. Check your network and try again.",
  protocol: "At this address there is no Dyad server that this page understands. Check the address.",
  blocked: "The browser blocks this page from reaching the server. Check the server's address.",
  unusable_description: "The two browsers could not agree on a call. Hang up, then enter the room again.",
  room_not_found: "There is no such room, or no longer. Ask the caller for a new link, or create a room.",
  room_full: "Two people are in this room already. Create another room.",
};

export function sentence(reason: unknown): string {
  if (reason instanceof DyadError) {
    // The server says best what is wrong with a token.
    return reason.code === "unauthenticated"
      ? `${reason.message} Get a new token from your app.`
      : (ADVICE[reason.code] ?? reason.message);
  }
  if (reason instanceof SettingsError) {
    return reason.message;
  }
  return "The browser could not make the call. Hang up and try again, or reload the page.";
}
