/** A disk that is really full: what its node does, what operators are told, and that room is all it takes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LocalPane } from '../../src/node/local-api.ts';
import { FaultCluster } from './faults/fault-cluster.ts';
import { whyNoNetwork } from './netns-network.ts';

const skip = await whyNoNetwork();

/** A full disk is looked at each second. */
const noticeMs = 15_000;
const noteText = '.'.repeat(4_000);
/** The log's file is filled with zeros for 256 KiB ahead; until these are used up a full disk is none for it. */
const notesAtOnce = 20;
/** Of which none may fail. */
const notesWithoutIt = 10;
const logEntries = 100;

describe('a full disk', { skip }, () => {
  let faulty: FaultCluster;

  before(async () => {
    faulty = await FaultCluster.found({ control: 3, members: 1, spares: 1 });
  });
  after(async () => {
    await faulty.close();
    assert.deepEqual(faulty.falls, []);
  });

  const pane = async (through: string): Promise<LocalPane['nodes']> =>
    (await faulty.cluster.json<LocalPane>('control', 'ls', '-n', through)).nodes;
  const leaderFor = async (through: string): Promise<string | undefined> =>
    (await pane(through)).find(({ role }) => role === 'leader')?.name;
  const eventsOf = async (name: string): Promise<string> => (await faulty.cluster.run('events', '-n', name)).stdout;
  /** Its entry. */
  const note = async (): Promise<number> =>
    (await faulty.cluster.ask('m1', { kind: 'note', text: noteText, session: '', sequence: 1 })).index;
  /** Of these entries, those that the newest log has as notes. */
  const notesOf = async (indexes: readonly number[]): Promise<readonly number[]> => {
    const [from = 1] = indexes;
    const { entries } = await faulty.cluster.ask('m1', { kind: 'log', from, most: logEntries, consistent: true });
    return entries.filter(({ index, kind }) => kind === 'note' && indexes.includes(index)).map(({ index }) => index);
  };

  test('makes a leader step down and say so; with room it follows again, without a start', async (t) => {
    const { cluster } = faulty;
    const full = (await cluster.until('there is a leader', () => leaderFor('m1'))) as string;
    const filledAt = Date.now();
    faulty.disk(full).fill();
    const next = await cluster.until(
      'another one leads',
      async () => {
        await Promise.all(Array.from({ length: notesAtOnce }, () => note().catch(() => undefined)));
        const leader = await leaderFor('m1');
        return leader !== full && leader;
      },
      noticeMs,
    );
    t.diagnostic(`${next} leads ${Date.now() - filledAt} ms after the disk of ${full} was full`);
    assert.match(await eventsOf(full), /log-disk.*the disk of the event log is full since .* does not vote/);
    // One that fails ends the test with what the agent said.
    const noted: number[] = [];
    for (let each = 0; each < notesWithoutIt; each++) noted.push(await note());
    assert.equal(new Set(noted).size, notesWithoutIt, 'each is an entry of its own');
    assert.deepEqual(await notesOf(noted), noted, 'the others decide without it');
    const behind = (await pane('m1')).find(({ name }) => name === full);
    assert.equal(behind?.role, 'follower', JSON.stringify(behind));

    const freedAt = Date.now();
    faulty.disk(full).free();
    await cluster.until(
      'it has caught up',
      async () => new Set((await pane('m1')).map(({ commitIndex }) => commitIndex)).size === 1,
      noticeMs,
    );
    t.diagnostic(`it has caught up ${Date.now() - freedAt} ms after there was room`);
    assert.match(await eventsOf(full), /the disk of the event log keeps up again/);
  });

  test('makes no member end that has something to remember: it waits, and says so', async () => {
    const { cluster } = faulty;
    faulty.disk('m1').fill();
    const guest = faulty.join('guest', 'x1', faulty.token);
    await guest.says(/^Ready/m);
    const said = (pattern: RegExp) => async (): Promise<boolean> => pattern.test(await eventsOf('m1'));
    await cluster.until('m1 says so', said(/memory-disk.*the disk is full since .*: free some space/), noticeMs);
    assert((await cluster.members('m1')).includes('guest alive'), 'it works on');
    faulty.disk('m1').free();
    await cluster.until('m1 has room', said(/the disk has room again/), noticeMs);
  });
});
