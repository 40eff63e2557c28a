import { create } from "@bufbuild/protobuf";

import { type DyadError, refused } from "./errors.js";
import {
  type Frame,
  type IceCandidate,
  IceCandidateSchema,
  type JoinRoom,
  type Participant as WireParticipant,
  LeaveRoom_Reason,
} from "./gen/dyad/v1/signaling_pb.js";

/** Somebody in a room, as the app's token names them. */
export interface Participant {
  readonly userId: string;
  /** Empty where the token has none. */
  readonly email: string;
}

export type LeaveReason = "left" | "disconnected" | "replaced" | "unspecified";

/** Where this participant sits. */
export interface Room {
  readonly roomId: string;
  /** The role in the W3C's "perfect negotiation". */
  readonly polite: boolean;
  /** Who was there already; undefined: nobody was. */
  readonly peer: Participant | undefined;
}

/** What a connection tells, in the order it happened. */
export type ConnectionEvent =
  | { readonly type: "peerJoined"; readonly peer: Participant }
  | { readonly type: "peerLeft"; readonly peer: Participant; readonly reason: LeaveReason }
  | { readonly type: "offer"; readonly sdp: string }
  | { readonly type: "answer"; readonly sdp: string }
  | { readonly type: "candidate"; readonly candidate: RTCIceCandidateInit }
  | { readonly type: "error"; readonly error: DyadError }
  /** The connection broke and is being made again; what is said meanwhile is kept. */
  | { readonly type: "reconnecting" }
  /**
   * It is there again. `resumed`: nothing was lost. Else the seat is a new one,
   * what was under way is lost, and the two negotiate anew.
   */
  | { readonly type: "reconnected"; readonly room: Room; readonly resumed: boolean };

const REASONS: ReadonlyMap<LeaveRoom_Reason, LeaveReason> = new Map([
  [LeaveRoom_Reason.LEFT, "left"],
  [LeaveRoom_Reason.DISCONNECTED, "disconnected"],
  [LeaveRoom_Reason.REPLACED, "replaced"],
]);

/** The event a frame tells; undefined for one that this client does not know. */
export function toEvent(frame: Frame): ConnectionEvent | undefined {
  const { event } = frame;
  switch (event.case) {
    case "joinRoom":
      return { type: "peerJoined", peer: toParticipant(frame.sender) };
    case "leaveRoom":
      return {
        type: "peerLeft",
        peer: toParticipant(frame.sender),
        reason: REASONS.get(event.value.reason) ?? "unspecified",
      };
    case "offer":
    case "answer":
      return { type: event.case, sdp: event.value.sdp };
    case "iceCandidate":
      return { type: "candidate", candidate: fromWire(event.value) };
    case "error":
      return { type: "error", error: refused(event.value) };
    default:
      return undefined;
  }
}

/** What an acknowledged `join_room` says. */
export function toRoom(roomId: string, { polite, peer }: JoinRoom): Room {
  return { roomId, polite, peer: peer && toParticipant(peer) };
}

function toParticipant(who: WireParticipant | undefined): Participant {
  return { userId: who?.userId ?? "", email: who?.email ?? "" };
}

/** A candidate for the wire; null, the W3C's end of candidates, is an empty one there. */
export function toWire(candidate: RTCIceCandidateInit | null): IceCandidate {
  const message = create(IceCandidateSchema, { candidate: candidate?.candidate ?? "" });
  // In WebRTC a null is an absent field, and "" or 0 is not.
  if (candidate?.sdpMid != null) message.sdpMid = candidate.sdpMid;
  if (candidate?.sdpMLineIndex != null) message.sdpMLineIndex = candidate.sdpMLineIndex;
  if (candidate?.usernameFragment != null) message.usernameFragment = candidate.usernameFragment;
  return message;
}

function fromWire(message: IceCandidate): RTCIceCandidateInit {
  return {
    candidate: message.candidate,
    sdpMid: message.sdpMid ?? null,
    sdpMLineIndex: message.sdpMLineIndex ?? null,
    usernameFragment: message.usernameFragment ?? null,
  };
}
