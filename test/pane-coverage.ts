/**
 * How much of the control pane's foundations their tests reach: `npm run coverage:pane` runs those of src/raft and
 * src/store, prints how many branches of each file were taken and where one was not, and fails below 95 of 100, or
 * where a function is never called: V8 counts all of it as one branch, however long it is.
 *
 * It reads what V8 wrote down and follows the source maps, because Node 20 names the lines of what tsx made of a file.
 * A branch is a block that V8 counts. The end of a switch in `unreachable` is none: the compiler proves that it is not.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const folders = ['raft', 'store'];
const leastShare = 0.95;
/** Called from the floor above alone, whose own tests are not run here: Voters asks it before it begins a change. */
const calledFromAbove: ReadonlySet<string> = new Set(['objectionTo']);

const root = join(import.meta.dirname, '..');

/** As V8 tells it: how often the innermost block around each place was entered. */
interface Block {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Callable {
  /** Empty for one that has no name of its own. */
  readonly functionName: string;
  /** The first one is all of it. */
  readonly ranges: readonly [Block, ...Block[]];
}

/** What one process or thread wrote when it ended. */
interface Dump {
  readonly result: readonly { readonly url: string; readonly functions: readonly Callable[] }[];
  readonly 'source-map-cache'?: Readonly<Record<string, { readonly lineLengths: number[]; data: SourceMapPayload }>>;
}

interface FileCoverage {
  readonly branches: number;
  /** Counted from 0. */
  readonly missedLines: readonly number[];
  /** Functions that are never called, each with its line. */
  readonly uncalled: readonly string[];
}

/** Of a file that no test loads. */
const nothing: FileCoverage = { branches: 0, missedLines: [], uncalled: [] };

/** Whether all passed; what they said comes out only when not. */
function runTests(coverageFolder: string): boolean {
  const filters = folders.map((folder) => join('test', folder));
  const env = { ...process.env, NODE_V8_COVERAGE: coverageFolder };
  const args = ['--import', 'tsx', join(import.meta.dirname, 'run.ts'), ...filters];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, env, maxBuffer: 1e9, encoding: 'utf8' });
  if (status !== 0) process.stdout.write(stdout);
  return status === 0;
}

function readDumps(coverageFolder: string): readonly Dump[] {
  const names = readdirSync(coverageFolder).filter((name) => name.startsWith('coverage-'));
  return names.map((name) => JSON.parse(readFileSync(join(coverageFolder, name), 'utf8')) as Dump);
}

function coverageOf(url: string, dumps: readonly Dump[]): FileCoverage {
  const seen = dumps.map((dump) => blocksIn(dump, url)).filter((blocks) => blocks.length > 0);
  const all = new Map(seen.flat().map((block) => [`${block.startOffset} ${block.endOffset}`, block]));
  const lineOf = lineFinder(url, dumps);
  const source = readFileSync(fileURLToPath(url), 'utf8').split('\n');
  const missed = [...all.values()]
    .filter((block) => !seen.some((blocks) => countOf(block, blocks) > 0))
    .map((block) => lineOf(block.startOffset));
  const missedLines = missed.filter((line) => !isUnreachable(source, line)).sort((a, b) => a - b);
  const uncalled = uncalledIn(dumps, url)
    .map(({ functionName, ranges: [{ startOffset }] }) => ({ functionName, line: lineOf(startOffset) }))
    .filter(({ functionName, line }) => !calledFromAbove.has(functionName) && !isPlaceholder(source, line))
    .map(({ functionName, line }) => `${functionName || 'a function'} (line ${line + 1})`);
  return { branches: all.size - (missed.length - missedLines.length), missedLines, uncalled };
}

function functionsIn({ result }: Dump, url: string): readonly Callable[] {
  return result.find((script) => script.url === url)?.functions ?? [];
}

function blocksIn(dump: Dump, url: string): readonly Block[] {
  return functionsIn(dump, url).flatMap(({ ranges }) => ranges);
}

