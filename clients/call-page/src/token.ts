interface Claims {
  readonly email?: unknown;
  readonly sub?: unknown;
}

/** What a token says. It is not checked here: only the server can do that. */
function claimsOf(token: string): Claims {
  try {
    const payload = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return (JSON.parse(new TextDecoder().decode(bytes)) ?? {}) as Claims;
  } catch {
    return {};
  }
}

/** The name in a token, to show on this side only; empty if this is no token. The peer gets the name from the server. */
export function nameIn(token: string): string {
  const { email, sub } = claimsOf(token);
  return ([email, sub].find((name) => typeof name === "string" && name !== "") as string | undefined) ?? "";
}
