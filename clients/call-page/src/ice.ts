/** The STUN and TURN servers that the user has set. */
export interface IceSettings {
  /** STUN servers, separated by commas or spaces. */
  readonly stun: string;
  /** TURN servers, separated by commas or spaces. */
  readonly turn: string;
  readonly turnUser: string;
  readonly turnPassword: string;
  /** Whether media may only go through a TURN server. */
  readonly relay: boolean;
}

/** A setting that the browser cannot use. Its message tells the user what to do. */
export class SettingsError extends Error {}

/** @throws SettingsError if an address has the wrong form, or a TURN server is missing. */
export function iceConfiguration(settings: IceSettings): RTCConfiguration {
  const stun = addresses(settings.stun, /^stuns?:/, "The STUN server in the settings is not an address. It looks like stun:host:3478.");
  const turn = addresses(settings.turn, /^turns?:/, "The TURN server in the settings is not an address. It looks like turn:host:3478.");
  const { turnUser: username, turnPassword: credential } = settings;
  if (turn.length > 0 && (username === "" || credential === "")) {
    throw new SettingsError("The TURN server in the settings needs a user and a password.");
  }
  return {
    iceServers: [
      ...(stun.length > 0 ? [{ urls: stun }] : []),
      ...(turn.length > 0 ? [{ urls: turn, username, credential }] : []),
    ],
    iceTransportPolicy: settings.relay ? "relay" : "all",
  };
}

function addresses(text: string, form: RegExp, problem: string): string[] {
  const found = text.split(/[\s,]+/).filter((url) => url !== "");
  if (found.some((url) => !form.test(url))) {
    throw new SettingsError(problem);
  }
  return found;
}
