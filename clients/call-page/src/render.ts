import * as page from "./elements.js";
import type { Offer, View } from "./screen.js";

const OFFERED: Readonly<Record<Offer, HTMLElement>> = {
  invite: page.invitation,
  renew: page.renewForm,
  sound: page.sound,
  dismiss: page.dismiss,
};

/** Shows the view, and keeps the keyboard's focus on the page. */
export function render(view: View): void {
  const focused = document.activeElement;
  const changes = document.body.dataset["screen"] !== view.screen;
  document.body.dataset["screen"] = view.screen;
  page.setup.hidden = view.screen !== "setup";
  page.call.hidden = view.screen !== "call";
  page.call.toggleAttribute("data-picture", view.picture);
  write(page.status, view.status);
  page.status.dataset["status"] = view.status;
  write(page.message, view.message);
  renderNotice(view);
  if (changes) {
    // A modal dialog would block the page even when it is not visible.
    page.deviceDialog.close();
    (view.screen === "call" ? page.headline : page.setupTitle).focus();
  } else if (focused !== null && focused !== document.body && !focused.checkVisibility()) {
    // What had the focus is hidden now, and the focus would fall to the body.
    (view.screen === "call" ? page.microphone : page.setupTitle).focus();
  }
}

function renderNotice({ headline, advice, offers }: View): void {
  write(page.headline, headline);
  write(page.advice, advice);
  for (const [offer, element] of Object.entries(OFFERED)) {
    element.hidden = !offers.includes(offer as Offer);
  }
  page.notice.classList.toggle("empty", headline === "" && advice === "" && offers.length === 0);
}

/** An element without text is hidden. A screen reader reads a text aloud only if it is new. */
function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
  element.hidden = text === "";
}
