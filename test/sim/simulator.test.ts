/** The simulator itself: a seed repeats, disk and network fail as they should, and what is wrong is seen. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Random, seededRandom } from '../../src/seam/random.ts';
import { ChangeWatch } from '../../src/sim/change-watch.ts';
import { InvariantViolation } from '../../src/sim/invariant-violation.ts';
import { runSeed } from '../../src/sim/seed-run.ts';
import { SimClock, simulationBeganAt } from '../../src/sim/sim-clock.ts';
import { SimCluster } from '../../src/sim/sim-cluster.ts';
import { SimDisk } from '../../src/sim/sim-disk.ts';
import { SimLog } from '../../src/sim/sim-log.ts';
import { SimNetwork } from '../../src/sim/sim-network.ts';
import { Timeline } from '../../src/sim/timeline.ts';
import { wholeCluster } from '../member/scene.ts';

const entry = (index: number, term: number) => ({ index, term, kind: 'opening' as const, payload: new Uint8Array(0) });

describe('a seed', () => {
  test('gives the same run each time, step by step', () => {
    assert.deepEqual(runSeed(7), runSeed(7));
    assert.notEqual(runSeed(7).trace, runSeed(8).trace);
  });

  test('gives the same run when everything is read after each step, and nothing changed unseen', () => {
    for (const seed of [3, 5, 8]) assert.deepEqual(runSeed(seed, { thorough: true }), runSeed(seed));
  });
});

describe('the invariants', () => {
  const cluster = new SimCluster({ seed: 1, controlNodes: 3, members: 1 });
  const [node] = cluster.control;
  assert(node !== undefined);

  test('notice a list that changed without becoming another one', () => {
    const watch = new ChangeWatch<number>(true, (items) => items.join());
    const list = [1, 2];
    assert.equal(watch.changed(node, 'list', list), true);
    list.push(3);
    assert.throws(() => watch.changed(node, 'list', list), /changed unseen, from 1,2 to 1,2,3/);
  });

  test('read a list once, unless they are thorough', () => {
    const watch = new ChangeWatch<number>(false, () => '');
    const list = [1];
    assert.deepEqual([watch.changed(node, 'list', list), watch.changed(node, 'list', list)], [true, false]);
    assert.equal(watch.changed(node, 'list', [1]), true);
  });

  test('refuse that a note is told to be where another entry stands, or nowhere', () => {
    const ask = { kind: 'note', session: new Uint8Array(8), since: 0, sequence: 1, text: new Uint8Array(1) } as const;
    for (const index of [0, 1]) {
      const told = wholeCluster({ members: 1, seed: 2 });
      told.invariants.onDecided(index, ask);
      assert.throws(() => told.run(1_000), /^InvariantViolation: (acknowledged|what is acknowledged stands where)/);
    }
  });

  test('refuse an index that nobody committed, and name node and time', () => {
    cluster.start();
    assert(cluster.runUntil(() => cluster.hasConverged(), 20_000));
    cluster.invariants.onDecided(1_000, { kind: 'transfer', to: 1 });
    assert.throws(
      () => cluster.run(1_000),
      (thrown) =>
        thrown instanceof InvariantViolation &&
        /^acknowledged entries are committed: \w+ at \d+ ms/.test(thrown.message),
    );
  });
});

describe('the disk of a simulated machine', () => {
  test('keeps what was confirmed, over any crash', () => {
    const disk = new SimDisk(seededRandom(1));
    disk.load();
    disk.begin({ hardState: { term: 3, votedFor: 2 }, entries: [entry(1, 3)] });
    disk.confirm();
    disk.crash(seededRandom(1));
    const { hardState, entries } = disk.load();
    assert.deepEqual([hardState, entries.map(({ index }) => index)], [{ term: 3, votedFor: 2 }, [1]]);
  });

  test('keeps nothing or all of a write that one record holds', () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const disk = new SimDisk(seededRandom(seed));
      disk.load();
      disk.begin({ hardState: { term: 1, votedFor: 1 }, entries: [entry(1, 1), entry(2, 1)] });
      disk.crash(seededRandom(seed));
      lengths.add(disk.load().entries.length);
    }
    assert.deepEqual([...lengths].sort(), [0, 2]);
  });

  test('has torn the last record now and then, and counts that', () => {
    const fates = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const disk = written(seededRandom(seed));
      disk.begin({ entries: [{ ...entry(2, 3), payload: seededRandom(seed).bytes(2_000) }] });
      disk.crash(seededRandom(seed), 'power');
      fates.add(`${disk.load().entries.length} entries, ${disk.tornTails} torn`);
    }
    assert.deepEqual([...fates].sort(), ['1 entries, 0 torn', '1 entries, 1 torn', '2 entries, 0 torn']);
  });

  test('keeps what the kernel was given when a process alone dies, and loses it with the power', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      for (const death of ['process', 'power'] as const) {
        const disk = new SimDisk(seededRandom(seed));
        disk.load();
        disk.begin({ hardState: { term: 1, votedFor: 1 }, entries: [entry(1, 1)] });
        // The record is there, its sync is not.
        disk.crash({ ...seededRandom(seed), below: () => 1 }, death);
        outcomes.add(`${death} ${disk.load().entries.length}`);
      }
    }
    assert.deepEqual([...outcomes].sort(), ['power 0', 'power 1', 'process 1']);
  });

  test('is damaged by a bit that turns, and says so until it is healed', () => {
    const disk = written(seededRandom(3));
    assert(disk.rot(seededRandom(5)));
    disk.crash(seededRandom(1));
    assert.notEqual(disk.load().damage, undefined);
    assert.deepEqual([disk.isRotten, disk.isDamaged, disk.hasHeld(1, 3)], [true, true, true]);
    disk.heal();
    assert.deepEqual([disk.isRotten, disk.isDamaged], [false, false]);
  });

  test('has nothing after it was exchanged, and its log is new again', () => {
    const disk = written(seededRandom(4));
    disk.crash(seededRandom(1));
    disk.wipe();
    assert.deepEqual([disk.load().isNew, disk.hasHeld(1, 3)], [true, true]);
  });
});

describe('the log of a simulated process', () => {
  /** Writes one entry while `trouble` lasts for so long, and tells what happened when. */
  function during(troubleMs: number, begin: (disk: SimDisk) => void, end: (disk: SimDisk) => void): readonly string[] {
    const timeline = new Timeline();
    const disk = written(seededRandom(2));
    const told: string[] = [];
    const say = (what: string): unknown => told.push(`${what} at ${timeline.now}`);
    let isAlive = true;
    const log = new SimLog({
      disk,
      clock: {
        wallNow: () => timeline.now,
        after(delayMs, fire) {
          let isOpen = true;
          timeline.schedule(timeline.now + delayMs, () => isOpen && isAlive && fire());
          return () => {
            isOpen = false;
          };
        },
      },
      tookMs: () => 1,
      onTrouble: (trouble) => say(trouble?.kind ?? 'fine'),
      onFailure(reason) {
        say(reason.code);
        isAlive = false;
      },
    });
    begin(disk);
    timeline.schedule(troubleMs, () => end(disk));
    log.write({ entries: [{ ...entry(2, 3), payload: new Uint8Array(4_000) }] }, () => say('written'));
    while (timeline.nextAt <= 10_000) timeline.step();
    return told;
  }

  test('says that a disk is slow that hangs, and goes on when it does', () => {
    const told = during(
      2_000,
      (disk) => {
        disk.files.syncHangs = true;
      },
      (disk) => {
        disk.files.syncHangs = false;
      },
    );
    assert.deepEqual(told, ['slow at 500', 'fine at 2001', 'written at 2001']);
  });

  test('tries again each second while the disk is full', () => {
    const told = during(
      2_500,
      (disk) => {
        disk.files.capacityBytes = disk.files.usedBytes;
      },
      (disk) => {
        disk.files.capacityBytes = Number.POSITIVE_INFINITY;
      },
    );
    assert.deepEqual(told, ['full at 1', 'fine at 3001', 'written at 3001']);
  });

  test('ends the process when a sync fails, and never says that it is written', () => {
    assert.deepEqual(
      during(
        2_000,
        (disk) => disk.files.failNextSync(),
        () => {},
      ),
      ['disk-failed at 1'],
    );
  });
});

