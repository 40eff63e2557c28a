/** The settings in a link to this page. They follow the `#`, so servers never see them. */
export interface Fragment {
  readonly token: string | undefined;
  readonly room: string | undefined;
  readonly stun: string | undefined;
  readonly turn: string | undefined;
  readonly turnUser: string | undefined;
  readonly turnPassword: string | undefined;
  /** Whether media may only go through a TURN server. */
  readonly relay: boolean;
  /** Whether to create a room at once, or to enter the one that the token names. */
  readonly auto: boolean;
}

const SECRETS = /^(token|turn-password)(=|$)/;

export function readFragment(hash: string): Fragment {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const field = (name: string): string | undefined => fields.get(name) ?? undefined;
  return {
    token: field("token"),
    room: field("room"),
    stun: field("stun"),
    turn: field("turn"),
    turnUser: field("turn-user"),
    turnPassword: field("turn-password"),
    relay: fields.has("relay"),
    auto: fields.has("auto"),
  };
}

/** The fragment without its secrets, which must not be in the history or a copied address. */
export function withoutSecrets(hash: string): string {
  return hash
    .replace(/^#/, "")
    .split("&")
    .filter((field) => !SECRETS.test(field))
    .join("&");
}

/** The link for the other participant. It never has a secret. */
export function invitation(page: Location, roomId: string): string {
  return `${page.origin}${page.pathname}#room=${encodeURIComponent(roomId)}`;
}

/** The room in what a user has pasted: its id, or the link to it. */
export function roomIn(text: string): string {
  const hash = text.indexOf("#");
  return (hash < 0 ? text : (readFragment(text.slice(hash)).room ?? "")).trim();
}
