import { Frame } from "./gen/dyad/v1/signaling.js";

// The numbers that a frame gets when it is sent, and its header in a message.
const NUMBERS_BYTES = 26;

/** A frame that has no numbers yet. */
export function frameWith(roomId: string, event?: Frame["event"]): Frame {
  return { roomId, sender: undefined, seq: 0n, ack: 0n, replyTo: 0n, event };
}

/** The most bytes that a frame takes in a message. */
export function sizeOf(frame: Frame): number {
  return Frame.encode(frame).finish().length + NUMBERS_BYTES;
}
