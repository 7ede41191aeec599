/** The simulator itself: a seed repeats, disk and network fail as they should, and what is wrong is seen. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../src/seam/random.ts';
import { ChangeWatch } from '../../src/sim/change-watch.ts';
import { InvariantViolation } from '../../src/sim/invariant-violation.ts';
import { runSeed } from '../../src/sim/seed-run.ts';
import { SimCluster } from '../../src/sim/sim-cluster.ts';
import { SimDisk } from '../../src/sim/sim-disk.ts';
import { SimNetwork } from '../../src/sim/sim-network.ts';
import { Timeline } from '../../src/sim/timeline.ts';

const entry = (index: number, term: number) => ({ index, term, kind: 'opening' as const, payload: new Uint8Array(0) });

describe('a seed', () => {
  test('gives the same run each time', () => {
    assert.deepEqual(runSeed(7), runSeed(7));
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

  test('refuse an index that nobody committed, and name node and time', () => {
    cluster.start();
    assert(cluster.runUntil(() => cluster.hasConverged(), 20_000));
    cluster.invariants.onDecided(1_000);
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
});

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
