/** After a recovery, in whole clusters: who learns of it and how, and who is told that it is out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { signRecovery } from '../../src/certificate/recovery.ts';
import { type HeardCharter, heed, planRecovery, recover } from '../../src/control/recovering.ts';
import { type Endpoint, endpointText } from '../../src/identity.ts';
import { behindPeriodMs } from '../../src/member/client/charter-reader.ts';
import { lookoutPeriodMs } from '../../src/member/client/charter-search.ts';
import type { MemberEffect } from '../../src/member/effect.ts';
import { recoveredLog, surveyLog } from '../../src/member/pane/log-recovery.ts';
import type { StoredLog } from '../../src/seam/log-store.ts';
import { epochGraceMs } from '../../src/session/sessions.ts';
import type { SimCluster } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { peekLog, replaceLog } from '../../src/store/log-replacement.ts';
import { decodeRequest } from '../../src/wire/peer-message.ts';
import { role } from '../certificate/cluster.ts';
import { membersOf, nodeOf, seenBy, wholeCluster } from './scene.ts';

const followMs = 60_000;

/** A cluster whose invariants are off: that nobody goes on without a majority is what a recovery breaks by intent. */
function scene(options: Parameters<typeof wholeCluster>[0] = {}): SimCluster {
  const cluster = wholeCluster({ members: 4, ...options });
  Object.assign(cluster.invariants, { check: () => {} });
  return cluster;
}

/** Goes on with this log on `node`; gives the number that it has. */
function recoverOn(
  cluster: SimCluster,
  node: SimNode,
  log: Pick<StoredLog, 'snapshot' | 'entries'>,
  keep: readonly string[],
  heard: HeardCharter = { amendments: [], members: new Uint8Array(0) },
): number {
  const { genesis } = cluster;
  const survey = surveyLog(genesis, log);
  heed(survey.state, heard);
  const { name, endpoint } = node;
  const keys = { signingKey: node.signingKey.publicKey, exchangeKey: node.exchangeKey.publicKey };
  const plan = planRecovery(survey.state, {
    node: { name, ...keys, endpoints: [endpoint] },
    keep,
    lastIndex: survey.lastIndex,
    lastChain: survey.chain,
    at: node.time.wall,
  });
  assert('statement' in plan, 'sentence' in plan ? plan.sentence : '');
  assert(recover(survey.state, plan, signRecovery(plan.statement, cluster.recoveryKey, node.signingKey)));
  const snapshot = recoveredLog(survey.state, survey.lastTerm);
  replaceLog(node.disk.files, '/log', { hardState: { term: snapshot.term, votedFor: 0 }, snapshot });
  return plan.statement.node.number;
}

/** Kills these and recovers on `node`, which is not started yet. */
function loseAllBut(cluster: SimCluster, node: SimNode, keep: readonly string[] = []): void {
  for (const each of cluster.control) each.crash();
  recoverOn(cluster, node, peekLog(node.disk.files, '/log'), keep);
}

/** All these run in the epoch, know a quorum, and see each other and nobody else. */
function comesTogether(cluster: SimCluster, epoch: number, ...names: readonly string[]): void {
  const wanted = [...names].sort().join();
  const isThere = (): boolean =>
    names.every((name) => {
      const node = nodeOf(cluster, name);
      const { member } = node;
      return (
        member?.epoch === epoch && member.client.pane.state === 'healthy' && [...seenBy(node)].sort().join() === wanted
      );
    });
  const found = (): string => names.map((name) => `${name}: ${seenBy(nodeOf(cluster, name)).join()}`).join('; ');
  assert(cluster.runUntil(isThere, followMs), found());
}

