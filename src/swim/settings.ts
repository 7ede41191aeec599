/** How eagerly members watch and tell each other. All members of a cluster should use the same values. */
export interface SwimSettings {
  /** Milliseconds between two probes of one's own round (SWIM's T′, Das 2002 §3.1). Default 1,000; 100 … 60,000. */
  readonly probePeriodMs: number;
  /**
   * Milliseconds after which the subject is tried by a stream and its other observers are asked to probe it.
   * Default 500; 10 … `suspectAfterMs`.
   */
  readonly probeTimeoutMs: number;
  /** Milliseconds of silence after which a subject is suspected and accused. Default 1,000; up to 60,000. */
  readonly suspectAfterMs: number;
  /** Milliseconds between two questions to a suspect. Default 1,000; 100 … `stallToleranceMs`. */
  readonly reprobePeriodMs: number;
  /**
   * The stall in milliseconds that a healthy member is allowed, counted from the earliest unanswered probe that this
   * node knows of. Default 4,000; `suspectAfterMs` … 60,000. It bounds detection from below: a vanished machine is
   * convicted about a second later. A dead process is known at once, whatever is tolerated here; one that hangs while
   * its kernel still accepts connections is given three times as long (`hangFactor`).
   */
  readonly stallToleranceMs: number;
  /** Milliseconds that an observer waits in any case after its own first unanswered probe. Default 3,000; ≤ 60,000. */
  readonly ownWindowMs: number;
  /** Milliseconds between two reports of the same silence. Default 1,000; 100 … 1,200: a lease of 2,500 holds two. */
  readonly reportPeriodMs: number;
  /** Milliseconds between two rounds of gossip while there is something to tell. Default 200; 50 … 10,000. */
  readonly gossipPeriodMs: number;
  /** Members told in each round, and at once when something is fresh. Default 3; 1 … 10. */
  readonly gossipFanout: number;
  /** λ: each member passes a rumour on λ·⌈log2(N+1)⌉ times (SWIM, Das 2002 §4.1). Default 4; 1 … 10. */
  readonly retransmitFactor: number;
}

export const swimDefaults: SwimSettings = {
  probePeriodMs: 1_000,
  probeTimeoutMs: 500,
  suspectAfterMs: 1_000,
  reprobePeriodMs: 1_000,
  stallToleranceMs: 4_000,
  ownWindowMs: 3_000,
  reportPeriodMs: 1_000,
  gossipPeriodMs: 200,
  gossipFanout: 3,
  retransmitFactor: 4,
};

/** How patient to be where the network is one machine, one site, or several sites far apart. */
export const swimProfiles: Readonly<Record<'local' | 'lan' | 'wan', SwimSettings>> = {
  local: { ...swimDefaults, probeTimeoutMs: 250, suspectAfterMs: 500 },
  lan: swimDefaults,
  wan: { ...swimDefaults, probePeriodMs: 2_000, probeTimeoutMs: 1_500, suspectAfterMs: 3_000, stallToleranceMs: 8_000 },
};
