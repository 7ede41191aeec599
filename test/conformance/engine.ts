/** What every engine must do that keeps the pane's log. Call it from a test file of each implementation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
/** More than an engine of a lab keeps between two snapshots. */
const manyEntries = 120;
/** More than an engine may have open. */
const floodMax = 100_000;

/** Who uses one engine as the pane does: takes each entry once, in order, and its snapshots from time to time. */
class Owner {
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
interface Appended {
  readonly text: string;
  outcome?: AppendOutcome;
}

/** One read, what was told of it, and how far its owner had got then. */
interface Read {
  outcome?: ReadOutcome;
  ownerAt?: LogIndex;
}

/** A lab with an owner for each engine, and a record of all that was asked. */
class Stage {
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

function checkRead({ outcome, ownerAt = 0 }: Read, acknowledged: LogIndex): void {
  assert(outcome?.kind === 'current', `a read at a leader that is in touch is served, not ${outcome?.kind}`);
  assert(outcome.index >= acknowledged, `a read misses nothing acknowledged: ${outcome.index} of ${acknowledged}`);
  assert(ownerAt >= outcome.index, `what is read is there: ${ownerAt} of ${outcome.index}`);
}

export function engineConformance(name: string, open: (seed: number) => Promise<EngineLab>): void {
  const onStage =
    (play: (stage: Stage) => Promise<void>, seed = 1): (() => Promise<void>) =>
    async () => {
      const lab = await open(seed);
      try {
        await play(new Stage(lab, seed));
      } finally {
        await lab.close();
      }
    };

  describe(`${name} is an engine: it`, () => {
    leads(onStage);
    appends(onStage);
    watches(onStage);
    reads(onStage);
    for (const seed of [1, 2, 3, 4, 5, 6]) it(`keeps its word in a storm, seed ${seed}`, onStage(storm, seed));
  });
}

type OnStage = (play: (stage: Stage) => Promise<void>, seed?: number) => () => Promise<void>;

function leads(onStage: OnStage): void {
  it(
    'has one leader, whom all name, and a greater fence with each lead',
    onStage(async (stage) => {
      const first = await stage.leader();
      const fence = stage.lab.engine(first)?.status.fence ?? 0;
      await stage.until('all name it', () =>
        stage.lab.numbers.every((number) => stage.lab.engine(number)?.status.leader === first),
      );
      await stage.crash(first);
      const second = await stage.leader();
      assert((stage.lab.engine(second)?.status.fence ?? 0) > fence, 'the next lead has a greater fence');
      await stage.settle();
    }),
  );

  it(
    'gives up the lead when no majority follows, and says so',
    onStage(async (stage) => {
      const deposed = await stage.leader();
      stage.lab.isolate(deposed);
      const status = (): Engine['status'] | undefined => stage.lab.engine(deposed)?.status;
      await stage.until('it leads no more', () => status()?.fence === undefined);
      let now = 0;
      stage.lab.act(deposed, (_, at) => {
        now = at.now;
      });
      assert.equal(status()?.hasQuorum(now), false);
      await stage.settle();
    }),
  );
}

function appends(onStage: OnStage): void {
  it(
    'appends one at most behind each end of the log',
    onStage(async (stage) => {
      const leader = await stage.leader();
      await stage.appendNow();
      const head = stage.lab.engine(leader)?.status.head ?? 0;
      const rivals = [1, 2, 3].map(() => stage.append(leader, { head }));
      const early = stage.append(leader, { head: head + 5 });
      await stage.until('all are answered', () => [...rivals, early].every(({ outcome }) => outcome !== undefined));
      assert.deepEqual(
        rivals.map(({ outcome }) => outcome?.kind),
        ['committed', 'refused', 'refused'],
      );
      assert.deepEqual(early.outcome, { kind: 'refused', why: 'conflict' });
      await stage.settle();
    }),
  );

  it(
    'refuses whoever does not lead, and a fence of an earlier lead at whoever leads now',
    onStage(async (stage) => {
      const deposed = await stage.leader();
      const fence = stage.lab.engine(deposed)?.status.fence ?? 0;
      const outsider = stage.append(stage.othersThan(deposed)[0] as NodeNumber, { fence });
      stage.lab.isolate(deposed);
      const leader = await stage.leader(stage.othersThan(deposed));
      const late = stage.append(leader, { fence });
      await stage.until('both are answered', () => late.outcome !== undefined && outsider.outcome !== undefined);
      assert.deepEqual(outsider.outcome, { kind: 'refused', why: 'not-leader' });
      assert.deepEqual(late.outcome, { kind: 'refused', why: 'not-leader' });
      await stage.settle();
    }),
  );

  it(
    'says that it does not know what becomes of an append whose leader is cut off, and has it once or never',
    onStage(async (stage) => {
      let unknown: Appended[] = [];
      for (let round = 0; round < 12; round++) {
        const leader = await stage.leader();
        await stage.appendNow();
        const open = stage.append(leader);
        // From at once, so that nobody hears of it, to late enough for others to have it.
        await stage.lab.run(round);
        stage.lab.isolate(leader);
        await stage.until('it is answered', () => open.outcome !== undefined);
        if (open.outcome?.kind === 'unknown') unknown.push(open);
        await stage.leader(stage.othersThan(leader));
        stage.lab.heal();
      }
      const texts = new Set((await stage.settle()).values());
      const turnedUp = unknown.filter(({ text }) => texts.has(text));
      unknown = unknown.filter(({ text }) => !texts.has(text));
      assert(turnedUp.length > 0 && unknown.length > 0, `${turnedUp.length} turned up, ${unknown.length} did not`);
    }),
  );

  it(
    'answers no append without a majority',
    onStage(async (stage) => {
      const leader = await stage.leader();
      for (const number of stage.othersThan(leader)) await stage.crash(number);
      const alone = stage.append(leader);
      await stage.until('it is given up', () => alone.outcome !== undefined);
      assert.equal(alone.outcome?.kind, 'unknown');
      const next = stage.append(leader);
      await stage.until('it is refused', () => next.outcome !== undefined);
      assert.deepEqual(next.outcome, { kind: 'refused', why: 'not-leader' });
      await stage.settle();
    }),
  );

  it(
    'is busy when too much is open, and writes nothing of what it refuses so',
    onStage(async (stage) => {
      const leader = await stage.leader();
      const isRefused = ({ outcome }: Appended): boolean => outcome?.kind === 'refused';
      let refused: Appended | undefined;
      for (let count = 0; refused === undefined && count < floodMax; count++) {
        const each = stage.append(leader);
        if (isRefused(each)) refused = each;
      }
      assert.deepEqual(refused?.outcome, { kind: 'refused', why: 'busy' });
      await stage.until('the others are answered', () => stage.appended.every(({ outcome }) => outcome !== undefined));
      assert.equal(stage.appended.filter(isRefused).length, 1);
      await stage.settle();
    }),
  );

  it(
    'keeps all that it acknowledged when all are killed at once',
    onStage(async (stage) => {
      for (let round = 0; round < 30; round++) {
        const leader = await stage.leader();
        for (let count = 0; count < 10; count++) {
          stage.append(leader);
          await stage.lab.run(stage.random.below(4));
        }
        for (const number of stage.lab.numbers) await stage.crash(number);
        await stage.startAll();
      }
      await stage.settle();
    }),
  );
}

function watches(onStage: OnStage): void {
  it(
    'gives the log from any index on that it keeps, and says of earlier ones that they are compacted',
    onStage(async (stage) => {
      for (let count = 0; count < manyEntries; count++) await stage.appendNow();
      const log = await stage.settle();
      const last = Math.max(...log.keys());
      for (const number of stage.lab.numbers) {
        const engine = stage.lab.engine(number) as Engine;
        const { index: first } = engine.status.keptFrom;
        assert(first > 1 && first < last, `${number} keeps from ${first} on`);
        for (let from = 1; from <= last + 1; from++) {
          const watched = engine.watch(from, 3);
          assert.equal(watched.kind, from < first ? 'compacted' : 'entries');
          if (watched.kind === 'compacted') assert(watched.snapshot.index >= first - 1, 'no gap');
          else
            assert.deepEqual(
              watched.entries.map(({ index }) => index),
              indexesFrom(from, 3, stage.owner(number)),
            );
        }
      }
    }),
  );

  it(
    'brings who was away for long up to date by a snapshot, and on from there',
    onStage(async (stage) => {
      const [away] = stage.othersThan(await stage.leader()) as [NodeNumber];
      await stage.appendNow();
      stage.lab.isolate(away);
      for (let count = 0; count < manyEntries; count++) await stage.appendNow();
      await stage.settle();
      assert(stage.owner(away).restored > 0, 'it got a snapshot');
    }),
  );

  it(
    'shows nobody what is not committed',
    onStage(async (stage) => {
      const leader = await stage.leader();
      const before = await stage.appendNow();
      for (const number of stage.othersThan(leader)) await stage.crash(number);
      const alone = stage.append(leader);
      await stage.until('it is given up', () => alone.outcome !== undefined);
      const watched = stage.lab.engine(leader)?.watch(before, 10);
      assert.deepEqual(watched?.kind === 'entries' && watched.entries.map(({ index }) => index), [before]);
      await stage.settle();
    }),
  );
}

function indexesFrom(from: LogIndex, most: number, { index: last }: Owner): readonly LogIndex[] {
  return Array.from({ length: Math.max(0, Math.min(most, last - from + 1)) }, (_, at) => from + at);
}

function reads(onStage: OnStage): void {
  it(
    'reads all that was acknowledged before, as soon as it is there to watch',
    onStage(async (stage) => {
      for (let round = 0; round < 10; round++) {
        const acknowledged = await stage.appendNow();
        const read = stage.read(await stage.leader());
        await stage.until('it is answered', () => read.outcome !== undefined);
        checkRead(read, acknowledged);
      }
    }),
  );

  it(
    'never reads at a leader that was replaced, whatever it believes of itself',
    onStage(async (stage) => {
      const deposed = await stage.leader();
      await stage.appendNow();
      stage.lab.isolate(deposed);
      const early = stage.read(deposed);
      const leader = await stage.leader(stage.othersThan(deposed));
      const next = stage.append(leader);
      await stage.until('it is committed', () => next.outcome?.kind === 'committed');
      const late = stage.read(deposed);
      await stage.until('both are answered', () => early.outcome !== undefined && late.outcome !== undefined);
      assert.deepEqual(
        [early.outcome, late.outcome],
        [
          { kind: 'refused', why: 'not-leader' },
          { kind: 'refused', why: 'not-leader' },
        ],
      );
    }),
  );

  it(
    'does not read before it knows what earlier leaders had committed',
    onStage(async (stage) => {
      for (let round = 0; round < 4; round++) {
        const acknowledged = await stage.appendNow();
        await stage.crash(await stage.leader());
        const read = stage.read(await stage.leader());
        await stage.until('it is answered', () => read.outcome !== undefined);
        if (read.outcome?.kind === 'current') checkRead(read, acknowledged);
        await stage.startAll();
      }
    }),
  );
}

/** Appends and reads everywhere while engines are killed and cut off; each read knows what was acknowledged. */
async function storm(stage: Stage): Promise<void> {
  const { lab, random } = stage;
  const any = (): NodeNumber => lab.numbers[random.below(lab.numbers.length)] as NodeNumber;
  const open: { readonly floor: LogIndex; readonly read: Read }[] = [];
  lab.lose(0.1);
  for (let step = 0; step < 400; step++) {
    const number = any();
    const dice = random.below(100);
    const isUp = lab.engine(number) !== undefined;
    if (dice < 3 && isUp) await stage.crash(number);
    else if (dice < 8) await stage.startAll();
    else if (dice < 10) lab.isolate(number);
    else if (dice < 16) lab.heal();
    else if (dice < 60 && isUp) stage.append(number);
    else if (isUp) open.push({ floor: stage.acknowledged, read: stage.read(number) });
    await lab.run(random.below(60));
  }
  await stage.settle();
  const served = open.filter(({ read }) => read.outcome?.kind === 'current');
  for (const { floor, read } of served) checkRead(read, floor);
  assert(served.length > 0 && stage.acknowledged > 0, 'reads were served, and appends committed');
}