describe('after a recovery on one of three control nodes', () => {
  const cluster = scene();
  const [c1, c2] = cluster.control as readonly [SimNode, SimNode];
  const members = ['m1', 'm2', 'm3', 'm4'];

  test('members follow by themselves, one that was off when it starts, and nobody is held for down', () => {
    const off = nodeOf(cluster, 'm4');
    off.crash();
    loseAllBut(cluster, c1);
    cluster.run(20_000);
    c1.start([]);
    // The grace, in which packets of the epoch before are still heard, is over by then.
    cluster.run(90_000);
    off.start([]);
    comesTogether(cluster, 2, 'c1', ...members);
    const running = ['c1', 'm1', 'm2', 'm3'].map((name) => nodeOf(cluster, name).number);
    for (const { name, events } of membersOf(cluster)) {
      assert(!events.some((event) => event.kind === 'down' && running.includes(event.number)), name);
    }
  });

  test('the log goes on, and admits', () => {
    const late = cluster.add({ name: 'late', roles: nodeOf(cluster, 'm1').roles });
    cluster.start([late]);
    comesTogether(cluster, 2, 'c1', 'late', ...members);
    assert(late.number > 65_536);
    assert((c1.member?.pane?.engine.raft.commitIndex ?? 0) > 10_000_000_000);
  });

  test('a given-up control node that is started again is told so, and ends', () => {
    c2.start([]);
    assert(cluster.runUntil(() => !c2.running, followMs));
    assert(c1.running);
  });

  test('and once it has heard that, it does not start again', () => {
    c2.start([]);
    assert.equal(c2.failure?.code, 'refused');
    comesTogether(cluster, 2, 'c1', 'late', ...members);
  });
});

test('given-up control nodes are told so as well when they are a majority together, and miss nobody', () => {
  const cluster = scene();
  const [c1, c2, c3] = cluster.control as readonly [SimNode, SimNode, SimNode];
  const members = ['m1', 'm2', 'm3', 'm4'];
  loseAllBut(cluster, c1);
  c1.start([]);
  comesTogether(cluster, 2, 'c1', ...members);
  cluster.run(epochGraceMs);
  for (const node of [c2, c3]) node.start([]);
  cluster.run(4_000);
  assert(c2.member?.pane?.leads === true || c3.member?.pane?.leads === true, 'they lead each other at first');
  assert(cluster.runUntil(() => !c2.running && !c3.running, 10 * lookoutPeriodMs));
  comesTogether(cluster, 2, 'c1', ...members);
});

/** Asked for by any member. */
function openEpoch(cluster: SimCluster, by: SimNode): void {
  let isOpen = false;
  cluster.ask(by, { kind: 'amend', change: { kind: 'epoch' } }, ({ ok }) => {
    isOpen = ok;
  });
  assert(
    cluster.runUntil(() => isOpen, 10_000),
    `${by.name} opens an epoch`,
  );
}

test('a given-up control node is told so when another epoch was opened meanwhile, and does not start again', () => {
  const cluster = scene();
  const [c1, c2] = cluster.control as readonly [SimNode, SimNode];
  loseAllBut(cluster, c1);
  c1.start([]);
  comesTogether(cluster, 2, 'c1', 'm1', 'm2', 'm3', 'm4');
  openEpoch(cluster, nodeOf(cluster, 'm1'));
  cluster.run(2 * epochGraceMs);
  c2.start([]);
  assert(cluster.runUntil(() => !c2.running, 10 * lookoutPeriodMs));
  c2.start([]);
  assert.equal(c2.failure?.code, 'refused');
});

test('a control node that was kept follows with its old data, and can be promoted', () => {
  const cluster = scene();
  const [c1, c2] = cluster.control as readonly [SimNode, SimNode];
  loseAllBut(cluster, c1, ['c2']);
  c1.start([]);
  c2.start([]);
  comesTogether(cluster, 2, 'c1', 'c2', 'm1', 'm2', 'm3', 'm4');
  const isThere = (): boolean => c2.member?.pane?.state.epoch === 2;
  assert(cluster.runUntil(isThere, followMs), 'it has the new log');
  let isDone = false;
  const change = { kind: 'control-set', numbers: [1, 2], base: 1 } as const;
  assert(
    cluster.runUntil(() => {
      if (!isDone) cluster.ask(nodeOf(cluster, 'm1'), { kind: 'amend', change }, ({ ok }) => (isDone ||= ok));
      return c2.member?.directory.controlNumbers().join() === '1,2';
    }, followMs),
  );
  c1.crash();
  cluster.run(5_000);
  assert(c2.member?.pane?.leads !== true, 'one of two decides nothing');
});

