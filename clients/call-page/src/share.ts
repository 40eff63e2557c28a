import * as page from "./elements.js";

const COPIED_MS = 2_000;

/** Shows the link for the other participant, to be shared by the phone's own menu or copied. */
export function showInvitation(address: string): void {
  page.link.href = address;
  page.link.textContent = address;
  page.share.hidden = !("share" in navigator);
  page.copy.classList.toggle("main", page.share.hidden);
}

async function share(): Promise<void> {
  try {
    await navigator.share({ title: "A call for you", url: page.link.href });
  } catch {
    // The user has closed the menu.
  }
}

async function copy(): Promise<void> {
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(page.link.href);
  } catch {
    said = "Copy it by hand";
  }
  page.copy.textContent = said;
  setTimeout(() => (page.copy.textContent = "Copy link"), COPIED_MS);
}

page.share.addEventListener("click", () => void share());
page.copy.addEventListener("click", () => void copy());
