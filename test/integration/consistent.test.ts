/** Consistent reads on real processes: a leader that stood still while it was replaced never answers from its past. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LocalDecided, LocalLog, LocalMembers, LocalNode } from '../../src/node/local-api.ts';
import { Cluster } from './cluster.ts';
import { assertSentence } from './processes.ts';

const rounds = 3;
const electionMs = 15_000;
/** A read is refused within 6 s; the rest is for starting a process on a busy machine. */
const refusalMs = 20_000;

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.found(3);
  const { token } = cluster.founded;
  await cluster.join({ name: 'atlas', through: 'c1', token, role: 'host' });
});
after(() => cluster.close());

async function leaderOtherThan(stopped: string): Promise<string> {
  const others = ['c1', 'c2', 'c3'].filter((name) => name !== stopped);
  return await cluster.until(
    `${stopped} is replaced`,
    async () => {
      const leaders = await Promise.all(others.map(async (name) => (await cluster.ask(name, { kind: 'status' })).pane));
      const [leader] = leaders.map((pane) => pane.leader);
      return leader !== undefined && leader !== stopped && leaders.every((pane) => pane.leader === leader) && leader;
    },
    electionMs,
  );
}

async function note(through: string, text: string): Promise<number> {
  return await cluster.until(`${through} takes the note`, async () => {
    const { index } = await cluster.ask(through, { kind: 'note', text, session: '', sequence: 1 });
    return index;
  });
}

describe('a leader that is stopped, replaced and resumed', () => {
  test('shows all that was decided meanwhile, in every consistent read that it answers (CS-16)', async (t) => {
    for (let round = 0; round < rounds; round++) {
      const stopped = await cluster.until('there is a leader', () => cluster.leader(), electionMs);
      cluster.agent(stopped).signal('SIGSTOP');
      let read: Promise<LocalLog>;
      let index = 0;
      try {
        const leader = await leaderOtherThan(stopped);
        index = await note(leader, `round ${round}`);
        // It lies in the socket, and is the first thing that the resumed process sees.
        read = cluster.ask(stopped, { kind: 'log', from: index, most: 1, consistent: true });
        read.catch(() => {});
      } finally {
        cluster.agent(stopped).signal('SIGCONT');
      }
      const page = await read;
      assert.equal(page.consistent, true);
      assert((page.index ?? 0) >= index, `round ${round}: it reads up to ${page.index}, ${index} was decided`);
      assert.deepEqual(
        page.entries.map(({ detail }) => detail.text),
        [`round ${round}`],
      );
      t.diagnostic(`round ${round}: ${stopped} read entry ${index}`);
    }
  });
});

describe('`--consistent`', () => {
  test('is said with the index of the log in each answer, by control nodes and others', async () => {
    const { index } = await cluster.json<LocalDecided>('log', 'note', 'seen by all', '-n', 'c1');
    for (const name of ['c2', 'atlas']) {
      const log = await cluster.json<LocalLog>('log', '--last', '5', '--consistent', '-n', name);
      assert(
        log.entries.some((entry) => entry.index === index),
        `${name} does not show entry ${index}`,
      );
      const members = await cluster.json<LocalMembers>('members', '--consistent', '-n', name);
      const node = await cluster.json<LocalNode>('node', 'show', 'c1', '--consistent', '-n', name);
      for (const { consistent, index: upTo = 0 } of [log, members, node]) {
        assert.equal(consistent, true);
        assert(upTo >= index, `${name} reads up to ${upTo}, ${index} was decided`);
      }
      const { stdout } = await cluster.run('members', '--consistent', '-n', name);
      assert.match(stdout, /^As decided up to log entry \d+, seen by /m);
    }
  });

  test('is refused within seconds without a majority, while plain reads go on (CS-17)', async () => {
    await Promise.all(['c2', 'c3'].map((name) => cluster.agent(name).kill()));
    for (const name of ['c1', 'atlas']) {
      for (const words of [['log'], ['members'], ['node', 'show', 'c1']]) {
        const beganAt = Date.now();
        const refused = await cluster.run(...words, '--consistent', '-n', name);
        assert(Date.now() - beganAt < refusalMs, `${words.join(' ')} took too long`);
        assert.equal(refused.code, 1, refused.stdout);
        assertSentence(refused);
        const plain = await cluster.run(...words, '-n', name);
        assert.equal(plain.code, 0, plain.stderr);
      }
      const { observer, consistent } = await cluster.json<LocalMembers>('members', '-n', name);
      assert.deepEqual([observer, consistent], [name, undefined]);
    }
  });
});
