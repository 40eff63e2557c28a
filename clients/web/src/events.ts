import { type DyadError, refused } from "./errors.js";
import {
  type Frame,
  type IceCandidate,
  type JoinRoom,
  LeaveRoom_Reason,
  type Participant as WireParticipant,
} from "./gen/dyad/v1/signaling.js";

/** A user in a room, as named by the app's token. */
export interface Participant {
  readonly userId: string;
  /** Empty if the token has none. */
  readonly email: string;
}

export type LeaveReason = "left" | "disconnected" | "replaced" | "unspecified";

/** A room that this participant has entered. */
export interface Room {
  /** What the other participant needs to join. */
  readonly roomId: string;
  /** This participant's role in the W3C's "perfect negotiation". */
  readonly polite: boolean;
  /** The participant already there, or undefined if the room was empty. */
  readonly peer: Participant | undefined;
}

/** Something that happened in a room. */
export type ConnectionEvent = {
  /** The room in which it happened. */
  readonly roomId: string;
} & (
  | { readonly type: "peerJoined"; readonly peer: Participant }
  | { readonly type: "peerLeft"; readonly peer: Participant; readonly reason: LeaveReason }
  | { readonly type: "offer"; readonly sdp: string }
  | { readonly type: "answer"; readonly sdp: string }
  | { readonly type: "candidate"; readonly candidate: RTCIceCandidateInit }
  /** The server refused a frame. The session goes on. */
  | { readonly type: "error"; readonly error: DyadError }
  /** The connection broke and the client is reconnecting. Frames sent meanwhile wait. */
  | { readonly type: "reconnecting" }
  /**
   * The client has reconnected. `resumed` says whether no frame was lost. If not, this is a
   * new session, perhaps with another role: frames under way are lost. Negotiate again.
   */
  | { readonly type: "reconnected"; readonly room: Room; readonly resumed: boolean }
);

/** The events by their type. */
export type ConnectionEvents = {
  [T in ConnectionEvent["type"]]: Extract<ConnectionEvent, { type: T }>;
};

const REASONS: ReadonlyMap<LeaveRoom_Reason, LeaveReason> = new Map([
  [LeaveRoom_Reason.REASON_LEFT, "left"],
  [LeaveRoom_Reason.REASON_DISCONNECTED, "disconnected"],
  [LeaveRoom_Reason.REASON_REPLACED, "replaced"],
]);

/** The event of a frame from the server, or undefined if this client does not know it. */
export function toEvent(frame: Frame, roomId: string): ConnectionEvent | undefined {
  const { event } = frame;
  switch (event?.$case) {
    case "joinRoom":
      return { type: "peerJoined", roomId, peer: toParticipant(frame.sender) };
    case "leaveRoom":
      return {
        type: "peerLeft",
        roomId,
        peer: toParticipant(frame.sender),
        reason: REASONS.get(event.value.reason) ?? "unspecified",
      };
    case "offer":
    case "answer":
      return { type: event.$case, roomId, sdp: event.value.sdp };
    case "iceCandidate":
      return { type: "candidate", roomId, candidate: fromWire(event.value) };
    case "error":
      return { type: "error", roomId, error: refused(event.value) };
    default:
      return undefined;
  }
}

/** The room in a `join_room` acknowledgement. */
export function toRoom(roomId: string, { polite, peer }: JoinRoom): Room {
  return { roomId, polite, peer: peer && toParticipant(peer) };
}

function toParticipant(who: WireParticipant | undefined): Participant {
  return { userId: who?.userId ?? "", email: who?.email ?? "" };
}

/** The contract's form of a candidate. The W3C's end of candidates, null, becomes empty. */
export function toWire(candidate: RTCIceCandidateInit | null): IceCandidate {
  // In WebRTC, null means absent. "" and 0 do not.
  return {
    candidate: candidate?.candidate ?? "",
    sdpMid: candidate?.sdpMid ?? undefined,
    sdpMLineIndex: candidate?.sdpMLineIndex ?? undefined,
    usernameFragment: candidate?.usernameFragment ?? undefined,
  };
}

function fromWire(message: IceCandidate): RTCIceCandidateInit {
  return {
    candidate: message.candidate,
    sdpMid: message.sdpMid ?? null,
    sdpMLineIndex: message.sdpMLineIndex ?? null,
    usernameFragment: message.usernameFragment ?? null,
  };
}
