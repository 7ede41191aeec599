/** Where engines are tried: a lab, an owner for each of its engines, and a record of all that was asked. */
import assert from 'node:assert/strict';
import { utf8 } from '../../src/bytes.ts';
import type { LogIndex, MonotonicMs, NodeNumber } from '../../src/identity.ts';
import type { Append, AppendOutcome, Engine, Fence, ReadOutcome, TakenSnapshot } from '../../src/seam/engine.ts';
import type { Instant } from '../../src/seam/instant.ts';
import { chainHash, chainStart, type LogEntry } from '../../src/seam/log-store.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';

/** Some engines that keep one log together, and everything that may happen to them. */
export interface EngineLab {
  /** Three of them, all up to begin with, and the log empty. */
  readonly numbers: readonly NodeNumber[];
  /** Called whenever an engine says that there is more to watch. */
  onProgress: (number: NodeNumber, engine: Engine, at: Instant) => void;
  /** The one that is up; nothing when it is down. */
  engine(number: NodeNumber): Engine | undefined;
  /** Calls into an engine that is up, and carries out what follows. */
  act(number: NodeNumber, call: (engine: Engine, at: Instant) => void): void;
  /** Lets time pass, with all that happens meanwhile. */
  run(forMs: MonotonicMs): Promise<void>;
  /** Ends its process at once: what was not durable is lost, and callbacks are told nothing more. */
  crash(number: NodeNumber): Promise<void>;
  start(number: NodeNumber): Promise<void>;
  /** Nothing passes any more between this one and what it needs to agree with. */
  isolate(number: NodeNumber): void;
  /** Everything passes again. */
  heal(): void;
  /** So large a part of what is sent gets lost, 0 to 1. */
  lose(share: number): void;
  close(): Promise<void>;
}

/** Within so long a new leader is found, an open append or read is answered, and who was away has caught up. */
const patienceMs = 20_000;
const stepMs = 20;
/** Who uses one engine as the pane does: takes each entry once, in order, and its snapshots from time to time. */
export class Owner {
  index: LogIndex = 0;
  /** The texts of all commands so far, by index. */
  texts = new Map<LogIndex, string>();
  restored = 0;
  private chain: Uint8Array = chainStart;
  private fence: Fence = 0;

  follow(engine: Engine): void {
    for (;;) {
      const watched = engine.watch(this.index + 1, 7);
      if (watched.kind === 'compacted') this.restore(watched.snapshot);
      else if (watched.entries.length === 0) break;
      else for (const entry of watched.entries) this.take(entry);
    }
    if (engine.status.wantsSnapshot) engine.snapshot(this.snapshot());
  }

  private take(entry: LogEntry): void {
    assert.equal(entry.index, this.index + 1, 'entries come in order, none left out and none twice');
    assert(entry.term >= this.fence, 'fences only grow');
    this.index = entry.index;
    this.fence = entry.term;
    this.chain = chainHash(this.chain, entry);
    if (entry.kind === 'command') this.texts.set(entry.index, Buffer.from(entry.payload).toString());
  }

  private restore({ index, chain, state }: TakenSnapshot): void {
    assert(index > this.index, `a snapshot leads on: ${index} after ${this.index}`);
    this.index = index;
    this.chain = chain;
    this.texts = new Map(JSON.parse(Buffer.from(state).toString()) as [LogIndex, string][]);
    this.restored++;
  }

  private snapshot(): TakenSnapshot {
    return { index: this.index, chain: this.chain, state: utf8(JSON.stringify([...this.texts])) };
  }
}

/** One append and what was told of it. */
export interface Appended {
  readonly text: string;
  outcome?: AppendOutcome;
}

/** One read, what was told of it, and how far its owner had got then. */
export interface Read {
  outcome?: ReadOutcome;
  ownerAt?: LogIndex;
}

/** A lab with an owner for each engine, and a record of all that was asked. */
export class Stage {
  readonly lab: EngineLab;
  readonly random: Random;
  readonly appended: Appended[] = [];
  private readonly owners = new Map<NodeNumber, Owner>();

  constructor(lab: EngineLab, seed: number) {
    this.lab = lab;
    this.random = seededRandom(seed);
    lab.onProgress = (number, engine) => this.owner(number).follow(engine);
  }

  owner(number: NodeNumber): Owner {
    const owner = this.owners.get(number) ?? new Owner();
    this.owners.set(number, owner);
    return owner;
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (let passedMs = 0; !holds(); passedMs += stepMs) {
      assert(passedMs < patienceMs, `not within ${patienceMs} ms: ${what}`);
      await this.lab.run(stepMs);
    }
  }

