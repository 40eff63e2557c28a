/**
 * The name in a token, to be shown on this side only: nothing is checked here,
 * and the peer learns who this is from the server.
 */
export function nameIn(token: string): string {
  try {
    const payload = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const { email, sub } = claims as { email?: unknown; sub?: unknown };
    return [email, sub].find((name) => typeof name === "string" && name !== "") as string ?? "Me";
  } catch {
    return "Me";
  }
}

const KEPT = "dyad.token";

/** Keeps a link's token for this tab and server, so that reloading the page needs no new link. */
export function rememberToken(server: string, token: string): void {
  try {
    sessionStorage.setItem(`${KEPT} ${server}`, token);
  } catch {
    // A browser that keeps nothing: the link works once.
  }
}

/** The token for that server, of the link that this tab came by. */
export function rememberedToken(server: string): string | undefined {
  try {
    return sessionStorage.getItem(`${KEPT} ${server}`) ?? undefined;
  } catch {
    return undefined;
  }
}
