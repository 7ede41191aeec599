import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { registerBench } from '../../cli/bench/command.ts';
import { figureText, spreadOf } from '../../cli/bench/figure.ts';
import { trafficIn } from '../../cli/bench/firewall.ts';
import { type GossipReport, type GossipSample, gossipCatalog } from '../../cli/bench/gossip-catalog.ts';
import { agentEventOf, HivemindProduct } from '../../cli/bench/hivemind-product.ts';
import { cpuMsIn, listenersIn, residentKiBIn, usageOf } from '../../cli/bench/proc.ts';
import { Report, renderResult } from '../../cli/bench/report.ts';
import { runBench } from '../../cli/bench/run.ts';
import { agentEventIn, SerfProduct, serfVersion } from '../../cli/bench/serf-product.ts';
import { compile, program } from '../integration/processes.ts';

const ground = {
  nodes: 4,
  runs: 2,
  machine: { processors: 2, node: 'v20.19.0' },
  versions: { hivemind: 'hivemind 1' },
  method: [],
};

describe('figures', () => {
  test('several samples come to minimum, median and maximum, no samples to nothing', () => {
    assert.deepEqual(spreadOf([3, 1, 2]), { min: 1, median: 2, max: 3, samples: 3 });
    assert.deepEqual(spreadOf([4, 1, 2, 3]), { min: 1, median: 2.5, max: 4, samples: 4 });
    assert.equal(spreadOf([]), undefined);
  });

  test('a figure is told with its unit and with three digits that mean something', () => {
    assert.equal(figureText(812.4, 'ms'), '812 ms');
    assert.equal(figureText(1_237, 'ms'), '1.24 s');
    assert.equal(figureText(1.0449, 'ms'), '1.04 ms');
    assert.equal(figureText(131.2, 'us'), '131 µs');
    assert.equal(figureText(14.7 * 1_024, 'kib'), '14.7 MiB');
    assert.equal(figureText(0.2148, 'percent'), '0.215 %');
    assert.equal(figureText(1_271.3, 'bytes-per-second'), '1271 B/s');
    assert.equal(figureText(63, 'count'), '63');
  });
});

describe('the report', () => {
  const samplesOf = (value: number): readonly GossipSample[] => [
    { figure: 'crash-first', value },
    { figure: 'crash-uninformed', value: 0 },
  ];

  function filled(): { readonly result: ReturnType<GossipReport['result']>; readonly lines: readonly string[] } {
    const lines: string[] = [];
    const report = new Report(gossipCatalog, ground, (line) => lines.push(line));
    for (const value of [1_000, 3_000]) report.add('hivemind', 1, 'crash', samplesOf(value));
    report.add('serf', 2, 'crash', samplesOf(8_000));
    report.fail('serf', 2, 'cut', 'it ended.');
    report.omit('something.');
    return { result: report.result(), lines };
  }

  test('compares medians, and never divides by nothing', () => {
    const { figures: compared, failures, leftOut } = filled().result;
    const [first, uninformed] = compared;
    assert.equal(compared.length, 2);
    assert.deepEqual(first?.hivemind, { min: 1_000, median: 2_000, max: 3_000, samples: 2 });
    assert.equal(first?.ratio, 0.25);
    assert.equal(uninformed?.ratio, undefined);
    assert.deepEqual([failures.length, leftOut.length], [1, 1]);
  });

  test('tells a line for each measurement as it ends, and a table in the end', () => {
    const { lines, result } = filled();
    assert.equal(lines.length, 5);
    assert.match(lines[0] ?? '', /^hivemind {2}run 1 of 2 {2}SIGKILL: the first survivor lists it down 1 s; /);
    assert.match(renderResult(gossipCatalog, result), /SIGKILL .* 1 s \/ 2 s \/ 3 s .* 0\.25 × serf$/m);
  });

  test('every figure says what it is about', () => {
    for (const [name, { about }] of Object.entries(gossipCatalog.figures)) assert(about.length > 3, name);
  });
});

