/** The event log for applications, on real processes: their own entries, once each, followed through restarts. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AgentClient } from '../../cli/agent-client.ts';
import type { AuditReport } from '../../src/member/pane/log-audit.ts';
import type { LocalLog, LocalLogEntry } from '../../src/node/local-api.ts';
import { Cluster } from './cluster.ts';
import { launch } from './processes.ts';

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.found(3);
  await cluster.join({ name: 'atlas', through: 'c1', token: cluster.founded.token, role: 'host' });
});
after(() => cluster.close());

/** What a command prints as it goes, a line of JSON each. */
function follower(...words: readonly string[]): { readonly entries: LocalLogEntry[]; end(): void } {
  const child = launch([...words, '--json'], cluster.folder);
  const entries: LocalLogEntry[] = [];
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    entries.push(...lines.map((line) => JSON.parse(line) as LocalLogEntry));
  });
  return { entries, end: () => child.kill('SIGINT') };
}

function open(name: string): Promise<AgentClient> {
  return AgentClient.open({ socket: join(cluster.folder, 'run', `${name}.sock`) });
}

const notesIn = (entries: readonly LocalLogEntry[]): readonly unknown[] =>
  entries.filter(({ kind }) => kind === 'note').map(({ detail }) => detail.text);

describe('a note', () => {
  test('comes into the log by way of any agent, and is shown with who passed it on', async () => {
    const indexes: number[] = [];
    for (const name of ['atlas', 'c1', 'c2', 'c3']) {
      const { stdout, code, stderr } = await cluster.run('log', 'note', `from ${name}`, '-n', name);
      assert.equal(code, 0, stderr);
      indexes.push(Number(/^The note is log entry (\d+)\.$/m.exec(stdout)?.[1]));
    }
    const { entries } = await cluster.json<LocalLog>('log', '-n', 'atlas', '--last', '10');
    const notes = entries.filter(({ kind }) => kind === 'note');
    assert.deepEqual(
      notes.map(({ index, detail }) => [index, detail.by, detail.text]),
      ['atlas', 'c1', 'c2', 'c3'].map((name, at) => [indexes[at], name, `from ${name}`]),
    );
  });

  test('of a session is the same entry, however often and through whomever it is sent', async () => {
    const { session } = await cluster.ask('atlas', { kind: 'open-session' });
    const send = (name: string, sequence: number): Promise<{ readonly index: number }> =>
      cluster.ask(name, { kind: 'note', text: `turn ${sequence}`, session, sequence });
    const first = await Promise.all(['atlas', 'c1', 'c2', 'c3', 'atlas'].map((name) => send(name, 1)));
    assert.equal(new Set(first.map(({ index }) => index)).size, 1);
    assert.deepEqual(await send('c2', 1), first[0]);
    assert.notDeepEqual(await send('c2', 2), first[0]);
  });
});

describe('who follows the log', () => {
  test('gets each entry once and in order through a new leader and a restart of its agent (HM-7, HM-8)', async () => {
    const [ofMember, ofControl] = [
      follower('log', '--follow', '--from', '1', '-n', 'atlas'),
      follower('log', '--follow', '--from', '1', '-n', 'c1'),
    ];
    await cluster.until('both follow', () => ofMember.entries.length > 0 && ofControl.entries.length > 0);
    const { session } = await cluster.ask('atlas', { kind: 'open-session' });
    let sequence = 0;
    /** As an application does that lost an answer: the same turn again, through whoever answers. */
    const note = async (): Promise<void> => {
      sequence++;
      const turn = { kind: 'note', text: `step ${sequence}`, session, sequence } as const;
      await cluster.until(`${turn.text} is decided`, () =>
        cluster.ask(cluster.names[sequence % cluster.names.length] as string, turn).then(
          () => true,
          () => false,
        ),
      );
    };
    for (let each = 0; each < 10; each++) await note();
    const leader = (await cluster.leader()) ?? 'c1';
    await cluster.agent(leader).kill();
    for (let each = 0; each < 5; each++) await note();
    await cluster.start(leader);
    await cluster.agent('c1').stop();
    for (let each = 0; each < 5; each++) await note();
    await cluster.start('c1');
    await note();
    const wanted = Array.from({ length: sequence }, (_, at) => `step ${at + 1}`);
    for (const { entries, end } of [ofMember, ofControl]) {
      await cluster.until('all is followed', () => notesIn(entries).includes(`step ${sequence}`));
      assert.deepEqual(
        entries.map(({ index }) => index),
        entries.map((_, at) => at + 1),
      );
      assert.deepEqual(notesIn(entries).slice(-sequence), wanted);
      end();
    }
  });

  test('hears of an entry at once on a control node', async (context) => {
    const agent = await open('c2');
    const signal = new AbortController();
    const seen = new Map<string, number>();
    const { commitIndex } = await agent.ask({ kind: 'log', from: 1, most: 1 });
    const followed = agent.follow<LocalLog>({ kind: 'follow-log', from: commitIndex + 1 }, signal.signal, (page) => {
      for (const text of notesIn(page.entries)) seen.set(String(text), performance.now());
    });
    const latenciesMs: number[] = [];
    for (let each = 0; each < 20; each++) {
      await agent.ask({ kind: 'note', text: `timed ${each}`, session: '', sequence: 1 });
      const answeredAt = performance.now();
      const seenAt = await cluster.until('it is seen', () => seen.get(`timed ${each}`));
      latenciesMs.push(seenAt - answeredAt);
    }
    signal.abort();
    await followed;
    agent.close();
    const median = latenciesMs.sort((a, b) => a - b)[10] as number;
    context.diagnostic(`seen ${median.toFixed(1)} ms after the answer`);
    assert(median < 2_000);
  });
});

test('an exported log is verified on a machine without a cluster', async () => {
  const exported = await cluster.json<{ readonly last: number }>('log', 'export', 'exported.log', '-n', 'atlas');
  const report = await cluster.json<AuditReport>('log', 'verify', 'exported.log');
  assert.deepEqual([report.first, report.last], [1, exported.last]);
  assert(report.signed >= 1, 'the admission of atlas');
  assert.equal(report.cluster, (await cluster.ask('atlas', { kind: 'status' })).cluster);
});
