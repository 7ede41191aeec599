/** The charter on real processes: a control node is exchanged, and an epoch begins while a member is off (story A). */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster } from './cluster.ts';

/** Members ask for an amendment when a keep-alive tells of it, and a lost one is asked for again. */
const followMs = 30_000;

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.found(3);
  const { token } = cluster.founded;
  await Promise.all([
    cluster.join({ name: 'atlas', through: 'c1', token, role: 'host' }),
    cluster.join({ name: 'host-b', through: 'c2', token, role: 'host' }),
    cluster.join({ name: 'host-c', through: 'c3', token, role: 'host' }),
  ]);
  await seesAll('atlas', 'c1', 'c2', 'c3', 'host-b', 'host-c');
});
after(() => cluster.close());

async function seesAll(...names: readonly string[]): Promise<void> {
  const wanted = [...names].sort().map((name) => `${name} alive`);
  await cluster.until(`all see ${names.join(', ')}`, async () => {
    const views = await Promise.all(names.map((name) => cluster.members(name)));
    return views.every((view) => view.join() === wanted.join());
  });
}

/** Everybody's status, of one field. */
async function everywhere<T>(
  names: readonly string[],
  what: string,
  look: (name: string) => Promise<T>,
  is: T,
): Promise<void> {
  const wanted = JSON.stringify(is);
  const found = async (): Promise<boolean> =>
    (await Promise.all(names.map(look))).every((each) => JSON.stringify(each) === wanted);
  await cluster.until(`${what} is ${wanted} everywhere`, found, followMs);
}

const controlNodesAt = async (name: string): Promise<readonly string[]> =>
  (await cluster.ask(name, { kind: 'status' })).pane.controlNodes;
const epochAt = async (name: string): Promise<number> => (await cluster.ask(name, { kind: 'status' })).epoch;
const socketOf = (name: string): readonly string[] => ['--node', name];

describe('a control node', () => {
  test('joins with a token that names the role, and is promoted', async () => {
    const token = await cluster.token('--role', 'control', ...socketOf('atlas'));
    await cluster.join({ name: 'c4', through: 'c1', token, role: 'control' });
    await cluster.until('c4 is promoted', async () => {
      const { code, stderr } = await cluster.run('control', 'promote', 'c4', ...socketOf('atlas'));
      return code === 0 || stderr.includes('c4 is a control node already');
    });
    const now = ['c1', 'c2', 'c3', 'c4'];
    await everywhere(['atlas', 'host-b', 'c1', 'c4'], 'the control set', controlNodesAt, now);
  });

  test('is demoted, removed, and the others decide without it', async () => {
    const refused = await cluster.run('remove', 'c1', ...socketOf('atlas'));
    assert.equal(refused.code, 1);
    const stranger = await cluster.run('control', 'remove', 'host-b', ...socketOf('atlas'));
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /host-b is no control node/);
    assert.match(refused.stderr, /`hivemind control demote c1` comes first/);
    // The one that leads takes the lead with it.
    await cluster.until('c1 leads', async () => {
      await cluster.run('control', 'transfer', 'c1', ...socketOf('atlas'));
      return (await cluster.ask('atlas', { kind: 'status' })).pane.leader === 'c1';
    });
    const removal = await cluster.json<{ readonly control: readonly string[] }>(
      ...['control', 'remove', 'c1', ...socketOf('atlas')],
    );
    assert.deepEqual(removal.control, ['c2', 'c3', 'c4']);
    const remaining = ['atlas', 'host-b', 'host-c', 'c2', 'c3', 'c4'];
    await everywhere(remaining, 'the control set', controlNodesAt, ['c2', 'c3', 'c4']);
    await cluster.until('c1 has ended', () => !cluster.agent('c1').isRunning);
    await seesAll(...remaining);
    const late = await cluster.token('--role', 'host', ...socketOf('host-b'));
    await cluster.join({ name: 'host-d', through: 'c4', token: late, role: 'host' });
    await seesAll(...remaining, 'host-d');
  });

  test('that was removed ends when it is started again, though it heard nothing of that', async () => {
    const agent = cluster.spawn('c1', 'agent', '-c', 'c1/hivemind.yaml');
    await cluster.until('c1 has ended', () => !agent.isRunning, followMs);
  });
});

describe('an epoch', () => {
  test('that begins while a member is off is taken up by it when it starts (HM-11, HM-12)', async () => {
    await cluster.agent('host-c').stop();
    assert.equal((await cluster.run('remove', 'host-d', ...socketOf('atlas'))).code, 0);
    await cluster.until('host-d has ended', () => !cluster.agent('host-d').isRunning);
    const { epoch } = await cluster.json<{ readonly epoch: number }>('epoch', 'advance', ...socketOf('atlas'));
    assert.equal(epoch, 2);
    await everywhere(['atlas', 'host-b', 'c2', 'c3', 'c4'], 'the epoch', epochAt, 2);
    await cluster.start('host-c');
    await everywhere(['host-c'], 'the epoch', epochAt, 2);
    await seesAll('atlas', 'host-b', 'host-c', 'c2', 'c3', 'c4');
  });

  test('does not bring back who was removed before it', async () => {
    const agent = cluster.spawn('host-d', 'agent', '-c', 'host-d/hivemind.yaml');
    await cluster.until('host-d has ended', () => !agent.isRunning, followMs);
    await seesAll('atlas', 'host-b', 'host-c', 'c2', 'c3', 'c4');
  });
});

test('a transfer that does not come to be fails, and says where to look', async () => {
  const leader = (await cluster.ask('atlas', { kind: 'status' })).pane.leader;
  const other = ['c2', 'c3', 'c4'].find((name) => name !== leader) ?? assert.fail();
  await cluster.agent(other).kill();
  const { code, stdout, stderr } = await cluster.run('control', 'transfer', other, ...socketOf('atlas'));
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /`hivemind control ls` shows who does\./);
});
