/** The load: clients that write, repeat, read and follow the log through any node, and note what they were told. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentClient } from '../../../cli/agent-client.ts';
import { parseToken } from '../../../src/certificate/token.ts';
import { type ErrorCode, HivemindError } from '../../../src/error.ts';
import type { LocalLog, LocalRequest } from '../../../src/node/local-api.ts';
import { type Random, seededRandom } from '../../../src/seam/random.ts';
import type { Append, AppendOutcome, History, Read } from '../../history/history.ts';
import type { FaultCluster } from './fault-cluster.ts';
import { tokenValue } from './held-log.ts';
import { Lines, NotSent } from './lines.ts';
import { type AskedPage, isAsAsked, readOf } from './shown-page.ts';

const writers = 16;
const readers = 4;
const writePauseMsMax = 60;
const readPauseMsMax = 100;
const tokenPauseMs = 2_000;
/** One try through one agent, and how long a wish is tried again. */
const attemptMs = 3_000;
const patienceMs = 20_000;
const retryPauseMs = 50;
const noteCharactersMax = 2_000;
/** More than an entry carries: the agent refuses it. */
const tooLong = 'x'.repeat(5_000);
/** Of a log that has entries beyond all that there are: the leader refuses it. */
const sessionOfNobody = 'ffffffffffffffff@281474976710655';
/** So many entries behind the newest that a reader knows are read again. */
const lookBack = 20;
const pageEntries = 500;
const tokenLifeMs = 86_400_000;

/** Out of 100 wishes: asked for a second time, given up after one try, impossible. */
const repeatPercent = 10;
const hastyPercent = 15;
const impossiblePercent = 2;

export class Clients {
  readonly operations: (Append | Read)[] = [];
  readonly tokens: string[] = [];
  /** How many reads of the newest were answered as if anything would do. */
  plainAnswers = 0;
  private readonly cluster: FaultCluster;
  private readonly abort = new AbortController();
  private running: readonly Promise<void>[] = [];
  /** As far as any client knows. */
  private known = 1;

  constructor(cluster: FaultCluster) {
    this.cluster = cluster;
  }

  begin(seed: number): void {
    this.running = [
      ...Array.from({ length: writers }, (_, number) => this.write(`w${number}`, seededRandom(seed + number))),
      ...[false, true].flatMap((isConsistent) =>
        Array.from({ length: readers }, (_, number) => this.read(isConsistent, seededRandom(seed - 1 - number))),
      ),
      this.makeTokens(seededRandom(seed + writers)),
      this.follow(seededRandom(seed + writers + 1)),
    ];
  }

  /** Resolves when what is under way has ended. */
  async end(): Promise<void> {
    this.abort.abort();
    await Promise.all(this.running);
  }

  get counts(): Readonly<Record<AppendOutcome['kind'] | 'reads' | 'consistentReads', number>> {
    const counts = { acked: 0, refused: 0, unknown: 0, reads: 0, consistentReads: 0 };
    for (const operation of this.operations) {
      if (operation.kind === 'append') counts[operation.outcome.kind]++;
      else if (operation.isConsistent) counts.consistentReads++;
      else counts.reads++;
    }
    return counts;
  }

  note(operation: History['operations'][number]): void {
    this.operations.push(operation);
  }

  private get isOver(): boolean {
    return this.abort.signal.aborted;
  }

  private lines(): Lines {
    return new Lines((name) => this.cluster.socketOf(name));
  }

  private someNode(random: Random): string {
    const { running, residents } = this.cluster;
    const names = running.length === 0 ? residents : running;
    return names[random.below(names.length)] as string;
  }

  // — writers —

  private async write(client: string, random: Random): Promise<void> {
    const lines = this.lines();
    let session = '';
    for (let sequence = 1; !this.isOver; sequence++) {
      await sleep(random.below(writePauseMsMax));
      if (session === '') session = await this.openSession(lines, random);
      if (session === '') continue;
      const value = `${client}.${sequence}`;
      if (random.below(100) < impossiblePercent) await this.writeInVain(lines, value, random);
      else if (!(await this.writeNote(lines, { value, session, sequence }, random))) session = '';
    }
    lines.close();
  }

  private async openSession(lines: Lines, random: Random): Promise<string> {
    const opened = await lines.ask(this.someNode(random), { kind: 'open-session' }, attemptMs).catch(() => undefined);
    return opened?.session ?? '';
  }

  /** False when the session is of no use any more. */
  private async writeNote(
    lines: Lines,
    { value, session, sequence }: { readonly value: string; readonly session: string; readonly sequence: number },
    random: Random,
  ): Promise<boolean> {
    const text = `${value} ${'.'.repeat(random.below(noteCharactersMax))}`;
    const request = { kind: 'note', text, session, sequence } as const;
    const isHasty = random.below(100) < hastyPercent;
    const outcome = await this.append(lines, value, request, random, isHasty ? 0 : patienceMs);
    if (outcome.kind === 'unknown') return random.below(2) === 0;
    if (outcome.kind === 'acked' && random.below(100) < repeatPercent) {
      await this.append(lines, value, request, random, 0);
    }
    return true;
  }

