import { DyadError, refused } from "./errors.js";
import { frameWith, sizeOf } from "./frames.js";
import type { Frame, JoinRoom } from "./gen/dyad/v1/signaling.js";
import type { Link } from "./link.js";
import type { Seat } from "./route.js";
import { Session } from "./session.js";

/** A session that continues on a new link. */
export interface Rejoined {
  readonly session: Session<Frame>;
  /** The server's answer. */
  readonly join: JoinRoom;
  /** The frames that arrived together with the answer. */
  readonly rest: Frame[];
}

/** Takes a reserved seat back: the same session continues. */
export async function resume(link: Link, seat: Seat, session: Session<Frame>): Promise<Rejoined> {
  const request = joining(seat.roomId, true, seat.resumeToken);
  request.ack = session.received;
  const [answer, rest] = await answerTo(link, [request]);
  const join = joinOf(answer);
  if (!join.resumed || !session.rewind(answer.ack)) {
    throw new DyadError("aborted", "The server did not resume the seat.");
  }
  return { session, join, rest };
}

/** Joins the room again, in a new session. Until it is used, the app's frames belong to the old one. */
export async function rejoin(link: Link, roomId: string): Promise<Rejoined> {
  const session = new Session<Frame>();
  session.keep(true);
  const request = joining(roomId, true);
  session.put(request, sizeOf(request));
  const [answer, rest] = await answerTo(link, session.take());
  const join = joinOf(answer);
  session.arrive(answer.seq, sizeOf(answer));
  session.acknowledged(answer.ack);
  return { session, join, rest };
}

/** The frame that enters a room. Without `roomId` it creates one. */
export function joining(roomId: string, resumable: boolean, resumeToken = ""): Frame {
  const value = { resumable, resumeToken, peer: undefined, polite: false, resumed: false };
  return frameWith(roomId, { $case: "joinRoom", value });
}

/** Sends frames. Resolves to the first frame received, and those in the same message. */
async function answerTo(link: Link, frames: Frame[]): Promise<[Frame, Frame[]]> {
  await link.send(frames);
  for (;;) {
    const [answer, ...rest] = await link.receive();
    if (answer !== undefined) {
      return [answer, rest];
    }
  }
}

function joinOf({ event }: Frame): JoinRoom {
  if (event?.$case === "joinRoom") {
    return event.value;
  }
  throw event?.$case === "error"
    ? refused(event.value)
    : new DyadError("protocol", "The server answered join_room with another event.");
}
