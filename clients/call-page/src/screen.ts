import type { LeaveReason } from "@dyad/web";

/** What is known of the call. */
export interface Facts {
  /** Whether the user is in a room. */
  readonly stay: "none" | "entering" | "seated";
  /** The connection to the server. It is `gone` if it ended for good and the call goes on. */
  readonly server: "there" | "away" | "gone";
  /** Why the server is away or gone, in a sentence. */
  readonly because: string;
  /** Whether the server refuses the token, so that the user has to enter a new one. */
  readonly wantsToken: boolean;
  /** The name of the participant who is in the room, or was last. */
  readonly peer: string;
  readonly peerIsHere: boolean;
  /** Why the last participant left. */
  readonly left: LeaveReason | undefined;
  /** The direct connection to the other participant. In a `gap` it was there and is lost. */
  readonly media: "none" | "trying" | "flows" | "gap";
  /** Whether the browser refuses to play sound until the user presses something. */
  readonly soundBlocked: boolean;
  /** What is wrong with the camera or microphone, in a sentence. */
  readonly problem: string;
  /** Why the last call ended, or could not begin. */
  readonly ended: string;
}

export const AT_FIRST: Facts = {
  stay: "none",
  server: "there",
  because: "",
  wantsToken: false,
  peer: "",
  peerIsHere: false,
  left: undefined,
  media: "none",
  soundBlocked: false,
  problem: "",
  ended: "",
};

/** What the user can do about the state that a notice describes. */
export type Offer = "invite" | "renew" | "sound" | "dismiss";

/** All that the page shows of the call's state. */
export interface View {
  readonly screen: "setup" | "call";
  readonly status: "Disconnected" | "Connecting" | "Reconnecting" | "Connected" | "Connected to peer";
  /** Whether the other participant's picture is shown. Otherwise one's own picture is large. */
  readonly picture: boolean;
  readonly headline: string;
  readonly advice: string;
  readonly offers: readonly Offer[];
  /** What the setup says about the last call. */
  readonly message: string;
}

type Notice = Pick<View, "headline" | "advice"> & { readonly offer?: Offer };

// For so long, the page calls a problem by its mildest name, because most end by themselves.
const SERVER_AWAY_MS = 10_000;
const NO_WAY_MS = 15_000;

const GOES_ON = "Your call goes on.";
const NO_NOTICE: Notice = { headline: "", advice: "" };

/** Decides what the page shows, from what is known and for how long it has been so. */
export class Screen {
  #facts = AT_FIRST;
  /** Since when there has been no server. */
  #awaySince: number | undefined;
  /** Since when there has been no media although the other participant is there. */
  #tryingSince: number | undefined;

  get facts(): Facts {
    return this.#facts;
  }

  learn(changes: Partial<Facts>, now: number): void {
    this.#facts = { ...this.#facts, ...changes };
    const { stay, server, peerIsHere, media } = this.#facts;
    const away = stay === "entering" || (stay === "seated" && server === "away");
    const trying = stay === "seated" && peerIsHere && media !== "flows";
    this.#awaySince = away ? (this.#awaySince ?? now) : undefined;
    this.#tryingSince = trying ? (this.#tryingSince ?? now) : undefined;
  }

  /** When the view changes although nothing new is learned. */
  nextChange(now: number): number | undefined {
    const times = [(this.#awaySince ?? -Infinity) + SERVER_AWAY_MS, (this.#tryingSince ?? -Infinity) + NO_WAY_MS];
    const next = Math.min(...times.filter((time) => time > now));
    return Number.isFinite(next) ? next : undefined;
  }

  view(now: number): View {
    const { stay, media, peerIsHere, soundBlocked, ended } = this.#facts;
    if (stay === "none") {
      return { screen: "setup", status: "Disconnected", picture: false, ...NO_NOTICE, offers: [], message: ended };
    }
    const { offer, ...notice } = this.#notice(now);
    const offers = new Set(offer === undefined ? [] : [offer]);
    if (soundBlocked && media === "flows") {
      offers.add("sound");
    }
    return {
      screen: "call",
      status: this.#status(),
      picture: media === "flows" || (media === "gap" && peerIsHere),
      ...notice,
      offers: [...offers],
      message: "",
    };
  }

  #status(): View["status"] {
    const { stay, server, media } = this.#facts;
    if (stay === "entering") {
      return "Connecting";
    }
    if (media === "flows") {
      return "Connected to peer";
    }
    return server === "away" ? "Reconnecting" : "Connected";
  }

  #notice(now: number): Notice {
    const { stay, server, wantsToken, peerIsHere, media } = this.#facts;
    const running = media === "flows" || media === "gap";
    if (wantsToken) {
      return this.#tokenWanted(running);
    }
    if (stay === "entering") {
      return entering(this.#lasts(this.#awaySince, SERVER_AWAY_MS, now));
    }
    if (server === "gone") {
      return { headline: this.#facts.because, advice: "Your call goes on until one of you hangs up." };
    }
    if (server === "away") {
      return away(this.#lasts(this.#awaySince, SERVER_AWAY_MS, now), running);
    }
    return peerIsHere ? this.#together(now) : this.#alone();
  }

  #lasts(since: number | undefined, milliseconds: number, now: number): boolean {
    return since !== undefined && now - since >= milliseconds;
  }

  #tokenWanted(running: boolean): Notice {
    const until = running ? " Your call goes on meanwhile." : "";
    return { headline: this.#facts.because, advice: `Paste a new token from your app.${until}`, offer: "renew" };
  }

  #together(now: number): Notice {
    const { peer, media, soundBlocked, problem } = this.#facts;
    if (media === "flows") {
      if (soundBlocked) {
        return { headline: "Your browser has muted this call.", advice: "It plays sound only after you press a button.", offer: "sound" };
      }
      return problem === "" ? NO_NOTICE : { headline: "", advice: problem, offer: "dismiss" };
    }
    if (this.#lasts(this.#tryingSince, NO_WAY_MS, now)) {
      return {
        headline: `There is no way to ${peer} through your networks.`,
        advice: "This page keeps trying. It may help to use another network, or to turn off a VPN. Some networks need a TURN server: hang up, and set one in the settings.",
      };
    }
    return media === "gap"
      ? { headline: `The picture of ${peer} has stopped.`, advice: "Trying to bring it back…" }
      : { headline: `Connecting to ${peer}…`, advice: this.#facts.problem };
  }

  #alone(): Notice {
    const { peer, left, media, problem } = this.#facts;
    if (media === "flows") {
      return { headline: `The server has lost ${peer}.`, advice: GOES_ON };
    }
    return {
      headline: left === undefined ? "Waiting for the other person" : LEFT[left](peer),
      advice: problem || "Send them this link. They need a token, too:",
      offer: "invite",
    };
  }
}

const LEFT: Readonly<Record<LeaveReason, (peer: string) => string>> = {
  left: (peer) => `${peer} hung up.`,
  disconnected: (peer) => `The connection of ${peer} was lost.`,
  replaced: (peer) => `${peer} is connecting again.`,
  unspecified: (peer) => `${peer} has left.`,
};

function entering(long: boolean): Notice {
  return { headline: "Connecting to the server…", advice: long ? "This takes longer than usual. Check your network." : "" };
}

function away(long: boolean, running: boolean): Notice {
  return {
    headline: long ? "The server is out of reach." : "Reconnecting to the server…",
    advice: running ? GOES_ON : long ? "This page keeps trying. Check your network." : "",
  };
}
