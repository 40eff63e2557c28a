/**
 * The name in a token, to show on this side only. The token is not checked here: the peer
 * gets the name from the server.
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

/** Keeps a link's token for this tab and server, so that the page can be reloaded. */
export function rememberToken(server: string, token: string): void {
  try {
    sessionStorage.setItem(`${KEPT} ${server}`, token);
  } catch {
    // This browser stores nothing, so the link works once.
  }
}

/** The token that this tab keeps for that server. */
export function rememberedToken(server: string): string | undefined {
  try {
    return sessionStorage.getItem(`${KEPT} ${server}`) ?? undefined;
  } catch {
    return undefined;
  }
}
