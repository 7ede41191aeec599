/**
 * Breaks the sources in one place at a time: what finds no bug in such a copy does not check the rule. A copy counts as
 * caught only when a promise is seen broken: one that does not load, trips over itself or does not come to an end has
 * shown nothing of the rule. And what fails without any mutant shows nothing either, so that is tried first.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unreachable } from '../../src/assert.ts';

const root = join(import.meta.dirname, '..', '..');
/** What one run may print. */
const outputBytesMax = 64 * 1024 * 1024;

export interface Mutant {
  /** What the product then does wrong. */
  readonly wrong: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Its wrong is that something goes on for ever, so that a run without an end shows it. Default false. */
  readonly mayHang?: boolean;
}

/** What became of a copy. */
export type Fate =
  | { readonly kind: 'survives' }
  /** `how`: which promise was seen broken, and where. */
  | { readonly kind: 'caught'; readonly how: string }
  /** It does not load, or ended with an error that no promise speaks of, such as a TypeError. */
  | { readonly kind: 'crashes'; readonly how: string }
  | { readonly kind: 'hangs' };

export interface Mutation {
  readonly mutants: readonly Mutant[];
  /** The mutants' files are below it. */
  readonly below: string;
  /** What is copied besides src. */
  readonly tests: readonly string[];
  readonly fateIn: (folder: string) => Fate;
}

/** The sources as they are, in a folder of their own. */
function copy({ tests }: Mutation): string {
  const folder = mkdtempSync(join(tmpdir(), 'hivemind-mutant-'));
  for (const part of ['src', 'package.json', ...tests]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function plant(folder: string, { below }: Mutation, { file, from, to }: Mutant): void {
  const path = join(folder, below, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
}

/** Mutants that the sources have outgrown: what they replace is not there exactly once. */
export function outgrown({ mutants, below }: Mutation): readonly string[] {
  const isThere = ({ file, from }: Mutant): boolean =>
    readFileSync(join(root, below, file), 'utf8').split(from).length === 2;
  return mutants.filter((mutant) => !isThere(mutant)).map(({ wrong }) => wrong);
}

// — what becomes of a copy —

export interface ProcessEnd {
  /** Nothing when it ran for longer than it may. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs node in a copy. */
export function runIn(folder: string, parameters: readonly string[], runMsMax: number): ProcessEnd {
  const options = { cwd: folder, encoding: 'utf8', timeout: runMsMax, maxBuffer: outputBytesMax } as const;
  const { status, stdout, stderr, error } = spawnSync(process.execPath, parameters, options);
  const isOverdue = error !== undefined && 'code' in error && error.code === 'ETIMEDOUT';
  if (error !== undefined && !isOverdue) throw error;
  if (status === null && !isOverdue) throw new Error(`a process was ended by somebody:\n${stderr}`);
  return { status: status ?? undefined, stdout, stderr };
}

/** What the engine throws where a program is nonsense. */
const isNonsense = (text: string): boolean => /\b(?:Type|Reference|Syntax)Error\b/.test(text);

/** Seen broken, if `how` is of a promise. */
export function fateBy(how: string): Fate {
  return { kind: isNonsense(how) ? 'crashes' : 'caught', how };
}

/** What the test files of a copy say of it. */
export function fateByTests(folder: string, files: readonly string[], runMsMax: number): Fate {
  const parameters = ['--import', 'tsx', '--test', '--test-reporter=tap', ...files];
  const { status, stdout, stderr } = runIn(folder, parameters, runMsMax);
  if (status === 0) return { kind: 'survives' };
  if (status === undefined) return { kind: 'hangs' };
  const failures = failuresIn(stdout);
  const unfit = failures.find(({ isOfTest }) => !isOfTest);
  const broken = failures.find(({ error }) => !isNonsense(error)) ?? failures[0];
  if (unfit !== undefined || broken === undefined)
    return { kind: 'crashes', how: `${unfit?.name ?? 'no test'} failed\n${stdout}${stderr}` };
  return fateBy(`${broken.name}: ${broken.error}`);
}

export interface Failure {
  readonly name: string;
  /** The name of what was thrown, and the first line of its message. */
  readonly error: string;
  /** A test said so itself; else its file did not load or ended early, or the test did not end. */
  readonly isOfTest: boolean;
}

/** Those in a report by TAP, nested ones as well, but not again the suites that hold them. */
export function failuresIn(tap: string): readonly Failure[] {
  const reports = tap.matchAll(/^ *not ok \d+ - (.*)\n *---\n((?:.*\n)*?) *\.\.\.$/gm);
  return [...reports].flatMap(([, name = '', details = '']) => {
    const [, type = ''] = /^ *failureType: '(.*)'$/m.exec(details) ?? [];
    if (type === 'subtestsFailed') return [];
    const [, thrown = 'Error'] = /^ *name: '(.*)'$/m.exec(details) ?? [];
    const [, message = ''] = /^ *error: (?:\|-\n *|['"])?(.*?)['"]?$/m.exec(details) ?? [];
    return [{ name, error: `${thrown}: ${message}`, isOfTest: type === 'testCodeFailure' && !name.endsWith('.ts') }];
  });
}

/** In a copy with this mutant, or with none. */
function fateOf(mutation: Mutation, mutant?: Mutant): Fate {
  const folder = copy(mutation);
  try {
    if (mutant !== undefined) plant(folder, mutation, mutant);
    return mutation.fateIn(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function describe(fate: Fate): string {
  switch (fate.kind) {
    case 'survives':
      return 'SURVIVES';
    case 'caught':
      return fate.how;
    case 'crashes':
      return `CRASHES: ${fate.how}`;
    case 'hangs':
      return 'HANGS';
    default:
      return unreachable(fate);
  }
}

function isCaught(mutation: Mutation, mutant: Mutant): boolean {
  const fate = fateOf(mutation, mutant);
  process.stdout.write(`${mutant.wrong.padEnd(88)} ${describe(fate)}\n`);
  return fate.kind === 'caught' || (fate.kind === 'hangs' && mutant.mayHang === true);
}

/**
 * Where the script at `url` was started, tries the mutants whose name holds the first argument; exit code 1 when one
 * is not caught, or when there are none.
 *
 * @throws Error when the sources hold no longer what is replaced, or fail as they are
 */
export function tryWhenRun(url: string, mutation: Mutation): void {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const old = outgrown(mutation);
  if (old.length > 0) throw new Error(`the sources do not hold exactly once what these replace: ${old.join('; ')}`);
  const sound = fateOf(mutation);
  if (sound.kind !== 'survives') throw new Error(`the sources fail without any mutant: ${describe(sound)}`);
  const [wanted = ''] = process.argv.slice(2);
  const tried = mutation.mutants.filter(({ wrong }) => wrong.includes(wanted));
  const caught = tried.filter((mutant) => isCaught(mutation, mutant)).length;
  process.stdout.write(`${caught} of ${tried.length} mutants are caught\n`);
  process.exitCode = tried.length > 0 && caught === tried.length ? 0 : 1;
}
