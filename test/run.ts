/**
 * Runs the tests: `node --import tsx test/run.ts [filters…]`, where a filter is any part of a file's path.
 *
 * It exists because `node --test test` runs nothing on Node 20 and calls that a success. Here a run without
 * files, without tests, or with a file that holds no test is a failure.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const filesAtOnce = 2;
/** A file that takes longer has hung. */
const fileTimeoutMs = 600_000;

const root = import.meta.dirname;
const isIntegration = (file: string): boolean => file.startsWith(join(root, 'integration'));

/** All test files whose path below test/ holds one of the filters; those that start processes come last. */
function testFiles(filters: readonly string[]): string[] {
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => filters.length === 0 || filters.some((filter) => join('test', path).includes(filter)))
    .map((path) => join(root, path))
    .sort();
  return [...found.filter((file) => !isIntegration(file)), ...found.filter(isIntegration)];
}

interface Outcome {
  readonly name: string;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details: { readonly type?: string; readonly error?: unknown };
}

const tally = { passed: 0, failed: 0, skipped: 0 };
const emptyFiles: string[] = [];

/** Whether a test failed only because one inside it did, which was counted already. */
function failedInside(outcome: Outcome): boolean {
  const { error } = outcome.details;
  return error instanceof Error && 'failureType' in error && error.failureType === 'subtestsFailed';
}

/** A file is reported as a test of its own when it crashed or, which passes as success, when it holds none. */
function count(outcome: Outcome, passed: boolean, files: ReadonlySet<string>): void {
  if (passed ? outcome.details.type === 'suite' : failedInside(outcome)) return;
  if (passed && files.has(outcome.name)) {
    tally.failed++;
    emptyFiles.push(outcome.name);
  } else if (outcome.skip !== undefined || outcome.todo !== undefined) tally.skipped++;
  else if (passed) tally.passed++;
  else tally.failed++;
}

/** The verdict is printed at exit, so that it comes last whatever ends the process. */
function conclude(code: number): void {
  for (const file of emptyFiles) console.error(`${relative(process.cwd(), file)} holds no test.`);
  const ran = tally.passed + tally.failed;
  if (ran === 0) console.error('No test ran.');
  console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
  process.exitCode = code === 0 && ran > 0 && tally.failed === 0 ? 0 : 1;
}

const files = testFiles(process.argv.slice(2));
process.on('exit', conclude);
if (files.length > 0) {
  const known = new Set(files);
  // forceExit: a test that leaks a socket or a timer must not keep the whole run waiting.
  const stream = run({ files, concurrency: filesAtOnce, forceExit: true, timeout: fileTimeoutMs });
  stream.on('test:pass', (outcome) => count(outcome, true, known));
  stream.on('test:fail', (outcome) => count(outcome, false, known));
  const report = stream.compose(new spec());
  report.on('end', () => process.exit());
  report.pipe(process.stdout);
}
