/** How the call was in the last interval, as `getStats` of the RTCPeerConnection says. */
export interface Sample {
  /** The part of the packets that were lost, 0 to 1; undefined if none were due. */
  readonly loss: number | undefined;
  readonly roundTripMs: number | undefined;
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
  /** Whether the media goes through a TURN server. */
  readonly relayed: boolean;
}

/** The counters from which the next sample is computed. */
export interface Counters {
  readonly received: number;
  readonly lost: number;
}

export const NO_COUNTERS: Counters = { received: 0, lost: 0 };

// `getStats` returns objects of many types; only these fields are used.
interface Stat {
  readonly id: string;
  readonly type: string;
  readonly kind?: string;
  readonly packetsReceived?: number;
  readonly packetsLost?: number;
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly framesPerSecond?: number;
  readonly selectedCandidatePairId?: string;
  readonly currentRoundTripTime?: number;
  readonly localCandidateId?: string;
  readonly remoteCandidateId?: string;
  readonly candidateType?: string;
}

export function measure(stats: Iterable<Stat>, before: Counters): { sample: Sample; counters: Counters } {
  const all = new Map([...stats].map((stat) => [stat.id, stat]));
  const inbound = [...all.values()].filter(({ type }) => type === "inbound-rtp");
  const received = sum(inbound.map(({ packetsReceived }) => packetsReceived));
  const lost = sum(inbound.map(({ packetsLost }) => packetsLost));
  // A packet that came late or twice lowers the count of lost packets.
  const newlyLost = Math.max(0, lost - before.lost);
  const due = Math.max(0, received - before.received) + newlyLost;
  const video = inbound.find(({ kind }) => kind === "video");
  const transport = [...all.values()].find(({ selectedCandidatePairId }) => selectedCandidatePairId !== undefined);
  const pair = all.get(transport?.selectedCandidatePairId ?? "");
  const ends = [pair?.localCandidateId, pair?.remoteCandidateId].map((id) => all.get(id ?? ""));
  const sample = {
    loss: due === 0 ? undefined : newlyLost / due,
    roundTripMs: pair?.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1000,
    width: video?.frameWidth ?? 0,
    height: video?.frameHeight ?? 0,
    framesPerSecond: Math.round(video?.framesPerSecond ?? 0),
    relayed: ends.some((end) => end?.candidateType === "relay"),
  };
  return { sample, counters: { received, lost } };
}

export type Grade = "Good" | "Fair" | "Poor" | "Nothing arrives";

// From these values on, people notice (ITU-T G.114 for the delay).
const FAIR = { loss: 0.02, roundTripMs: 200 };
const POOR = { loss: 0.08, roundTripMs: 400 };

export function grade({ loss, roundTripMs = 0 }: Sample): Grade {
  if (loss === undefined || loss === 1) {
    return "Nothing arrives";
  }
  const reaches = (bound: typeof FAIR): boolean => loss >= bound.loss || roundTripMs >= bound.roundTripMs;
  return reaches(POOR) ? "Poor" : reaches(FAIR) ? "Fair" : "Good";
}

/** The sample in words. */
export function describe(sample: Sample): string {
  const { loss, roundTripMs, width, height, framesPerSecond, relayed } = sample;
  const picture = width > 0 ? `a picture of ${width} × ${height}, ${framesPerSecond} per second` : "no picture";
  const trip = roundTripMs === undefined ? "" : `${Math.round(roundTripMs)} ms there and back, `;
  const way = relayed ? "through a TURN server" : "directly between the two devices";
  return `${trip}${loss === undefined ? "no packets" : `${(loss * 100).toFixed(1)} % lost`}, ${picture}, ${way}.`;
}

export const PLOT = { width: 120, height: 40, samples: 60 } as const;
const HIGHEST_ROUND_TRIP_MS = 500;
const HIGHEST_LOSS = 0.2;

/** The corners of two lines in the plot, from the oldest sample to the newest at the right. */
export function plot(samples: readonly Sample[]): { roundTrip: string; loss: string } {
  const line = (share: (sample: Sample) => number): string =>
    samples
      .map((sample, i) => {
        const x = PLOT.width - ((samples.length - 1 - i) * PLOT.width) / (PLOT.samples - 1);
        const y = PLOT.height - 1 - Math.min(1, share(sample)) * (PLOT.height - 2);
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      })
      .join(" ");
  return {
    roundTrip: line(({ roundTripMs = 0 }) => roundTripMs / HIGHEST_ROUND_TRIP_MS),
    loss: line(({ loss = 1 }) => loss / HIGHEST_LOSS),
  };
}

function sum(counts: readonly (number | undefined)[]): number {
  return counts.reduce<number>((total, count) => total + (count ?? 0), 0);
}
