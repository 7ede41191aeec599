/** Breaks the sources in one place at a time: what finds no bug in such a copy does not check the rule. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(import.meta.dirname, '..', '..');

export interface Mutant {
  /** What the product then does wrong. */
  readonly wrong: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Mutation {
  readonly mutants: readonly Mutant[];
  /** The mutants' files are below it. */
  readonly below: string;
  /** What is copied besides src. */
  readonly tests: readonly string[];
  /** How the copy in this folder was caught; nothing when it survives. */
  readonly fateIn: (folder: string) => string | undefined;
}

/** The sources with one thing wrong, in a folder of their own. */
function plant({ below, tests }: Mutation, { file, from, to }: Mutant): string {
  const folder = mkdtempSync(join(tmpdir(), 'hivemind-mutant-'));
  for (const part of ['src', 'package.json', ...tests]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const path = join(folder, below, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  return folder;
}

/** Mutants that the sources have outgrown: what they replace is not there exactly once. */
export function outgrown({ mutants, below }: Mutation): readonly string[] {
  const isThere = ({ file, from }: Mutant): boolean =>
    readFileSync(join(root, below, file), 'utf8').split(from).length === 2;
  return mutants.filter((mutant) => !isThere(mutant)).map(({ wrong }) => wrong);
}

function isCaught(mutation: Mutation, mutant: Mutant): boolean {
  const folder = plant(mutation, mutant);
  try {
    const fate = mutation.fateIn(folder);
    process.stdout.write(`${mutant.wrong.padEnd(88)} ${fate ?? 'SURVIVES'}\n`);
    return fate !== undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Where the script at `url` was started, tries the mutants whose name holds the first argument; exit code 1 when one
 * survives, or when there are none.
 */
export function tryWhenRun(url: string, mutation: Mutation): void {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const old = outgrown(mutation);
  if (old.length > 0) throw new Error(`the sources do not hold exactly once what these replace: ${old.join('; ')}`);
  const [wanted = ''] = process.argv.slice(2);
  const tried = mutation.mutants.filter(({ wrong }) => wrong.includes(wanted));
  const caught = tried.filter((mutant) => isCaught(mutation, mutant)).length;
  process.stdout.write(`${caught} of ${tried.length} mutants are caught\n`);
  process.exitCode = tried.length > 0 && caught === tried.length ? 0 : 1;
}
