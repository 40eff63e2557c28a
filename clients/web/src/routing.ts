export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const KEY_DIGITS = 8;

/** The header by which a proxy sends both participants of a room to the same node. */
export interface RoutingHeader {
  readonly "dyad-routing-key": string;
}

/**
 * The routing key to connect with: the last digits of the room's id. If that is empty, the room
 * is a new one. Then the key is random, and the server makes an id that ends with it.
 */
export function routingHeader(roomId: string): RoutingHeader {
  return { "dyad-routing-key": roomId === "" ? random() : roomId.slice(-KEY_DIGITS).toLowerCase() };
}

/** The room that a token names, or nothing. The server is what checks tokens. */
export function roomOf(token: string): string {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const claims: unknown = JSON.parse(atob(payload));
    const room: unknown = (claims as { room?: unknown } | null)?.room;
    return typeof room === "string" && UUID.test(room) ? room : "";
  } catch {
    // It is no JWT, but whatever the app and its server agree on.
    return "";
  }
}

function random(): string {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return number.toString(16).padStart(KEY_DIGITS, "0");
}
