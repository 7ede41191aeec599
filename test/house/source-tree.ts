/** The repository's own files, as the tests of this folder read them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export const root: string = join(import.meta.dirname, '../..');

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with its comments blanked out; offsets and lines stay. */
  readonly code: string;
  /** The code with the content of its strings and regular expressions blanked out, too. */
  readonly bare: string;
  /** Whatever it imports, types included: paths from the root, or names of packages. */
  readonly imports: readonly string[];
}

export function sourceFile(path: string, text: string): SourceFile {
  const code = blank(text, (token) => token.startsWith('/*') || token.startsWith('//'));
  const bare = blank(text, () => true);
  return { path, text, code, bare, imports: importsOf(path, code, bare) };
}

/** All TypeScript files below these folders, sorted; folders that do not exist have none. */
export function sourceFiles(...folders: readonly string[]): readonly SourceFile[] {
  return folders
    .flatMap((folder) => pathsBelow(folder))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => sourceFile(path, readFileSync(join(root, path), 'utf8')));
}

const notOurs: ReadonlySet<string> = new Set(['.git', '.hivemind', 'coverage', 'dist', 'node_modules']);

/** All files below a folder but generated and foreign ones, from the root, sorted. */
export function pathsBelow(folder: string): readonly string[] {
  const absolute = join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { withFileTypes: true })
    .filter((entry) => !notOurs.has(entry.name))
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name);
      return entry.isDirectory() ? pathsBelow(path) : [path];
    })
    .sort();
}

const comment = String.raw`\/\*[\s\S]*?\*\/|\/\/[^\n]*`;
const quoted = String.raw`'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\x60(?:\\[\s\S]|[^\x60\\])*\x60`;
/** A slash opens a regular expression where a value may begin; everywhere else it divides. */
const valueBegins = String.raw`(?<=(?:[(,=:[!&|?{};+>]|\breturn)\s*)`;
const regexBody = String.raw`\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*`;
const token = new RegExp(`${comment}|${quoted}|${valueBegins}${regexBody}`, 'g');

function blank(text: string, isBlanked: (token: string) => boolean): string {
  return text.replace(token, (found) => (isBlanked(found) ? found.replace(/[^\n]/g, ' ') : found));
}

const importForms: readonly RegExp[] = [
  /\bimport\s+(?:type\s+)?[\w*{}$,\s]+?\bfrom\s*'([^']+)'/g,
  /\bexport\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*'([^']+)'/g,
  /\bimport\s*\(?\s*'([^']+)'/g,
  // A worker is started from its own file.
  /\bnew URL\(\s*'([^']+)'\s*,\s*import\.meta\.url/g,
];

function importsOf(path: string, code: string, bare: string): readonly string[] {
  const names = importForms.flatMap((form) =>
    [...code.matchAll(form)].filter(({ index }) => bare[index] !== ' ').map((match) => match[1] ?? ''),
  );
  return names.map((name) =>
    name.startsWith('.') ? posix.join(posix.dirname(path), name.replace(/\.js$/, '.ts')) : name,
  );
}
