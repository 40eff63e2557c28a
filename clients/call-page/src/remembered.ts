/** Keeps a link's secrets for this tab, so that the page can be reloaded without them in its address. */
export function remember(name: "token" | "turnPassword", value: string): void {
  try {
    sessionStorage.setItem(`dyad.${name}`, value);
  } catch {
    // This browser stores nothing, so the link works once.
  }
}

export function remembered(name: "token" | "turnPassword"): string | undefined {
  try {
    return sessionStorage.getItem(`dyad.${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}