  private async writeInVain(lines: Lines, value: string, random: Random): Promise<void> {
    const note = { kind: 'note', sequence: 1 } as const;
    const request =
      random.below(2) === 0
        ? { ...note, text: `${value} ${tooLong}`, session: '' }
        : { ...note, text: value, session: sessionOfNobody };
    await this.append(lines, value, request, random, 0);
  }

  /** Asks for the same until somebody decides or patience ends. */
  private async append(
    lines: Lines,
    value: string,
    request: Extract<LocalRequest, { readonly kind: 'note' }>,
    random: Random,
    forMs: number,
  ): Promise<AppendOutcome> {
    const invokedAt = performance.now();
    let outcome: AppendOutcome = { kind: 'refused' };
    for (;;) {
      const tried = await this.attempt(lines, request, random);
      // What may have been taken once is not refused by a later answer.
      if (tried.kind !== 'refused') outcome = tried;
      if (tried.kind === 'acked' || performance.now() - invokedAt >= forMs) break;
      await sleep(retryPauseMs);
    }
    this.note({ kind: 'append', value, invokedAt, returnedAt: performance.now(), outcome });
    return outcome;
  }

  private async attempt(
    lines: Lines,
    request: Extract<LocalRequest, { readonly kind: 'note' }>,
    random: Random,
  ): Promise<AppendOutcome> {
    try {
      const { index } = await lines.ask(this.someNode(random), request, attemptMs);
      this.known = Math.max(this.known, index);
      return { kind: 'acked', index };
    } catch (thrown) {
      return { kind: isRefusal(thrown, request.session) ? 'refused' : 'unknown' };
    }
  }

  // — tokens —

  private async makeTokens(random: Random): Promise<void> {
    const lines = this.lines();
    while (!this.isOver) {
      await sleep(tokenPauseMs);
      const request = { kind: 'create-token', roles: ['host'], ttlMs: tokenLifeMs, usesMax: 0 } as const;
      const invokedAt = performance.now();
      const made = await lines.ask(this.someNode(random), request, patienceMs).catch(() => undefined);
      // What is not answered has no name that its client would know.
      if (made === undefined) continue;
      this.tokens.push(made.token);
      const value = tokenValue(parseToken(made.token).key.publicKey);
      // Asked for anew on the way, it stands already, and then its entry is not named.
      const outcome: AppendOutcome = { kind: 'acked', ...(made.index === 0 ? {} : { index: made.index }) };
      this.note({ kind: 'append', value, invokedAt, returnedAt: performance.now(), outcome });
    }
    lines.close();
  }

  // — readers —

  private async read(isConsistent: boolean, random: Random): Promise<void> {
    const lines = this.lines();
    while (!this.isOver) {
      await sleep(random.below(readPauseMsMax));
      const node = this.someNode(random);
      const from = Math.max(1, this.known - lookBack);
      const invokedAt = performance.now();
      const request = { kind: 'log', from, most: pageEntries, consistent: isConsistent } as const;
      const page = await lines.ask(node, request, attemptMs).catch(() => undefined);
      if (page !== undefined) this.notePage({ node, isConsistent, from, most: pageEntries, invokedAt }, page);
    }
    lines.close();
  }

  private notePage(asked: AskedPage, page: LocalLog): void {
    this.known = Math.max(this.known, page.commitIndex);
    if (isAsAsked(asked, page)) this.note(readOf(asked, page, performance.now()));
    else this.plainAnswers++;
  }

  /** Follows the log from its beginning, through one node after another: each page goes on where the last one ended. */
  private async follow(random: Random): Promise<void> {
    let next = 1;
    while (!this.isOver) {
      const node = this.someNode(random);
      const ended = AbortSignal.any([this.abort.signal, AbortSignal.timeout(1_000 + random.below(10_000))]);
      let askedAt = performance.now();
      const onPage = (page: LocalLog): void => {
        const asked = { node, isConsistent: false, from: next, most: page.entries.length, invokedAt: askedAt };
        this.notePage(asked, page);
        next = (page.entries.at(-1)?.index ?? next - 1) + 1;
        askedAt = performance.now();
      };
      const client = await AgentClient.open({ socket: this.cluster.socketOf(node) }).catch(() => undefined);
      const request = { kind: 'follow-log', from: next } as const;
      await client?.follow<LocalLog>(request, ended, onPage).catch(() => {});
      client?.close();
      await sleep(retryPauseMs);
    }
  }
}

/** Who says this says that nothing of it is decided, by this try or one within: or `unknown-outcome` would be said. */
const refusals: ReadonlySet<ErrorCode> = new Set(['usage', 'busy', 'no-quorum', 'no-leader', 'not-leader']);

/** Any other failure may be that of a later try, when an earlier one went through. */
function isRefusal(thrown: unknown, session: string): boolean {
  if (thrown instanceof NotSent) return true;
  if (!(thrown instanceof HivemindError)) return false;
  return refusals.has(thrown.code) || (thrown.code === 'session-expired' && session === sessionOfNobody);
}
