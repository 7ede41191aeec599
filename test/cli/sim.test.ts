/** `hivemind sim`, as a process of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { plainPaint } from '../../cli/paint.ts';
import { bar } from '../../cli/progress-bar.ts';
import { renderFigures } from '../../cli/render-sim.ts';
import type { ArmName } from '../../src/sim/crowd/arm.ts';
import { type ArmFigures, type RunFigures, summarise } from '../../src/sim/crowd/figures.ts';

const tsx = import.meta.resolve('tsx');
const folder = join(import.meta.dirname, '../../cli');

/** The program with this command alone, and the failures of the whole one. */
const program = `
  import { Command } from 'commander';
  import { reportFailure } from '${folder}/failure.ts';
  import { registerSim } from '${folder}/sim.ts';
  const words = process.argv.slice(1);
  const hivemind = new Command('hivemind').exitOverride().configureOutput({ outputError: () => {} });
  registerSim(hivemind);
  try {
    await hivemind.parseAsync(words, { from: 'user' });
  } catch (thrown) {
    process.exitCode = reportFailure(thrown, words);
  }
`;

async function run(...words: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--import', tsx, '--input-type=module', '--eval', program, '--', ...words], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

describe('hivemind sim', () => {
  test('plays a scenario with all three arms, and is the same for the same seed', async () => {
    const words = ['sim', 'vanish', '--nodes', '16', '--seed', '5', '--seeds', '2', '--json'];
    const [first, second] = await Promise.all([run(...words), run(...words)]);
    assert.equal(first.code, 0, first.stderr);
    const figures = JSON.parse(first.stdout) as ArmFigures[];
    assert.deepEqual(
      figures.map(({ arm }) => arm),
      ['swim', 'lifeguard', 'hivemind'],
    );
    for (const { nodes, seeds, firstSeed, missed, detectionMs, simulatedMs } of figures) {
      assert.deepEqual([nodes, seeds, firstSeed, missed], [16, 2, 5, 0]);
      assert((detectionMs.p50 as number) > 0 && simulatedMs > 0);
    }
    const timeless = (text: string) => (JSON.parse(text) as ArmFigures[]).map((arm) => ({ ...arm, wallMs: 0 }));
    assert.deepEqual(timeless(second.stdout), timeless(first.stdout));
    assert.equal(first.stderr, '', 'a bar is for terminals');
  });

  test('shows a table, of one arm when that is asked for', async () => {
    const { code, stdout, stderr } = await run('sim', 'kill', '--nodes', '16', '--arm', 'hivemind');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^kill: processes die one by one/);
    assert.match(stdout, /16 nodes, seed 1\./);
    assert.match(stdout, /^ARM +DETECTED +KNOWN BY ALL +MISSED/m);
    assert.match(stdout, /^hivemind +\d\.\d\d \/ \d\.\d\d \/ \d\.\d\d/m);
    assert.doesNotMatch(stdout, /^(swim|lifeguard)/m);
  });

  test('takes what a scenario can be told', async () => {
    const words = ['--nodes', '20', '--arm', 'hivemind', '--json', '--stall-tolerance', '2000', '--mass', '10%'];
    const { code, stdout, stderr } = await run('sim', 'mass', ...words);
    assert.equal(code, 0, stderr);
    const [figures] = JSON.parse(stdout) as [ArmFigures];
    assert.equal(figures.convictions, 2);
    assert((figures.detectionMs.max as number) < 5_500);
  });

  test('lists the scenarios with what they do, and options with their reason', async () => {
    const { code, stdout } = await run('sim', '--help');
    assert.equal(code, 0);
    for (const name of ['rest', 'join', 'blocked', 'flipflop', 'partition'])
      assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'));
  });

  const wrong: readonly (readonly [what: string, sentence: RegExp, ...words: string[]])[] = [
    ['a scenario that there is not', /'storm' is invalid/, 'storm'],
    ['no scenario', /missing required argument 'scenario'/i],
    ['too few nodes', /"3" is no value for --nodes/, 'rest', '--nodes', '3'],
    ['a share of more than most', /"95%" is no value for --mass/, 'mass', '--mass', '95%'],
    ['a loss above 95 %', /"1" is no value for --loss/, 'lossy', '--loss', '1'],
    [
      'an arm that takes fewer nodes',
      /The swim arm takes at most 2000 nodes/,
      'rest',
      '--arm',
      'swim',
      '--nodes',
      '2001',
    ],
  ];
  for (const [what, sentence, ...words] of wrong) {
    test(`refuses ${what} as wrong usage`, async () => {
      const { code, stdout, stderr } = await run('sim', ...words);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, sentence);
    });
  }

  test('says that a large cluster is played without the others', async () => {
    const { code, stderr, stdout } = await run('sim', 'rest', '--nodes', '2001', '--json');
    assert.equal(code, 0);
    assert.match(stderr, /only hivemind is simulated/);
    assert.deepEqual(
      (JSON.parse(stdout) as ArmFigures[]).map(({ arm }) => arm),
      ['hivemind'],
    );
  });
});

