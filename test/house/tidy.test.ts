/** The house rules that neither the compiler nor the linter holds. Each one is shown a file that breaks it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { pathsBelow, root, type SourceFile, sourceFile, sourceFiles } from './source-tree.ts';

const lineCharactersMax = 120;
const fileLinesMax = 450;

/** Gives what is wrong with a file, one text for each finding. */
type Rule = (file: SourceFile) => readonly string[];

/** Each line of `text` that `isWrong`, as `path:line`. */
function lines(path: string, text: string, isWrong: (line: string) => boolean): readonly string[] {
  return text.split('\n').flatMap((line, index) => (isWrong(line) ? [`${path}:${index + 1}`] : []));
}

const shortLines: Rule = ({ path, text }) => lines(path, text, (line) => line.length > lineCharactersMax);

/** A test file is a list of sentences, which may be long. */
const shortFiles: Rule = ({ path, text }) => {
  if (path.startsWith('test/')) return [];
  const count = text.split('\n').length - 1;
  return count > fileLinesMax ? [`${path} has ${count} lines`] : [];
};

const vagueName = /^(utils?|helpers?|common|misc|types)$/;
const domainNouns: Rule = ({ path }) => {
  const isVague = path.split('/').some((step) => vagueName.test(step.replace(/\..*$/, '')));
  return isVague ? [path] : [];
};

const acting = new RegExp(
  [
    String.raw`\bDate\.now\b|\bnew Date\b|\bMath\.random\b|\bperformance\.|\bset(Timeout|Interval|Immediate)\b`,
    String.raw`(?<!\.)(\bprocess\.|\basync\b|\bawait\s)`,
  ].join('|'),
);
const pureCores: Rule = ({ path, bare }) => lines(path, bare, (line) => acting.test(line));

/** Programs whose output is what they are for. */
const printers =
  /^(cli\/|examples\/|bench\/run\.ts$|test\/run\.ts$|test\/integration\/(loss|fault)-soak\.ts$|src\/sim\/replay\.ts$)/;
const silence: Rule = ({ path, bare }) =>
  printers.test(path) ? [] : lines(path, bare, (line) => /\bconsole\./.test(line));

// Put together here, so that this file does not find itself.
const unfinishedWork = new RegExp(
  `\\b(${['TO', 'FIX'].map((start) => start + (start === 'TO' ? 'DO' : 'ME')).join('|')})\\b`,
);
const finished: Rule = ({ path, text }) => lines(path, text, (line) => unfinishedWork.test(line));

const foreignPlaces: readonly RegExp[] = [
  new RegExp(`(^|[\\s"'\`(=:])/${'work'}(/|\\b)`),
  new RegExp(`/tmp/${'brief'}`),
  /https?:\/\/[^\s"'`/]*(registry|npmjs|artifactory|nexus|verdaccio)/i,
];
const ownPlaces: Rule = ({ path, text }) =>
  lines(path, text, (line) => foreignPlaces.some((place) => place.test(line)));

const code = sourceFiles('src', 'roles', 'cli', 'bench', 'examples', 'test');
const cores = sourceFiles(
  ...['swim', 'raft', 'certificate', 'config', 'schedule', 'control', 'session', 'member'].map((core) => `src/${core}`),
);
const notText = /\.(png|ico|gif|jpg|woff2?)$/;
const everything = pathsBelow('.')
  .filter((path) => !notText.test(path))
  .map((path) => sourceFile(path, readFileSync(join(root, path), 'utf8')));

const rules: readonly (readonly [name: string, rule: Rule, files: readonly SourceFile[], broken: SourceFile])[] = [
  [
    `lines have at most ${lineCharactersMax} characters`,
    shortLines,
    code,
    sourceFile('src/a.ts', `// ${'x'.repeat(lineCharactersMax)}`),
  ],
  [`files have at most ${fileLinesMax} lines`, shortFiles, code, sourceFile('src/a.ts', '\n'.repeat(fileLinesMax + 1))],
  ['files are named for what they hold', domainNouns, code, sourceFile('src/swim/helpers.ts', '')],
  [
    'cores read no clock, draw no lots and wait for nothing',
    pureCores,
    cores,
    sourceFile('src/swim/a.ts', "const at = Date.now(); // 'yes'"),
  ],
  ['only programs print', silence, code, sourceFile('src/swim/a.ts', "console.log('here');")],
  ['nothing is left to do', finished, everything, sourceFile('docs/a.md', `a ${'TO'}${'DO'} is left`)],
  [
    "no file names a place that only its author's machine has",
    ownPlaces,
    everything,
    sourceFile('a', `cd /${'work'}/x`),
  ],
];

describe('the house is tidy', () => {
  for (const [name, rule, files, broken] of rules) {
    test(name, () => {
      assert.equal(rule(broken).length, 1, 'the rule finds nothing in a file that breaks it');
      assert(files.length > 0);
      assert.deepEqual(files.flatMap(rule), []);
    });
  }

  test('a core may speak of time in comments and strings', () => {
    const text =
      "// await Date.now()\nconst a = 'process.exit'; /* async */ const b = /new Date/; const c = this.process.x;";
    assert.deepEqual(pureCores(sourceFile('src/swim/a.ts', text)), []);
  });
});

/** Where a program or an importing package starts to read. */
const entries = [
  'cli/bench/control/client-process.ts',
  'src/index.ts',
  'src/role/role.ts',
  'src/sim/sim.ts',
  'src/sim/replay.ts',
  'src/sim/crowd/grid.ts',
  'cli/main.ts',
];

function dead(files: readonly SourceFile[]): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const name of byPath.get(path)?.imports ?? []) visit(name);
  };
  for (const { path } of files) if (entries.includes(path) || path.startsWith('examples/')) visit(path);
  return files.map(({ path }) => path).filter((path) => !reached.has(path));
}

describe('every file is of use', () => {
  test('all code is reached from an entry', () => {
    assert.deepEqual(dead(sourceFiles('src', 'roles', 'cli', 'examples')), []);
  });

  test('a file that only a dead one imports is dead, a worker of a living one is not', () => {
    const files = [
      sourceFile('src/index.ts', "import type { A } from './a.ts';"),
      sourceFile('src/a.ts', "new Worker(new URL('./a-worker.js', import.meta.url));"),
      sourceFile('src/a-worker.ts', ''),
      sourceFile('src/b.ts', "import './c.ts';"),
      sourceFile('src/c.ts', ''),
    ];
    assert.deepEqual(dead(files), ['src/b.ts', 'src/c.ts']);
  });

  test('every role explains itself in a README', () => {
    const folders = readdirSync(join(root, 'roles'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    assert(folders.length > 0);
    const silent = folders.filter(({ name }) => !existsSync(join(root, 'roles', name, 'README.md')));
    assert.deepEqual(
      silent.map(({ name }) => posix.join('roles', name)),
      [],
    );
  });

  test('the README tests the project as the build machine does', () => {
    const command = 'npm ci && npm test';
    for (const path of ['.ci/run', 'README.md']) {
      assert(existsSync(join(root, path)), `${path} is missing`);
      assert(readFileSync(join(root, path), 'utf8').includes(command), `${path} does not say "${command}"`);
    }
  });
});