function uncalledIn(dumps: readonly Dump[], url: string): readonly Callable[] {
  const seen = new Map<string, Callable>();
  const called = new Set<string>();
  for (const each of dumps.flatMap((dump) => functionsIn(dump, url))) {
    const [{ startOffset, endOffset, count }] = each.ranges;
    const place = `${startOffset} ${endOffset}`;
    seen.set(place, each);
    if (count > 0) called.add(place);
  }
  return [...seen].filter(([place]) => !called.has(place)).map(([, each]) => each);
}

/** Another process may not have told this block from the one around it: then both were entered as often. */
function countOf({ startOffset, endOffset }: Block, blocks: readonly Block[]): number {
  const around = blocks.filter((block) => block.startOffset <= startOffset && block.endOffset >= endOffset);
  const lengthOf = (block: Block): number => block.endOffset - block.startOffset;
  return around.sort((a, b) => lengthOf(a) - lengthOf(b))[0]?.count ?? 0;
}

/** From a place in what ran to the line in the source, counted from 0. */
function lineFinder(url: string, dumps: readonly Dump[]): (offset: number) => number {
  const cached = dumps.map((dump) => dump['source-map-cache']?.[url]).find((each) => each !== undefined);
  if (cached === undefined) throw new Error(`${url} ran without a source map.`);
  const map = new SourceMap(cached.data);
  return (offset) => {
    let [line, column] = [0, offset];
    while (column > (cached.lineLengths[line] ?? Number.POSITIVE_INFINITY))
      column -= (cached.lineLengths[line++] ?? 0) + 1;
    return (map.findEntry(line, column) as { originalLine?: number }).originalLine ?? 0;
  };
}

function isUnreachable(source: readonly string[], line: number): boolean {
  return source[line]?.trim() === 'default:' && source[line + 1]?.includes('unreachable(') === true;
}

/** One that does nothing stands where none is wanted: that it is not called is as good. */
function isPlaceholder(source: readonly string[], line: number): boolean {
  return source[line]?.includes('() => {}') === true;
}

/** Types leave nothing that could run. */
function isTypesAlone(path: string): boolean {
  return !/^(export )?(const|let|function|class|async) /m.test(readFileSync(path, 'utf8'));
}

/** Whether all is reached that has to be. */
function report(folder: string, dumps: readonly Dump[]): boolean {
  const loaded = new Set(dumps.flatMap(({ result }) => result.map(({ url }) => url)));
  const sum = { branches: 0, missed: 0, isEnough: true };
  const tell = (what: string, branches: number, missed: number, detail: string): void => {
    const taken = branches - missed;
    const isLow = branches === 0 || taken < leastShare * branches;
    if (isLow) sum.isEnough = false;
    const share = ((100 * taken) / Math.max(1, branches)).toFixed(1);
    process.stdout.write(`${isLow ? '✖' : ' '} ${share.padStart(5)} %  ${what}${detail}\n`);
  };
  const inside = join(root, 'src', folder);
  for (const path of readdirSync(inside).map((name) => join(inside, name))) {
    const url = pathToFileURL(path).href;
    if (!loaded.has(url) && isTypesAlone(path)) continue;
    const { branches, missedLines, uncalled } = loaded.has(url) ? coverageOf(url, dumps) : nothing;
    const detail = missedLines.length === 0 ? '' : `: not at line ${missedLines.map((line) => line + 1).join(', ')}`;
    tell(relative(root, path), branches, missedLines.length, detail);
    for (const name of uncalled) process.stdout.write(`✖ ${relative(root, path)}: ${name} is never called\n`);
    if (uncalled.length > 0) sum.isEnough = false;
    sum.branches += branches;
    sum.missed += missedLines.length;
  }
  tell(`src/${folder}`, sum.branches, sum.missed, `, ${sum.branches} branches`);
  return sum.isEnough;
}

const coverageFolder = mkdtempSync(join(tmpdir(), 'hivemind-coverage-'));
try {
  const hasPassed = runTests(coverageFolder);
  const dumps = readDumps(coverageFolder);
  process.exitCode = hasPassed && folders.map((folder) => report(folder, dumps)).every(Boolean) ? 0 : 1;
} finally {
  rmSync(coverageFolder, { recursive: true });
}