describe('figures', () => {
  const empty: RunFigures = {
    simulatedMs: 10_000,
    wallMs: 100,
    detectionsMs: [],
    disseminationsMs: [],
    missed: 0,
    falseDowns: 0,
    falseDownsAnywhere: 0,
    falseConvictions: 0,
    convictionEntries: 0,
    convictions: 0,
    returns: 0,
    returnsPerNodeMax: 0,
    suspicions: 0,
    datagramBytes: 1_000,
    streamBytes: 500,
    nodeSeconds: 10,
    viewSizeMax: 5,
    reachedAfterMs: undefined,
    socketDrops: 0,
  };
  const figuresOf = (arm: ArmName, ...runs: readonly Partial<RunFigures>[]): ArmFigures =>
    summarise(
      { scenario: 'vanish', arm, nodes: 5, firstSeed: 1 },
      runs.map((run) => ({ ...empty, ...run })),
    );

  test('of several seeds are sums, quantiles over all, and the most of any', () => {
    const detectionsMs = Array.from({ length: 100 }, (_, index) => index + 1);
    const { detectionMs, disseminationMs, seeds, convictionEntries, convictionEntriesMax, bytesPerNodePerSecond } =
      figuresOf(
        'hivemind',
        { detectionsMs: detectionsMs.slice(0, 60), convictionEntries: 3 },
        { detectionsMs: detectionsMs.slice(60), convictionEntries: 2 },
      );
    assert.deepEqual(detectionMs, { p50: 50, p99: 99, max: 100 });
    assert.deepEqual(disseminationMs, { p50: null, p99: null, max: null });
    assert.deepEqual([seeds, convictionEntries, convictionEntriesMax, bytesPerNodePerSecond], [2, 5, 3, 150]);
  });

  test('are shown as a table without what no arm has', () => {
    const arms = [figuresOf('swim', { falseDowns: 3 }), figuresOf('hivemind', { detectionsMs: [5_123] })];
    const [title, , headings, swim, hivemind, , foot] = renderFigures('vanish', arms, plainPaint).split('\n');
    assert.equal(title, 'vanish: machines vanish one by one, each 15 s after the other. 5 nodes, seed 1.');
    assert.match(
      headings ?? '',
      /^ARM +DETECTED +MISSED +FALSE DOWNS +CONVICTED +WRONGLY +ENTRIES +RETURNS +SUSPICIONS/,
    );
    assert.match(swim ?? '', /^swim +- +0 +3 +0 +0 +0 +0 +0 +150 +5$/);
    assert.match(hivemind ?? '', /^hivemind +5\.12 \/ 5\.12 \/ 5\.12 +0 +0 +0/);
    assert.equal(foot, 'Times in seconds: p50 / p99 / max. Simulated 20 s in 0.2 s.');
  });

  test('of a long run are announced by a bar', () => {
    assert.equal(bar(0, 'swim, seed 1'), '[........................] 0 %  swim, seed 1');
    assert.equal(bar(0.5, 'swim, seed 1'), '[############............] 50 %  swim, seed 1');
    assert.equal(bar(1, 'swim, seed 1'), '[########################] 100 %  swim, seed 1');
  });
});
