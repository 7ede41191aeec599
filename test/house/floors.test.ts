/** Imports point down. The floors are those of ARCHITECTURE.md. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type SourceFile, sourceFile, sourceFiles } from './source-tree.ts';

interface Part {
  readonly floor: number;
  /** Decides and computes; touches no clock, socket, file or process, and nothing that does. */
  readonly pure?: true;
  /** Parts of the same floor that it may import all the same. */
  readonly beside?: readonly string[];
  /** Parts below that it must not know. */
  readonly never?: readonly string[];
}

const effects = ['net', 'store', 'system', 'engine'];

const parts: Readonly<Record<string, Part>> = {
  base: { floor: 0, pure: true },

  swim: { floor: 1, pure: true },
  raft: { floor: 1, pure: true },
  certificate: { floor: 1, pure: true },
  config: { floor: 1, pure: true },
  schedule: { floor: 1, pure: true },
  net: { floor: 1 },
  store: { floor: 1 },
  system: { floor: 1 },
  engine: { floor: 1 },

  control: { floor: 2, pure: true },
  session: { floor: 2, pure: true },
  settings: { floor: 2, pure: true },

  wire: { floor: 3, pure: true },
  // The composition hands messages to the cores and takes them back, so it must know how they travel.
  member: { floor: 3, pure: true, beside: ['wire'] },
  role: { floor: 3, never: effects },

  // The driver gets its sockets, disks and clocks as arguments: the simulator hands it others.
  node: { floor: 4, never: effects },

  http: { floor: 5, never: effects },
  sim: { floor: 5 },

  index: { floor: 6 },
  roles: { floor: 7 },
  cli: { floor: 8 },
  examples: { floor: 8 },
  bench: { floor: 9 },
};

/** Folders of one part that do not know each other; what is beside them composes them. */
const rooms: Readonly<Record<string, readonly string[]>> = { member: ['pane', 'client'] };

const base: ReadonlySet<string> = new Set(
  ['assert', 'bytes', 'codec', 'crypto', 'error', 'identity', 'packed'].map((name) => `src/${name}.ts`),
);

function partOf(path: string): string | undefined {
  if (base.has(path) || path.startsWith('src/seam/')) return 'base';
  const [top = '', second = ''] = path.split('/');
  const name = top === 'src' ? second.replace(/\.ts$/, '') : top;
  return Object.hasOwn(parts, name) ? name : undefined;
}

/** Why a file must not import another, or nothing when it may. */
function objection(from: string, to: string): string | undefined {
  const [importer, imported] = [partOf(from), partOf(to)];
  if (importer === undefined) return `${from} is on no floor`;
  if (imported === undefined) return `${from} imports ${to}, which is on no floor`;
  const refuse = (why: string): string => `${from} imports ${to}: ${why}`;
  if (importer === 'roles') return roleObjection(from, to, imported);
  if (importer === imported) return areApart(from, to, importer) ? refuse('rooms of a part do not meet') : undefined;
  const [upper, lower] = [parts[importer] as Part, parts[imported] as Part];
  if (imported === 'http' && importer !== 'cli' && importer !== 'index') return refuse('only cli and src/index.ts may');
  if (imported === 'roles' && importer !== 'cli') return refuse('only cli composes roles');
  if (lower.floor > upper.floor) return refuse('it points up');
  if (lower.floor === upper.floor && !upper.beside?.includes(imported)) return refuse('parts of a floor do not meet');
  if (upper.never?.includes(imported)) return refuse('it gets these as arguments');
  if (upper.pure && !lower.pure) return refuse('a pure part touches nothing that acts');
  return undefined;
}

function areApart(from: string, to: string, part: string): boolean {
  const [importer, imported] = [from, to].map((path) =>
    rooms[part]?.find((room) => path.startsWith(`src/${part}/${room}/`)),
  );
  return importer !== undefined && imported !== undefined && importer !== imported;
}

/** A role sees the role kit, floor 0, its own folder, and of other roles only their contract. */
function roleObjection(from: string, to: string, imported: string): string | undefined {
  const folder = from.split('/').slice(0, 2).join('/');
  const isContract = /^roles\/[^/]+\/contract\.ts$/.test(to);
  const isOwn = to.startsWith(`${folder}/`);
  const isKit = imported === 'base' || imported === 'role';
  return isOwn || isContract || isKit ? undefined : `${from} imports ${to}: a role knows only src/role and contracts`;
}

function isOurs(name: string): boolean {
  return /^(src|roles|cli|bench|examples|test)\//.test(name);
}

function objections(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap(({ path, imports }) => [
    ...(partOf(path) === undefined ? [`${path} is on no floor`] : []),
    ...imports.filter(isOurs).flatMap((name) => objection(path, name) ?? []),
  ]);
}

/** Modules by which a file reads a clock, a disk, a socket or the machine. */
const acting =
  /^node:(fs|net|dgram|tls|http|https|http2|dns|child_process|worker_threads|timers|os|process|perf_hooks)\b/;

/** `isIP` of node:net is a pure function; it is the one thing that floor 0 and settings take from there. */
const readsAddresses: ReadonlySet<string> = new Set(['src/identity.ts', 'src/settings/settings.ts']);