describe('a node that was restored from a saved snapshot', () => {
  /** All control nodes are gone, their disks too. */
  function restored(endpointOf?: (cluster: SimCluster) => Endpoint): {
    readonly cluster: SimCluster;
    readonly node: SimNode;
  } {
    const cluster = scene();
    const log = peekLog(cluster.control[0]?.disk.files as never, '/log');
    for (const each of cluster.control) each.crash();
    const endpoint = endpointOf?.(cluster);
    const node = cluster.add({ name: 'c9', roles: [role('control')], ...(endpoint === undefined ? {} : { endpoint }) });
    const number = recoverOn(cluster, node, log, []);
    node.belong({ genesis: cluster.genesis, number });
    node.start([]);
    return { cluster, node };
  }

  test('is found where a control node was', () => {
    const { cluster } = restored(({ control }) => (control[1] as SimNode).endpoint);
    comesTogether(cluster, 2, 'c9', 'm1', 'm2', 'm3', 'm4');
  });

  test('finds the members itself when it is elsewhere', () => {
    const { cluster, node } = restored();
    comesTogether(cluster, 2, 'c9', 'm1', 'm2', 'm3', 'm4');
    node.crash();
    cluster.run(1_000);
    node.start([]);
    comesTogether(cluster, 2, 'c9', 'm1', 'm2', 'm3', 'm4');
  });
});

describe('a snapshot from before an epoch', () => {
  /** Restored where c1 was, with what some member knows of the charter or without. */
  function restored(isHeard: boolean): SimCluster {
    const cluster = scene();
    const [c1] = cluster.control as readonly [SimNode];
    const log = peekLog(c1.disk.files, '/log');
    openEpoch(cluster, c1);
    cluster.run(2 * epochGraceMs);
    for (const each of cluster.control) each.crash();
    const heard = nodeOf(cluster, 'm2').member?.directory.charterPage(0);
    const node = cluster.add({ name: 'c9', roles: [role('control')], endpoint: c1.endpoint });
    const number = recoverOn(cluster, node, log, [], isHeard ? heard : undefined);
    node.belong({ genesis: cluster.genesis, number });
    node.start([]);
    return cluster;
  }

  test('is followed when it was restored with what a member heard since', () => {
    comesTogether(restored(true), 3, 'c9', 'm1', 'm2', 'm3', 'm4');
  });

  test('parts from all who know the epoch without that, and they say so', () => {
    const cluster = restored(false);
    const members = ['m1', 'm2', 'm3', 'm4'].map((name) => nodeOf(cluster, name));
    const areTold = (): boolean =>
      members.every(({ events }) => events.some((event) => event.kind === 'charter-forked'));
    assert(cluster.runUntil(areTold, followMs));
  });
});

describe('a snapshot that is restored a second time, with what a member heard since', () => {
  const names = ['m1', 'm2', 'm3', 'm4'];

  /** The second restored node was `named` so; `late` joined while the first one went on. */
  function restoredTwice(late: readonly string[], named = 'c9'): { cluster: SimCluster; second: SimNode } {
    const cluster = scene();
    const [c1] = cluster.control as readonly [SimNode];
    const log = peekLog(c1.disk.files, '/log');
    for (const each of cluster.control) each.crash();
    const restore = (name: string, heard?: HeardCharter): SimNode => {
      const node = cluster.add({ name, roles: [role('control')], endpoint: c1.endpoint });
      node.belong({ genesis: cluster.genesis, number: recoverOn(cluster, node, log, [], heard) });
      node.start([]);
      return node;
    };
    const first = restore('c8');
    comesTogether(cluster, 2, 'c8', ...names);
    for (const name of late) cluster.start([cluster.add({ name, roles: nodeOf(cluster, 'm1').roles })]);
    comesTogether(cluster, 2, 'c8', ...names, ...late);
    cluster.run(2 * epochGraceMs);
    first.crash();
    const heard = nodeOf(cluster, 'm2').member?.directory.charterPage(0);
    return { cluster, second: restore(named, heard) };
  }

  test('is followed by all whom it knows, at a number and an index of its own', () => {
    const { cluster, second } = restoredTwice([]);
    comesTogether(cluster, 3, 'c9', ...names);
    assert(second.number > nodeOf(cluster, 'c8').number + 65_000);
    assert((second.member?.pane?.state.appliedIndex ?? 0) > 20_000_000_000);
    assert.deepEqual([...(second.member?.pane?.state.members.values() ?? [])].map(({ name }) => name).sort(), [
      'c9',
      ...names,
    ]);
  });

  test('knows nobody who was admitted in between, and they are told', () => {
    const { cluster } = restoredTwice(['late', 'later']);
    comesTogether(cluster, 3, 'c9', ...names);
    const isTold = (name: string): boolean => {
      return nodeOf(cluster, name).events.some(({ kind }) => kind === 'removed-me');
    };
    assert(cluster.runUntil(() => isTold('late') && isTold('later'), followMs));
  });
});

