/** A lost quorum on real processes: recovered on the control node that is left, and restored from a saved snapshot. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RecoveryReport } from '../../cli/recovery/report.ts';
import { numbersSkipped } from '../../src/certificate/recovery.ts';
import { Cluster } from './cluster.ts';
import { assertSentence } from './processes.ts';

/** Members look for the pane in seconds; this machine may be busy. */
const followMs = 60_000;

let cluster: Cluster;

async function seesAll(...names: readonly string[]): Promise<void> {
  const wanted = [...names].sort().map((name) => `${name} alive`);
  const look = async (): Promise<boolean> => {
    const views = await Promise.all(names.map((name) => cluster.members(name)));
    return views.every((view) => view.join() === wanted.join());
  };
  await cluster.until(`all see ${names.join(', ')}`, look, followMs);
}

async function inEpoch(epoch: number, ...names: readonly string[]): Promise<void> {
  const look = async (): Promise<boolean> => {
    const found = await Promise.all(names.map((name) => cluster.ask(name, { kind: 'status' })));
    return found.every((status) => status.epoch === epoch && status.pane.state === 'healthy');
  };
  await cluster.until(`${names.join(', ')} are in epoch ${epoch} and know a quorum`, look, followMs);
}

async function numberOf(name: string): Promise<number> {
  return (await cluster.ask(name, { kind: 'status' })).number;
}

async function promoted(name: string, through: string): Promise<void> {
  const ask = async (): Promise<boolean> => {
    const { code, stderr } = await cluster.run('control', 'promote', name, '--node', through);
    // Asked for in vain at first, it may have come to be meanwhile.
    return code === 0 || stderr.includes(`${name} is a control node already`);
  };
  await cluster.until(`${name} is promoted`, ask, followMs);
}

