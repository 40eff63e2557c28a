/** The settings in a link to this page. They follow the `#`, so servers never see them. */
export interface Fragment {
  readonly token: string | undefined;
  readonly room: string | undefined;
  readonly stun: string | undefined;
  readonly server: string | undefined;
  /** Whether to connect and create a room at once. */
  readonly auto: boolean;
}

export function readFragment(hash: string): Fragment {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    token: fields.get("token") ?? undefined,
    room: fields.get("room") ?? undefined,
    stun: fields.get("stun") ?? undefined,
    server: fields.get("server") ?? undefined,
    auto: fields.has("auto"),
  };
}

/** The fragment without its token, which must not be in the history or a copied address. */
export function withoutToken(hash: string): string {
  return hash
    .replace(/^#/, "")
    .split("&")
    .filter((field) => !/^token(=|$)/.test(field))
    .join("&");
}

/** The link for the other participant. It never has the token. */
export function invitation(page: Location, roomId: string): string {
  return `${page.origin}${page.pathname}#room=${encodeURIComponent(roomId)}`;
}
