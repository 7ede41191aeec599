/** Notes on whole simulated clusters: whatever is sent again, each comes into the log once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex, utf8 } from '../../../src/bytes.ts';
import { turnsKept } from '../../../src/control/client-sessions.ts';
import type { Note } from '../../../src/control/command.ts';
import { noteBytesMax } from '../../../src/control/command.ts';
import type { LogIndex } from '../../../src/identity.ts';
import type { NoteAsk } from '../../../src/member/pane/notes.ts';
import { decidedReply } from '../../../src/member/pane/pane-reply.ts';
import type { SimCluster } from '../../../src/sim/sim-cluster.ts';
import { calmLink } from '../../../src/sim/sim-network.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { decodeCommand } from '../../../src/wire/command.ts';
import { becomesWhole, nodeOf, wholeCluster } from '../scene.ts';

interface Kept {
  readonly index: LogIndex;
  readonly note: Note;
}

/** The notes in this control node's log. */
function notesOf(node: SimNode): readonly Kept[] {
  return (node.member?.pane?.log.committed(1, 1_000_000) ?? []).flatMap(({ index, kind, payload }) => {
    const note = kind === 'command' ? decodeCommand(payload) : undefined;
    return note?.kind === 'note' ? [{ index, note }] : [];
  });
}

const session = utf8('session1');

function ask(sequence: number, text: Uint8Array = utf8(`note ${sequence}`)): NoteAsk {
  return { kind: 'note', session, since: 0, sequence, text };
}

function leaderOf(cluster: SimCluster): SimNode {
  assert(cluster.runUntil(() => cluster.control.some((node) => node.member?.pane?.leads), 10_000));
  return cluster.control.find((node) => node.member?.pane?.leads) as SimNode;
}

/** Sends the note by way of any node, and again until an answer tells its entry; a node that dies gives none. */
function send(cluster: SimCluster, note: NoteAsk, told: Set<LogIndex>, nodes = cluster.nodes): void {
  const { random, timeline } = cluster;
  const again = (waitMs: number): void =>
    timeline.schedule(timeline.now + waitMs, () => told.size === 0 && send(cluster, note, told, nodes));
  cluster.ask(nodes[random.below(nodes.length)] as SimNode, note, (outcome) => {
    if (outcome.ok) told.add(outcome.value);
    else again(200);
  });
  again(5_000);
}