describe('a cluster whose quorum is lost for good', () => {
  const recover = ['control', 'recover', '-c', join('c1', 'hivemind.yaml')];
  const withKey = [...recover, '--recovery-key', 'recovery.key'];

  before(async () => {
    cluster = await Cluster.found(3);
    const { token } = cluster.founded;
    await cluster.join({ name: 'atlas', through: 'c2', token, role: 'host' });
    await cluster.join({ name: 'host-b', through: 'c3', token, role: 'host' });
    await seesAll('atlas', 'host-b', 'c1', 'c2', 'c3');
  });
  after(() => cluster.close());

  test('was given a recovery key that only its owner may read', () => {
    assert.equal(cluster.founded.recoveryKey, 'recovery.key');
    assert.equal(statSync(join(cluster.folder, 'recovery.key')).mode & 0o777, 0o600);
    assert.match(readFileSync(join(cluster.folder, 'recovery.key'), 'utf8'), /^hmr1\.[\w-]+\n$/);
  });

  test('is recovered on the control node that is left, once its agent is stopped', async () => {
    await Promise.all([cluster.agent('c2').kill(), cluster.agent('c3').kill()]);
    // c3's folder is gone for good; c2's is found again later, by somebody who does not know better.
    rmSync(join(cluster.folder, 'c3'), { recursive: true });
    const running = await cluster.run(...withKey, '--yes');
    assert.equal(running.code, 1);
    assertSentence(running);
    assert.match(running.stderr, /c1\/data is in use by process \d+; stop that one/);
    await cluster.agent('c1').stop();
  });

  test('shows first what would be lost, and changes nothing', async () => {
    const before = await cluster.run('control', 'verify', join('c1', 'data'));
    const { code, stdout } = await cluster.run(...recover);
    assert.equal(code, 0);
    assert.match(stdout, /Given up +c2 \(#2\) at 127\.0\.0\.1:\d+; c3 \(#3\)/);
    assert.match(stdout, /Epoch +1, then 2/);
    const [, dated = ''] = /Dated +(\S+), by the clock of this machine/.exec(stdout) ?? [];
    assert(Math.abs(Date.parse(dated) - Date.now()) < 60_000, stdout);
    assert.match(stdout, /Nothing was changed\. Run it again with --yes/);
    assert.equal((await cluster.run('control', 'verify', join('c1', 'data'))).stdout, before.stdout);
    const [, ends] = /(Ends at term \d+, index \d+)\./.exec(before.stdout) ?? [];
    assert(ends !== undefined && stdout.includes(ends.toLowerCase()), before.stdout);
  });

  test('is not recovered without the key, with another, or on a node that keeps no log', async () => {
    const { folder } = cluster;
    const other = await Cluster.empty();
    await other.init(1);
    writeFileSync(join(other.folder, 'nobody.yaml'), 'version: 1\nname: nobody\ndata: ./nothing\n');
    const attempts: readonly (readonly [RegExp, readonly string[]])[] = [
      [/--recovery-key/, [...recover, '--yes']],
      [/another cluster/, [...recover, '--recovery-key', join(other.folder, 'recovery.key'), '--yes']],
      [/not one/, [...recover, '--recovery-key', join(folder, 'c1', 'hivemind.yaml'), '--yes']],
      [/c9 is not among/, [...withKey, '--keep', 'c9', '--yes']],
      [/holds no node's data/, ['control', 'recover', '-c', join(other.folder, 'nobody.yaml')]],
    ];
    for (const [sentence, words] of attempts) {
      const refused = await cluster.run(...words);
      assert.notEqual(refused.code, 0);
      assertSentence(refused);
      assert.match(refused.stderr, sentence);
    }
    await other.close();
    await cluster.agent('atlas').stop();
    const refused = await cluster.run('control', 'recover', '-c', join('atlas', 'hivemind.yaml'));
    assert.match(refused.stderr, /atlas is no control node/);
    await cluster.start('atlas');
  });

  test('goes on when it is: members follow by themselves, and nobody is lost', async () => {
    const report = await cluster.json<RecoveryReport>(...withKey, '--yes');
    assert.deepEqual([report.done, report.members, report.epoch], [true, 5, { from: 1, to: 2 }]);
    assert.deepEqual(
      report.givenUp.map(({ name }) => name),
      ['c2', 'c3'],
    );
    await cluster.start('c1');
    await inEpoch(2, 'c1', 'atlas', 'host-b');
    await seesAll('c1', 'atlas', 'host-b');
    const checked = await cluster.run('log', 'export', 'after.log', '--node', 'atlas');
    assert.equal(checked.code, 0, checked.stderr);
    assert.equal((await cluster.run('log', 'verify', 'after.log')).code, 0);
  });

  test('admits again, with numbers that the lost ones cannot have given out', async () => {
    const token = await cluster.token('--role', 'host', '--node', 'host-b');
    await cluster.join({ name: 'host-c', through: 'atlas', token, role: 'host' });
    assert((await numberOf('host-c')) > 5 + numbersSkipped);
    await seesAll('c1', 'atlas', 'host-b', 'host-c');
  });

  test('refuses a control node that was given up, and tells it why', async () => {
    const late = cluster.spawn('c2', 'agent', '-c', join('c2', 'hivemind.yaml'));
    const { code, stderr } = await late.ends(followMs);
    assert.equal(code, 1);
    assert.match(stderr, /This control node was given up at .*, when the cluster was recovered on c1/);
    await seesAll('c1', 'atlas', 'host-b', 'host-c');
  });

  test('has three control nodes again, one of them with the name of a lost one', async () => {
    rmSync(join(cluster.folder, 'c2'), { recursive: true });
    const token = await cluster.token('--role', 'control', '--uses', '2', '--node', 'atlas');
    for (const name of ['c2', 'c4']) {
      await cluster.join({ name, through: 'atlas', token, role: 'control' });
      await promoted(name, 'host-b');
    }
    await seesAll('c1', 'c2', 'c4', 'atlas', 'host-b', 'host-c');
    await cluster.agent('c1').kill();
    const later = await cluster.token('--role', 'host', '--node', 'host-c');
    await cluster.join({ name: 'host-d', through: 'host-b', token: later, role: 'host' });
    await cluster.start('c1');
    await seesAll('c1', 'c2', 'c4', 'atlas', 'host-b', 'host-c', 'host-d');
  });
});

describe('a cluster that lost all its control nodes', () => {
  before(async () => {
    cluster = await Cluster.found(3);
    const { token } = cluster.founded;
    await cluster.join({ name: 'atlas', through: 'c1', token, role: 'host' });
    await cluster.join({ name: 'host-b', through: 'c2', token, role: 'host' });
    await seesAll('atlas', 'host-b', 'c1', 'c2', 'c3');
  });
  after(() => cluster.close());

  test('has a snapshot, saved by a control node and whole', async () => {
    const refused = await cluster.run('snapshot', 'save', 'kept', '--node', 'atlas');
    assert.match(refused.stderr, /keeps no event log; save the snapshot on a control node/);
    const nowhere = await cluster.run('snapshot', 'save', 'nowhere/kept', '--node', 'c2');
    assert.deepEqual(
      [nowhere.code, nowhere.stderr.includes('cannot be used (ENOENT); name a file that can.')],
      [1, true],
    );
    const saved = await cluster.json<{ readonly index: number }>('snapshot', 'save', 'kept', '--node', 'c2');
    const again = await cluster.run('snapshot', 'save', 'kept', '--node', 'c2');
    assert.match(again.stderr, /exists already/);
    const inspected = await cluster.json<{ readonly index: number; readonly members: readonly unknown[] }>(
      ...['snapshot', 'inspect', 'kept'],
    );
    assert.deepEqual([inspected.index, inspected.members.length], [saved.index, 5]);
  });

  test('restores no file that is damaged or another, and nobody under a name that is taken', async () => {
    const bytes = readFileSync(join(cluster.folder, 'kept'));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9);
    writeFileSync(join(cluster.folder, 'damaged'), bytes);
    mkdirSync(join(cluster.folder, 'spoilt'));
    writeFileSync(join(cluster.folder, 'spoilt', 'member.snapshot'), 'something else');
    const node = ['--out', 'c9', '--bind', '127.0.0.1:9'];
    const attempts: readonly (readonly [RegExp, readonly string[]])[] = [
      [/damaged is damaged; use another copy/, ['snapshot', 'inspect', 'damaged']],
      [/recovery\.key is no saved snapshot/, ['snapshot', 'restore', 'recovery.key', '--name', 'c9', ...node]],
      [/There is no file nothing/, ['snapshot', 'inspect', 'nothing']],
      [/atlas is a living member's/, ['snapshot', 'restore', 'kept', '--name', 'atlas', ...node]],
      [/not a lower-case DNS label/, ['snapshot', 'restore', 'kept', '--name', 'C9', ...node]],
      [
        /nowhere holds nothing that a member remembers/,
        ['snapshot', 'restore', 'kept', '--name', 'c9', ...node, '--member-data', 'nowhere'],
      ],
      [
        /member\.snapshot is damaged or of another version of hivemind; name the data folder of another member/,
        ['snapshot', 'restore', 'kept', '--name', 'c9', ...node, '--member-data', 'spoilt'],
      ],
      [
        /atlas is a living member's/,
        ['snapshot', 'restore', 'kept', '--name', 'atlas', ...node, '--recovery-key', 'recovery.key', '--yes'],
      ],
      [/c1 exists already/, ['snapshot', 'restore', 'kept', '--name', 'c9', '--out', 'c1', '--bind', '127.0.0.1:9']],
    ];
    for (const [sentence, words] of attempts) {
      const refused = await cluster.run(...words);
      assert.equal(refused.code, 1, words.join(' '));
      assertSentence(refused);
      assert.match(refused.stderr, sentence);
    }
    assert.deepEqual(readdirSync(join(cluster.folder, 'spoilt')), ['member.snapshot']);
    assert(!existsSync(join(cluster.folder, 'c9.unfinished')), 'no keys are left behind');
  });

  test('is restored from it on a new node at a new address, and members find it', async () => {
    // Admitted after the snapshot was saved: it is lost with the control nodes.
    const { token } = cluster.founded;
    await cluster.join({ name: 'late', through: 'c3', token, role: 'host' });
    // So is what opened this epoch, and members know of it.
    assert.equal((await cluster.run('epoch', 'advance', '--node', 'c1')).code, 0);
    await inEpoch(2, 'atlas', 'host-b', 'late');
    await Promise.all(['c1', 'c2', 'c3'].map((name) => cluster.agent(name).kill()));
    for (const name of ['c1', 'c2', 'c3']) rmSync(join(cluster.folder, name), { recursive: true });
    const restore = ['snapshot', 'restore', 'kept', '--recovery-key', 'recovery.key', '--out', 'c9', '--name', 'c9'];
    restore.push('--member-data', join('atlas', 'data'));
    // What a restore that was cut short has left is the next one's to remove, not a dry run's.
    const unfinished = join(cluster.folder, 'c9.unfinished');
    mkdirSync(unfinished);
    const there = await cluster.run(...restore, '--bind', cluster.addressOf('c2'));
    assert.deepEqual([there.code, there.stderr, existsSync(join(cluster.folder, 'c9'))], [0, '', false]);
    assert(existsSync(unfinished));
    assert.match(there.stdout, /Nothing was changed/);
    // Harder: nobody looks there.
    restore.push('--bind', await cluster.addressFor('c9'));
    assert.match((await cluster.run(...restore)).stderr, /None of these is its address/);
    const report = await cluster.json<RecoveryReport>(...restore, '--yes');
    assert.deepEqual(
      report.givenUp.map(({ name }) => name),
      ['c1', 'c2', 'c3'],
    );
    await cluster.start('c9');
    await inEpoch(3, 'c9', 'atlas', 'host-b');
    await seesAll('c9', 'atlas', 'host-b');
    assert((await numberOf('c9')) > numbersSkipped);
  });

  test('tells a member that the snapshot does not know that it does not belong any more', async () => {
    const { stdout } = await cluster.agent('late').ends(followMs);
    assert.match(stdout, /does not belong to the cluster any more; join it again with a token/);
    rmSync(join(cluster.folder, 'late'), { recursive: true });
    await cluster.join({ name: 'late', through: 'atlas', token: cluster.founded.token, role: 'host' });
    await seesAll('c9', 'atlas', 'host-b', 'late');
  });

  test('grows to three control nodes again, and starts again', async () => {
    const token = await cluster.token('--role', 'control', '--uses', '2', '--node', 'atlas');
    for (const name of ['c1', 'c3']) {
      await cluster.join({ name, through: 'atlas', token, role: 'control' });
      await promoted(name, 'atlas');
    }
    await cluster.agent('c9').stop();
    await cluster.start('c9');
    await seesAll('c9', 'c1', 'c3', 'atlas', 'host-b', 'late');
    await inEpoch(3, 'c9', 'c1', 'c3', 'atlas', 'host-b', 'late');
  });

  test('is recovered once more, on a control node that joined, with a member that was off all the time', async () => {
    await cluster.agent('host-b').stop();
    await Promise.all(['c3', 'c9'].map((name) => cluster.agent(name).kill()));
    await cluster.agent('c1').stop();
    const recover = ['control', 'recover', '-c', join('c1', 'hivemind.yaml'), '--recovery-key', 'recovery.key'];
    const report = await cluster.json<RecoveryReport>(...recover, '--keep', 'c9', '--yes');
    assert.deepEqual([report.epoch, report.kept.map(({ name }) => name)], [{ from: 3, to: 4 }, ['c9']]);
    await cluster.start('c1');
    await inEpoch(4, 'c1', 'atlas', 'late');
    await Promise.all([cluster.start('host-b'), cluster.start('c9')]);
    await seesAll('c1', 'c9', 'atlas', 'host-b', 'late');
    await promoted('c9', 'atlas');
    await inEpoch(4, 'c1', 'c9', 'atlas', 'host-b', 'late');
  });
});