describe('what an agent says', () => {
  const event = (kind: string, node?: string, detail = {}): Parameters<typeof agentEventOf>[0] => ({
    at: '2026-10-01T10:00:00.000Z',
    kind,
    detail,
    ...(node === undefined ? {} : { node }),
  });

  test("hivemind's events tell who is up, who is down, and what was sent", () => {
    assert.deepEqual(agentEventOf(event('joined', 'n4')), { kind: 'up', node: 'n4' });
    assert.deepEqual(agentEventOf(event('back', 'n4')), { kind: 'up', node: 'n4' });
    assert.deepEqual(agentEventOf(event('down', 'n4')), { kind: 'down', node: 'n4' });
    const message = { kind: 'message', payload: 'hello' };
    assert.deepEqual(agentEventOf(event('user-event', 'n4', { payload: 'hello' })), message);
    assert.deepEqual(agentEventOf(event('user-event', 'n4', { payload: Buffer.from('hello') })), message);
    assert.equal(agentEventOf(event('suspected', 'n4')), undefined);
  });

  test("so do the lines of serf's log", () => {
    const line = (text: string): string => `2026/10/01 10:00:00 [INFO] ${text}`;
    assert.deepEqual(agentEventIn(line('serf: EventMemberJoin: n4 127.0.79.4')), { kind: 'up', node: 'n4' });
    assert.deepEqual(agentEventIn(line('serf: EventMemberFailed: n4 127.0.79.4')), { kind: 'down', node: 'n4' });
    assert.deepEqual(agentEventIn(line('serf: EventMemberLeave: n4 127.0.79.4')), { kind: 'down', node: 'n4' });
    assert.equal(agentEventIn(line('memberlist: Suspect n4 has failed, no acks received')), undefined);
  });

  test('no two agents share an address or a group, whichever product they are of', () => {
    const places = [...new HivemindProduct('', 128, []).places, ...new SerfProduct('', 128).places];
    for (const key of ['host', 'gid'] as const) assert.equal(new Set(places.map((place) => place[key])).size, 256);
  });
});

describe('what the system says', () => {
  test('who listens is read from /proc/net/tcp', () => {
    const text = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0147007F:1BBC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1',
      '   1: 0247007F:1BBC 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1',
      '',
    ].join('\n');
    assert.deepEqual([...listenersIn(text)], ['127.0.71.1:7100']);
  });

  test('a process name with spaces and brackets does not shift its times', () => {
    const stat = `42 (a) b (c) S ${'0 '.repeat(10)}7 5 0 0 20 0 11 0 1`;
    assert.equal(cpuMsIn(stat), 120);
    assert.equal(residentKiBIn('Name:\tnode\nVmRSS:\t  9216 kB\nThreads:\t11\n'), 9_216);
  });

  test('this process has used time and memory', { skip: !existsSync('/proc/self/stat') }, async () => {
    const { cpuMs, residentKiB } = await usageOf(process.pid);
    assert(cpuMs > 0 && residentKiB > 1_024, `${cpuMs} ms, ${residentKiB} KiB`);
  });

  test('counted bytes are without their headers', () => {
    const counter = (name: string, packets: number, bytes: number): object => ({ counter: { name, packets, bytes } });
    const nftables = [{ metainfo: {} }, counter('datagrams', 10, 1_280), counter('segments', 4, 308)];
    const traffic = { datagrams: 10, datagramBytes: 1_000, segments: 4, segmentBytes: 100 };
    assert.deepEqual(trafficIn(JSON.stringify({ nftables })), traffic);
  });
});

describe('hivemind bench gossip', () => {
  const parse = async (...words: readonly string[]): Promise<unknown> => {
    const hivemind = new Command('hivemind').configureOutput({ outputError: () => {} });
    registerBench(hivemind.exitOverride());
    return await hivemind.parseAsync(['bench', 'gossip', ...words], { from: 'user' });
  };

  test('refuses what it cannot do before it starts anything', async () => {
    await assert.rejects(parse('--nodes', '3'), { code: 'usage' });
    await assert.rejects(parse('--nodes', '129'), { code: 'usage' });
    await assert.rejects(parse('--runs', '0'), { code: 'usage' });
    await assert.rejects(parse('--only', 'consul'), { code: 'commander.invalidArgument' });
  });

  test('measures real agents: all find each other, and know of one that was killed (HM-14)', {
    skip: process.platform !== 'linux' && 'it needs loopback addresses of its own',
    timeout: 120_000,
  }, async () => {
    await compile();
    const report = new Report(gossipCatalog, { ...ground, runs: 1 }, () => {});
    const products = (await serfVersion()) === undefined ? (['hivemind'] as const) : (['hivemind', 'serf'] as const);
    const { signal } = new AbortController();
    const plan = { nodes: 4, runs: 1, products, program: [program], report, signal };
    await runBench({ ...plan, measurements: ['join', 'crash'] });
    const { failures, figures: compared } = report.result();
    assert.deepEqual(failures, []);
    for (const product of products) {
      const median = (figure: string): number | undefined =>
        compared.find((each) => each.figure === figure)?.[product]?.median;
      for (const figure of ['join-missing', 'crash-uninformed', 'crash-back-missing']) {
        assert.equal(median(figure), 0, `${product}: ${figure}`);
      }
      for (const figure of ['join-last', 'crash-first', 'crash-all', 'crash-back']) {
        assert((median(figure) ?? 0) > 0, `${product}: ${figure}`);
      }
    }
  });
});
