/** One run: a cluster under load and faults, healed at last, and what the checker says of its history. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../../src/seam/random.ts';
import { checkHistory } from '../../history/check.ts';
import type { History } from '../../history/history.ts';
import { until } from '../processes.ts';
import { Clients } from './clients.ts';
import { FaultCluster } from './fault-cluster.ts';
import { Guests } from './guests.ts';
import { LogCopy } from './held-log.ts';
import { Lines } from './lines.ts';
import { Mischief } from './mischief.ts';
import { longRunMs, tooLittle } from './run-minimum.ts';

const copyPauseMs = 300;
const copyPageEntries = 1_000;
/** In the end all logs are copied again, so often at most, while something is still decided. */
const copyRoundsMax = 5;
const askMs = 5_000;
/** Whole again after the last fault: elections, convictions taken back, a log to catch up with. */
const wholeMs = 120_000;
/** After the last fault the load goes on, so that something is decided on the healed cluster. */
const calmMs = 3_000;

export interface FaultRunOptions {
  readonly seed: number;
  readonly forMs: number;
  readonly control: number;
  /** Told of each fault, and of what goes on. */
  readonly onNews: (text: string) => void;
}

export interface FaultReport {
  /** What is wrong; nothing when all is right. */
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: ReadonlyMap<string, number>;
  /** Present when something is wrong. */
  readonly evidence?: { readonly history: History; readonly said: ReadonlyMap<string, string> };
}

export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const { control, onNews } = options;
  const cluster = await FaultCluster.found({ control, members: 3, spares: 2 });
  try {
    if (!cluster.hasClocks) onNews('no faketime here: clocks stay right');
    return await new FaultRun(cluster, options).run();
  } finally {
    await cluster.close();
  }
}

class FaultRun {
  private readonly options: FaultRunOptions;
  private readonly cluster: FaultCluster;
  private readonly clients: Clients;
  private readonly guests: Guests;
  private readonly mischief: Mischief;
  private readonly lines: Lines;
  private readonly archive: LogCopy;
  private readonly wrong: string[] = [];
  private isCopying = true;
  private knownWishes: ReadonlySet<string> | undefined;

  constructor(cluster: FaultCluster, options: FaultRunOptions) {
    this.options = options;
    this.cluster = cluster;
    this.clients = new Clients(cluster);
    this.guests = new Guests(cluster, this.clients);
    this.mischief = new Mischief(cluster, options.onNews);
    this.lines = new Lines((name) => cluster.socketOf(name));
    this.archive = new LogCopy('the archive', (text) => this.wishes().has(text));
  }

  async run(): Promise<FaultReport> {
    const { seed, forMs, onNews } = this.options;
    const copying = this.copyWhileItGrows();
    this.clients.begin(seed);
    this.guests.begin(seed);
    const done = this.mischief.run(seed, forMs >= longRunMs);
    await sleep(forMs);
    this.mischief.end();
    await done;
    onNews('healed; the load goes on for a moment');
    await sleep(calmMs);
    await Promise.all([this.clients.end(), this.guests.end()]);
    await this.becomeWhole();
    this.isCopying = false;
    await copying;
    const history = await this.history();
    await this.verifyExports();
    return this.report(history);
  }

  /** What clients were told of: asked for when no more is added. */
  private wishes(): ReadonlySet<string> {
    this.knownWishes ??= new Set(
      this.clients.operations.flatMap((operation) => (operation.kind === 'append' ? [operation.value] : [])),
    );
    return this.knownWishes;
  }

  // — the archive —

  private async copyWhileItGrows(): Promise<void> {
    const random = seededRandom(this.options.seed);
    while (this.isCopying) {
      const { running } = this.cluster;
      const name = running[random.below(Math.max(1, running.length))];
      const isAtEnd = name === undefined || (await this.copyPage(this.archive, name).catch(this.onCopyError));
      if (isAtEnd) await sleep(copyPauseMs);
    }
  }

  /** A node that does not answer is passed over; entries that nobody has any more are a loss of evidence. */
  private readonly onCopyError = (thrown: unknown): boolean => {
    const { message } = thrown as Error;
    if (message.includes('are gone') && !this.wrong.includes(message)) this.wrong.push(message);
    return true;
  };

  private async copyPage(copy: LogCopy, name: string): Promise<boolean> {
    const page = await this.lines.ask(name, { kind: 'export-log', from: copy.next, most: copyPageEntries }, askMs);
    copy.take(page);
    return copy.next > page.commitIndex;
  }

  // — the end —

