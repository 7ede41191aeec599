/** One member dies, vanishes or stalls: when do the survivors know, do they err, and does it come back by itself? */

import type { Cluster } from './cluster.ts';
import type { GossipSample } from './gossip-catalog.ts';

/** A member that nobody lists down by then never will be. */
const convictionPatienceMs = 60_000;
/** serf tries what it lost every 30 s. */
const returnPatienceMs = 180_000;
const shortStallMs = 3_000;
const longStallMs = 30_000;
/** A suspicion that began in a short stall has run out or was refuted by then. */
const stallAftermathMs = 12_000;
/** Who was alone suspected others, and holds them for down when that runs out: after half a minute, at serf. */
const cutAftermathMs = 30_000;

export async function measureCrash(cluster: Cluster, subject: string): Promise<readonly GossipSample[]> {
  const jury = new Jury(cluster, subject);
  await cluster.kill(subject);
  await jury.untilAllKnow(convictionPatienceMs);
  return await verdictAndReturn(cluster, jury, 'crash', () => cluster.restart(subject));
}

export async function measureCut(cluster: Cluster, subject: string): Promise<readonly GossipSample[]> {
  const jury = new Jury(cluster, subject);
  jury.hearsSubject = false;
  await cluster.cut(subject);
  await jury.untilAllKnow(convictionPatienceMs);
  return await verdictAndReturn(cluster, jury, 'cut', () => cluster.mend());
}

export async function measureShortStall(cluster: Cluster, subject: string): Promise<readonly GossipSample[]> {
  const jury = new Jury(cluster, subject);
  cluster.stall(subject);
  await cluster.pause(shortStallMs);
  cluster.wake(subject);
  await cluster.pause(stallAftermathMs);
  jury.dismiss();
  return [
    { figure: 'stall-convictions', value: jury.convictions },
    { figure: 'stall-false-downs', value: jury.falseDowns },
  ];
}

export async function measureLongStall(cluster: Cluster, subject: string): Promise<readonly GossipSample[]> {
  const jury = new Jury(cluster, subject);
  const startedAt = performance.now();
  cluster.stall(subject);
  await jury.untilAllKnow(longStallMs);
  await cluster.pause(Math.max(0, startedAt + longStallMs - performance.now()));
  return await verdictAndReturn(cluster, jury, 'stop', () => cluster.wake(subject));
}

type Failure = 'crash' | 'cut' | 'stop';

/** What all agents say about the subject, and wrongly about others, from now on. */
class Jury {
  falseDowns = 0;
  /** Whether what the subject believes of others counts: while it is cut off it does not err in holding them down. */
  hearsSubject = true;
  private readonly survivors: number;
  private readonly cluster: Cluster;
  private readonly startedAt = performance.now();
  /** When each survivor listed the subject down for the first time. */
  private readonly knownAtMs = new Map<string, number>();

  /** Listens no more. */
  readonly dismiss: () => void;

  constructor(cluster: Cluster, subject: string) {
    this.cluster = cluster;
    this.survivors = cluster.names.length - 1;
    this.dismiss = cluster.onSighting(({ atMs, observer, event }) => {
      if (event.kind !== 'down') return;
      if (event.node === subject) this.onKnown(observer, atMs);
      else if (observer !== subject || this.hearsSubject) this.falseDowns++;
    });
  }

  /** Survivors that listed the subject down. */
  get convictions(): number {
    return this.knownAtMs.size;
  }

  verdict(failure: Failure): readonly GossipSample[] {
    const times = [...this.knownAtMs.values()].map((atMs) => atMs - this.startedAt).sort((a, b) => a - b);
    const [first, last] = [times[0], times[this.survivors - 1]];
    return [
      ...(first === undefined ? [] : [{ figure: `${failure}-first`, value: first } as const]),
      ...(last === undefined ? [] : [{ figure: `${failure}-all`, value: last } as const]),
      { figure: `${failure}-uninformed`, value: this.survivors - this.convictions },
      { figure: `${failure}-false-downs`, value: this.falseDowns },
    ];
  }

  async untilAllKnow(withinMs: number): Promise<void> {
    await this.cluster.until(() => this.convictions === this.survivors, withinMs);
  }

  private onKnown(observer: string, atMs: number): void {
    if (!this.knownAtMs.has(observer)) this.knownAtMs.set(observer, atMs);
  }
}

/** The return is measured from `help` on, which is all that the subject gets: it has to come back by itself. */
async function verdictAndReturn(
  cluster: Cluster,
  jury: Jury,
  failure: Failure,
  help: () => void | Promise<void>,
): Promise<readonly GossipSample[]> {
  const startedAt = performance.now();
  await help();
  jury.hearsSubject = true;
  const isBack = await cluster.untilListed(() => cluster.unlisted === 0, returnPatienceMs);
  const backMs = performance.now() - startedAt;
  if (failure === 'cut') await cluster.pause(cutAftermathMs);
  jury.dismiss();
  return [
    ...jury.verdict(failure),
    // Who was never out does not come back.
    ...(isBack && jury.convictions > 0 ? [{ figure: `${failure}-back`, value: backMs } as const] : []),
    { figure: `${failure}-back-missing`, value: cluster.unlisted },
  ];
}