/** Recovers on c1, whom all members follow, and on c2, which is not started yet. */
function recoveredApart(options?: Parameters<typeof wholeCluster>[0]): {
  readonly cluster: SimCluster;
  readonly c1: SimNode;
  readonly c2: SimNode;
} {
  const cluster = scene(options);
  const [c1, c2] = cluster.control as readonly [SimNode, SimNode];
  for (const each of cluster.control) each.crash();
  for (const node of [c1, c2]) recoverOn(cluster, node, peekLog(node.disk.files, '/log'), []);
  c1.start([]);
  comesTogether(cluster, 2, 'c1', 'm1', 'm2', 'm3', 'm4');
  return { cluster, c1, c2 };
}

/** While all others are off: they come back then. */
function opensEpochAlone(cluster: SimCluster, c2: SimNode): void {
  const part = ['c1', 'm1', 'm2', 'm3', 'm4'].map((name) => nodeOf(cluster, name));
  for (const node of part) node.crash();
  c2.start([]);
  cluster.run(5_000);
  openEpoch(cluster, c2);
  for (const node of part) node.start([]);
}

test('two parts that were recovered apart see that they are, and go on apart', () => {
  const { cluster, c1, c2 } = recoveredApart();
  c2.start([]);
  const isSeen = (node: SimNode): boolean => node.events.some((event) => event.kind === 'charter-forked');
  assert(
    cluster.runUntil(() => isSeen(c2), 10 * lookoutPeriodMs),
    'c2 finds members of another charter',
  );
  assert.deepEqual(c1.member?.directory.controlNumbers(), [1]);
  assert.deepEqual(c2.member?.directory.controlNumbers(), [2]);
});

describe('two parts of which one has amended its charter since', () => {
  /** c2 goes on alone, and knows of one amendment more than all others, who come back then. */
  function longerAlone(options?: Parameters<typeof wholeCluster>[0]): {
    readonly cluster: SimCluster;
    readonly c2: SimNode;
  } {
    const { cluster, c2 } = recoveredApart(options);
    opensEpochAlone(cluster, c2);
    return { cluster, c2 };
  }
  const isSeen = (node: SimNode): boolean => node.events.some((event) => event.kind === 'charter-forked');

  test('see that they are apart, also the one whose charter is longer', () => {
    const { cluster, c2 } = longerAlone();
    assert(
      cluster.runUntil(() => isSeen(c2), 10 * lookoutPeriodMs),
      'c2 finds members of another charter',
    );
  });

  test('ask nobody again and again for the whole of it', () => {
    const asked: { readonly place: string; readonly length: number }[] = [];
    const onStep = (node: SimNode, effects: readonly MemberEffect[]): void => {
      if (node.name !== 'c2') return;
      for (const effect of effects) {
        const request = effect.kind === 'request' ? decodeRequest(effect.body) : undefined;
        if (effect.kind !== 'request' || request?.kind !== 'charter') continue;
        asked.push({ place: endpointText(effect.to.endpoints[0] as Endpoint), length: request.length });
      }
    };
    const { cluster } = longerAlone({ onStep });
    asked.length = 0;
    cluster.run(behindPeriodMs - lookoutPeriodMs);
    const whole = asked.filter(({ length }) => length === 0).map(({ place }) => place);
    assert(whole.length >= 1 && asked.length >= 3 * whole.length, `${whole.length} of ${asked.length}`);
    assert.equal(new Set(whole).size, whole.length, whole.join());
  });
});

test('that is seen, too, when both have changed their charters since', () => {
  const { cluster, c1, c2 } = recoveredApart();
  openEpoch(cluster, c1);
  opensEpochAlone(cluster, c2);
  const isSeen = (): boolean => c2.events.some((event) => event.kind === 'charter-forked');
  assert(cluster.runUntil(isSeen, 10 * lookoutPeriodMs), 'c2 finds members of another charter');
});