describe('the machine of a simulated process', () => {
  test('keeps clocks that drift and jump', () => {
    const timeline = new Timeline();
    const clock = new SimClock(timeline);
    timeline.now = 1_000;
    clock.drift(1.05);
    clock.wallOffsetMs = -60_000;
    timeline.now = 3_000;
    assert.deepEqual([clock.now, clock.wallNow], [3_100, simulationBeganAt - 57_000]);
    assert.equal(clock.timelineAt(3_100), 3_000);
  });

  test('stops it, and gives it what came meanwhile in order, as far as there was room', () => {
    const cluster = new SimCluster({ seed: 1, controlNodes: 3, members: 1 });
    cluster.start();
    assert(cluster.runUntil(() => cluster.hasConverged(), 20_000));
    const [leader] = cluster.nodes.filter((node) => node === cluster.leader);
    assert(leader !== undefined);
    leader.stop();
    const term = leader.member?.pane?.engine.raft.term;
    cluster.run(6_000);
    assert.equal(leader.member?.pane?.engine.raft.term, term, 'it heard of no other leader');
    assert.notEqual(cluster.leader, undefined);
    leader.goOn();
    assert(cluster.runUntil(() => cluster.hasConverged(), 30_000));
    assert.notEqual(leader.member?.pane?.engine.raft.term, term);
  });
});

/** With one entry and a term. */
function written(random: Random): SimDisk {
  const disk = new SimDisk(random);
  disk.load();
  disk.begin({ hardState: { term: 3, votedFor: 2 }, entries: [entry(1, 3)] });
  disk.confirm();
  return disk;
}

describe('the network between simulated machines', () => {
  test('a cut one way stops datagrams that way and streams both ways', () => {
    const timeline = new Timeline();
    const network = new SimNetwork(timeline, seededRandom(1));
    const arrived: string[] = [];
    network.cutOneWay('a', 'b');
    network.datagram('a', 'b', () => arrived.push('a>b'));
    network.datagram('b', 'a', () => arrived.push('b>a'));
    network.stream(
      'b',
      'a',
      () => arrived.push('stream'),
      () => arrived.push('stream lost'),
    );
    while (timeline.nextAt < Number.POSITIVE_INFINITY) timeline.step();
    assert.deepEqual(arrived, ['b>a', 'stream lost']);
  });
});
