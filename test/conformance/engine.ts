/** What every engine must do that keeps the pane's log. Call it from a test file of each implementation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, NodeNumber } from '../../src/identity.ts';
import type { Engine } from '../../src/seam/engine.ts';
import { type Appended, checkRead, type EngineLab, type Owner, type Read, Stage } from './engine-stage.ts';

/** More than an engine of a lab keeps between two snapshots. */
const manyEntries = 120;
/** More than an engine may have open. */
const floodMax = 100_000;

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