describe('a note', () => {
  test('comes into the log by way of any node, with who passed it on, and is told with its index', () => {
    const cluster = wholeCluster();
    const told: LogIndex[] = [];
    const names = ['m1', 'c1', 'c2', 'c3'];
    names.forEach((name, at) => {
      cluster.ask(nodeOf(cluster, name), ask(at + 1), (outcome) => outcome.ok && told.push(outcome.value));
      cluster.run(2_000);
    });
    const notes = notesOf(leaderOf(cluster));
    assert.deepEqual(
      notes.map(({ note }) => [note.by, note.sequence, Buffer.from(note.text).toString()]),
      names.map((name, at) => [nodeOf(cluster, name).number, at + 1, `note ${at + 1}`]),
    );
    assert.deepEqual(
      told,
      notes.map(({ index }) => index),
    );
  });

  test('is appended once, however many ask for the same at the same time', () => {
    const cluster = wholeCluster();
    const told: LogIndex[] = [];
    for (const node of cluster.nodes) {
      cluster.ask(node, ask(1), (outcome) => outcome.ok && told.push(outcome.value));
    }
    cluster.run(3_000);
    cluster.ask(
      nodeOf(cluster, 'm2'),
      ask(1, utf8('another text')),
      (outcome) => outcome.ok && told.push(outcome.value),
    );
    cluster.run(3_000);
    const [only, ...more] = notesOf(leaderOf(cluster));
    assert.deepEqual([only?.note.sequence, more.length], [1, 0]);
    assert.deepEqual(told, Array(cluster.nodes.length + 1).fill(only?.index));
  });

  test('that is too long, or of a session that may be forgotten, is refused and not appended', () => {
    const cluster = wholeCluster();
    const refused: string[] = [];
    const hear = (outcome: { ok: boolean; error?: { code: string } }): void => {
      if (!outcome.ok) refused.push(outcome.error?.code ?? '');
    };
    const leader = leaderOf(cluster);
    cluster.ask(leader, ask(1, new Uint8Array(noteBytesMax + 1)), hear);
    cluster.ask(leader, { ...ask(1), since: 1_000_000 }, hear);
    cluster.run(1_000);
    assert.deepEqual(refused, ['usage', 'session-expired']);
    assert.equal(notesOf(leader).length, 0);
  });

  test('that an earlier leader appended is not appended again by the next one, whatever its fate', () => {
    const cluster = wholeCluster();
    const leader = leaderOf(cluster);
    const others = cluster.control.filter((node) => node !== leader);
    const lastAt = (node: SimNode): number => node.member?.pane?.engine.raft.lastIndex ?? 0;
    const before = lastAt(leader);
    cluster.ask(leader, ask(1));
    while (others.some((node) => lastAt(node) === before)) cluster.run(1);
    leader.crash();
    const isNext = (node: SimNode): boolean => node.member?.pane?.leads === true && !node.member.pane.log.isCaughtUp;
    while (!others.some(isNext)) cluster.run(1);
    const next = others.find(isNext) as SimNode;
    assert.equal(notesOf(next).length, 0, 'it is not committed, as far as the next leader knows');
    const told = new Set<LogIndex>();
    send(cluster, ask(1), told, [next]);
    assert(cluster.runUntil(() => told.size > 0, 10_000));
    cluster.run(2_000);
    assert.deepEqual(
      notesOf(next).map(({ index }) => index),
      [...told],
    );
  });

  test('that was applied before is told with the entry that did it', () => {
    const verdict = { ok: true, index: 9, applied: { kind: 'repeated', index: 4 } } as const;
    assert.deepEqual(decidedReply(verdict), { ok: true, value: 4 });
  });

  test('long ones make shorter pages, never one beyond a frame', () => {
    const cluster = wholeCluster();
    const leader = leaderOf(cluster);
    for (let sequence = 1; sequence <= 600; sequence++) {
      cluster.ask(leader, { ...ask(sequence), text: new Uint8Array(noteBytesMax) });
      if (sequence % 50 === 0) cluster.run(500);
    }
    cluster.run(3_000);
    const page = leader.member?.pane?.log.page(1, 1_000);
    const bytes = page?.entries.reduce((sum, { payload }) => sum + payload.length, 0) ?? 0;
    assert(bytes > 1_000_000 && bytes <= 1_048_576, `${bytes} bytes`);
    assert((page?.commitIndex ?? 0) > 600);
    assert.equal(page?.first, 1);
  });
});

describe('notes through faults', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    test(`are in the log once each, at the index that was told, seed ${seed}`, () => {
      const cluster = wholeCluster({ seed });
      const told = new Map<number, Set<LogIndex>>();
      const notes = 120;
      cluster.network.faults = { loss: 0.1, duplication: 0.1, delayMs: 1, jitterMs: 30 };
      for (let sequence = 1; sequence <= notes; sequence++) {
        const indexes = new Set<LogIndex>();
        told.set(sequence, indexes);
        // Up to a handful are under way at a time, each of them twice.
        for (const _copy of [1, 2]) send(cluster, ask(sequence), indexes);
        cluster.run(cluster.random.below(300));
        // One that lags 64 behind its session's newest would be refused, and nobody could tell whether it was taken.
        const isOldTold = (): boolean =>
          [...told].every(([each, { size }]) => size > 0 || each > sequence - turnsKept / 2);
        assert(cluster.runUntil(isOldTold, 60_000), `note ${sequence} overtook one that got no answer`);
        if (sequence % 15 === 0) disturb(cluster);
      }
      cluster.network.faults = calmLink;
      cluster.network.heal();
      cluster.start();
      becomesWhole(cluster, 60_000);
      assert(cluster.runUntil(() => [...told.values()].every(({ size }) => size > 0), 60_000));
      cluster.run(5_000);
      const kept = notesOf(leaderOf(cluster));
      assert.equal(kept.length, notes, 'each once');
      for (const { index, note } of kept) {
        assert.equal(toHex(note.session), toHex(session));
        assert.deepEqual([...(told.get(note.sequence) ?? [])], [index]);
      }
    });
  }
});

/** The leader dies or is cut off; who was gone before is back. */
function disturb(cluster: SimCluster): void {
  cluster.network.heal();
  cluster.start();
  const leader = leaderOf(cluster);
  if (cluster.random.below(2) === 0) leader.crash();
  else
    cluster.network.partition(
      [leader.name],
      cluster.control.filter((node) => node !== leader).map((node) => node.name),
    );
}