function impurities(files: readonly SourceFile[]): readonly string[] {
  return files
    .filter(({ path }) => parts[partOf(path) ?? '']?.pure)
    .flatMap(({ path, imports }) =>
      imports
        .filter((name) => acting.test(name) && !(name === 'node:net' && readsAddresses.has(path)))
        .map((name) => `${path} imports ${name}`),
    );
}

/** Each circle once, as the chain of its files. */
function circles(files: readonly SourceFile[]): readonly string[] {
  const importsOf = new Map(files.map(({ path, imports }) => [path, imports]));
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, chain: readonly string[]): void => {
    const from = chain.indexOf(path);
    if (from >= 0) found.push([...chain.slice(from), path].join(' → '));
    if (from >= 0 || done.has(path)) return;
    for (const name of importsOf.get(path) ?? []) visit(name, [...chain, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return found;
}

const own = sourceFiles('src', 'roles', 'cli', 'bench', 'examples');

describe('imports', () => {
  test('point down the floors, types included', () => {
    assert.deepEqual(objections(own), []);
  });

  test('of a pure part bring in nothing that acts', () => {
    assert.deepEqual(impurities(own), []);
  });

  test('run in no circle', () => {
    assert.deepEqual(circles([...own, ...sourceFiles('test')]), []);
  });
});

describe('the check of the floors', () => {
  const objectionsTo = (path: string, ...lines: readonly string[]): readonly string[] =>
    objections([sourceFile(path, lines.join('\n'))]);

  const refused: readonly (readonly [what: string, path: string, line: string])[] = [
    ['cores that see each other', 'src/swim/swim.ts', "import { Raft } from '../raft/raft.ts';"],
    ['a type that points up', 'src/control/apply.ts', "import type { Member } from '../member/member.ts';"],
    ['a type in the middle of a list', 'src/raft/raft.ts', "import { type Swim } from '../swim/swim.ts';"],
    ['an export that points up', 'src/error.ts', "export * from './swim/swim.ts';"],
    ['an import type expression', 'src/config/config.ts', "let x: import('../net/udp.ts').Udp;"],
    ['a worker of another part', 'src/net/udp.ts', "new Worker(new URL('../store/wal.ts', import.meta.url));"],
    ['a driver that opens sockets itself', 'src/node/node.ts', "import { openUdp } from '../net/udp.ts';"],
    ['a pure part that acts', 'src/wire/datagram.ts', "import { openUdp } from '../net/udp.ts';"],
    ['two parts of one floor', 'src/session/session.ts', "import { State } from '../control/state.ts';"],
    ['two rooms of one part', 'src/member/pane/notes.ts', "import { P } from '../client/pane-client.ts';"],
    ['http below the composition', 'bench/api.bench.ts', "import { api } from '../src/http/http.ts';"],
    ['a role that sees the node', 'roles/dns/dns.ts', "import { Node } from '../../src/node/node.ts';"],
    ['a role that sees into another', 'roles/dns/dns.ts', "import { check } from '../host/check.ts';"],
    ['a node that knows a role', 'src/node/node.ts', "import { dns } from '../../roles/dns/dns.ts';"],
    ['a library that knows the command line', 'src/index.ts', "import { main } from '../cli/main.ts';"],
    ['a test used by the product', 'src/sim/sim.ts', "import { run } from '../../test/run.ts';"],
    ['a part that is on no floor', 'src/extra/extra.ts', ''],
    ['a stray file on the ground', 'src/extra.ts', ''],
  ];
  for (const [what, path, line] of refused) {
    test(`refuses ${what}`, () => assert.equal(objectionsTo(path, line).length, 1));
  }

  test('lets pass what the floors allow', () => {
    assert.deepEqual(
      [
        ...objectionsTo('src/member/member.ts', "import { a } from '../swim/swim.ts';", "import '../wire/wire.ts';"),
        ...objectionsTo('src/member/pane/notes.ts', "import { a } from '../outbox.ts';", "import './voters.ts';"),
        ...objectionsTo('src/member/reads.ts', "import './pane/notes.ts';", "import './client/pane-client.ts';"),
        ...objectionsTo('roles/dns/dns.ts', "import { a } from '../host/contract.ts';", "import './zone.ts';"),
        ...objectionsTo('cli/main.ts', "import { a } from '../src/http/http.ts';", "import { z } from 'zod';"),
        ...objectionsTo('src/swim/swim.ts', "// import { a } from '../raft/raft.ts';", "const s = '../raft/raft.ts';"),
      ],
      [],
    );
  });

  test('refuses a core that reads a disk', () => {
    assert.equal(impurities([sourceFile('src/swim/swim.ts', "import { readFileSync } from 'node:fs';")]).length, 1);
    assert.equal(impurities([sourceFile('src/swim/swim.ts', "import { isIP } from 'node:net';")]).length, 1);
  });

  test('finds a circle of three', () => {
    const files = ['ab', 'bc', 'ca'].map(([from, to]) => sourceFile(`src/swim/${from}.ts`, `import './${to}.ts';`));
    assert.deepEqual(circles(files), ['src/swim/a.ts → src/swim/b.ts → src/swim/c.ts → src/swim/a.ts']);
  });
});
