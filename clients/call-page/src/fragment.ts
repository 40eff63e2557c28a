/** What a link to this page may say, after its `#`: servers never see that part. */
export interface Fragment {
  readonly token: string | undefined;
  readonly room: string | undefined;
  readonly stun: string | undefined;
  readonly server: string | undefined;
  /** Connect and create at once. */
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

/** The fragment without its token, which belongs in no history and no copied address. */
export function withoutToken(hash: string): string {
  return hash
    .replace(/^#/, "")
    .split("&")
    .filter((field) => !/^token(=|$)/.test(field))
    .join("&");
}

/** What a person sends to the other participant: never the token. */
export function invitation(page: Location, roomId: string): string {
  return `${page.origin}${page.pathname}#room=${encodeURIComponent(roomId)}`;
}
