export { connect, Connection } from "./client.js";
export type { ConnectOptions, Room } from "./client.js";
export { DyadError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { ConnectionEvent, LeaveReason, Participant } from "./events.js";
export { Peer } from "./peer.js";
export type { NegotiationEvent, PeerOptions, PeerSignaling } from "./peer.js";
export type { Token } from "./credentials.js";