  /** Who leads among these; the newest fence wins. */
  leaderOf(numbers: readonly NodeNumber[] = this.lab.numbers): NodeNumber | undefined {
    const fence = (number: NodeNumber): Fence => this.lab.engine(number)?.status.fence ?? 0;
    return numbers.filter((number) => fence(number) > 0).sort((a, b) => fence(b) - fence(a))[0];
  }

  async leader(numbers: readonly NodeNumber[] = this.lab.numbers): Promise<NodeNumber> {
    await this.until('somebody leads', () => this.leaderOf(numbers) !== undefined);
    return this.leaderOf(numbers) as NodeNumber;
  }

  othersThan(number: NodeNumber): readonly NodeNumber[] {
    return this.lab.numbers.filter((each) => each !== number);
  }

  /** Appends a text of its own behind what this engine takes for the end. */
  append(number: NodeNumber, changes: Partial<Append> = {}): Appended {
    const text = `text ${this.appended.length}`;
    const appended: Appended = { text };
    this.appended.push(appended);
    this.lab.act(number, (engine, at) => {
      const { fence = 0, head } = engine.status;
      engine.append(
        { fence, head, payload: utf8(text), ...changes },
        (outcome) => {
          assert.equal(appended.outcome, undefined, `${text} is answered once`);
          appended.outcome = outcome;
          const isEarly = outcome.kind !== 'committed' || this.owner(number).index < outcome.index;
          assert(isEarly, `${text} is answered before it is there to watch`);
        },
        at,
      );
    });
    return appended;
  }

  async appendNow(): Promise<LogIndex> {
    const appended = this.append(await this.leader());
    await this.until('it is answered', () => appended.outcome !== undefined);
    assert(appended.outcome?.kind === 'committed', `${appended.outcome?.kind}`);
    return appended.outcome.index;
  }

  read(number: NodeNumber): Read {
    const read: Read = {};
    this.lab.act(number, (engine, at) => {
      const then = (outcome: ReadOutcome): void => {
        assert.equal(read.outcome, undefined, 'a read is answered once');
        Object.assign(read, { outcome, ownerAt: this.owner(number).index });
      };
      engine.read(then, at);
    });
    return read;
  }

  /** The last entry of which anybody was told. */
  get acknowledged(): LogIndex {
    const indexes = this.appended.map(({ outcome }) => (outcome?.kind === 'committed' ? outcome.index : 0));
    return Math.max(0, ...indexes);
  }

  async crash(number: NodeNumber): Promise<void> {
    await this.lab.crash(number);
    this.owners.delete(number);
  }

  async startAll(): Promise<void> {
    for (const number of this.lab.numbers) if (this.lab.engine(number) === undefined) await this.lab.start(number);
  }

  /** Ends all faults, waits until everybody knows the same, and checks each append against that. */
  async settle(): Promise<ReadonlyMap<LogIndex, string>> {
    const { lab } = this;
    lab.heal();
    lab.lose(0);
    await this.startAll();
    const last = await this.appendNow();
    await this.until('everybody has it', () => lab.numbers.every((number) => this.owner(number).index >= last));
    const [first, ...others] = lab.numbers.map((number) => [...this.owner(number).texts]);
    for (const other of others) assert.deepEqual(other, first, 'all have the same log');
    const log = new Map(first);
    for (const appended of this.appended) checkFate(appended, log);
    return log;
  }
}

function checkFate({ text, outcome }: Appended, log: ReadonlyMap<LogIndex, string>): void {
  const places = [...log].filter(([, each]) => each === text).map(([index]) => index);
  if (outcome?.kind === 'committed') assert.deepEqual(places, [outcome.index], `${text} stands where it was told`);
  else if (outcome?.kind === 'refused') assert.deepEqual(places, [], `${text} was refused and is nowhere`);
  else assert(places.length <= 1, `${text} may be anywhere, once`);
}

export function checkRead({ outcome, ownerAt = 0 }: Read, acknowledged: LogIndex): void {
  assert(outcome?.kind === 'current', `a read at a leader that is in touch is served, not ${outcome?.kind}`);
  assert(outcome.index >= acknowledged, `a read misses nothing acknowledged: ${outcome.index} of ${acknowledged}`);
  assert(ownerAt >= outcome.index, `what is read is there: ${ownerAt} of ${outcome.index}`);
}