  /** All are in touch, all control nodes hold the same, and all count the same members. */
  private async becomeWhole(): Promise<void> {
    let last: unknown;
    const isWhole = async (): Promise<boolean> => {
      const views = await Promise.all(this.cluster.residents.map((name) => this.viewOf(name)));
      last = views;
      const [first] = views;
      const same = (of: (view: View) => unknown): boolean =>
        views.every((view) => JSON.stringify(of(view)) === JSON.stringify(of(first as View)));
      const controls = views.filter(({ name }) => this.cluster.control.includes(name));
      return (
        views.every(({ state }) => state === 'healthy') &&
        same(({ members }) => members) &&
        same(({ control }) => control) &&
        first?.control.length === this.cluster.control.length &&
        new Set(controls.map(({ logIndex }) => logIndex)).size === 1
      );
    };
    try {
      await until('the cluster is whole again', isWhole, wholeMs);
    } catch (thrown) {
      const { message, cause } = thrown as Error;
      this.wrong.push(`${message} ${JSON.stringify(last)}${cause === undefined ? '' : ` (${String(cause)})`}`);
    }
  }

  private async viewOf(name: string): Promise<View> {
    const { pane } = await this.lines.ask(name, { kind: 'status' }, askMs);
    const { members } = await this.lines.ask(name, { kind: 'members' }, askMs);
    const { state, logIndex, controlNodes: control } = pane;
    return { name, state, logIndex, control: [...control].sort(), members: members.map((each) => each.name).sort() };
  }

  private async history(): Promise<History> {
    const { control, residents } = this.cluster;
    const copies = new Map(control.map((name) => [name, new LogCopy(name, (text) => this.wishes().has(text))]));
    await this.copyAllToEnd(copies);
    const logs = [...copies.values()].map(({ held }) => held);
    const seen = new Map<string, readonly string[]>();
    for (const name of residents) {
      const view = await this.viewOf(name).catch(() => undefined);
      seen.set(name, view?.members ?? []);
    }
    const members = { decided: this.archive.members, seen };
    return { operations: this.clients.operations, archive: this.archive.held, control, logs, members };
  }

  /** They are copied one after another: an entry that is decided meanwhile is in the later ones alone. */
  private async copyAllToEnd(copies: ReadonlyMap<string, LogCopy>): Promise<void> {
    for (let round = 0; round < copyRoundsMax; round++) {
      for (const [name, copy] of copies) await this.copyToEnd(copy, name);
      await this.copyToEnd(this.archive, this.cluster.control[0] as string);
      if (new Set([this.archive, ...copies.values()].map(({ next }) => next)).size === 1) return;
    }
  }

  private async copyToEnd(copy: LogCopy, name: string): Promise<void> {
    try {
      while (!(await this.copyPage(copy, name)));
    } catch (thrown) {
      this.wrong.push(`The log of ${name} cannot be read: ${(thrown as Error).message}`);
    }
  }

  /** As an auditor does it, on files. */
  private async verifyExports(): Promise<void> {
    const { cluster, control } = this.cluster;
    for (const name of control) {
      const file = join(cluster.folder, `${name}.exported`);
      const exported = await cluster.run('log', 'export', file, '-n', name);
      const verified = exported.code === 0 ? await cluster.run('log', 'verify', file) : exported;
      if (verified.code !== 0)
        this.wrong.push(`The exported log of ${name} is not verified: ${verified.stderr.trim()}`);
    }
  }

  private report(history: History): FaultReport {
    const { refusedStarts } = this.cluster;
    const { plainAnswers } = this.clients;
    if (plainAnswers > 0) this.wrong.push(`${plainAnswers} consistent reads were answered as if they were plain ones.`);
    const falls = this.cluster.falls.map(({ name, code, said }) => `${name} ended by itself with ${code}: ${said}`);
    const broken = checkHistory(history).map(({ rule, sentence }) => `${rule} — not so: ${sentence}`);
    const entries = history.archive.entries.length;
    const elections = history.archive.entries.filter(({ kind }) => kind === 'leader-elected').length;
    const counts = { ...this.clients.counts, guests: this.guests.count, entries, elections, refusedStarts };
    const { counts: faults, kinds } = this.mischief;
    const missing = tooLittle({ forMs: this.options.forMs, counts, faults, kinds });
    const violations = [...this.wrong, ...broken, ...falls, ...missing];
    const said = new Map([...this.cluster.cluster.agents].map(([name, agent]) => [name, agent.stdout + agent.stderr]));
    const evidence = violations.length === 0 ? {} : { evidence: { history, said } };
    return { violations, counts, faults, ...evidence };
  }
}

interface View {
  readonly name: string;
  readonly state: string;
  readonly logIndex: number;
  readonly control: readonly string[];
  readonly members: readonly string[];
}
