/** Where answers go: stdout, as text for people or as JSON for programs. */
import { choosePaint, type Paint } from './paint.ts';

/** How the answer to one command looks to people. */
export type Rendering<Answer> = (answer: Answer, paint: Paint) => string;

/** Writes the whole answer: as one JSON document, or as `render` shows it. */
export function printAnswer<Answer>(answer: Answer, asJson: boolean, render: Rendering<Answer>): void {
  printLine(asJson ? JSON.stringify(answer, undefined, 2) : render(printable(answer), choosePaint()));
}

/** Writes one item of several: as one line of JSON (NDJSON), or as `render` shows it. */
export function printItem<Item>(item: Item, asJson: boolean, render: Rendering<Item>): void {
  printLine(asJson ? JSON.stringify(item) : render(printable(item), choosePaint()));
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** For what people should know beside the answer. */
export function printNote(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Ends quietly once nobody reads any more, as in `hivemind log | head`. */
export function endWithReader(): void {
  process.stdout.on('error', onUnwritable);
}

/** For an agent, which matters more than what it says: it goes on when that cannot be written any more. */
export function outliveReader(): void {
  process.stdout.off('error', onUnwritable);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

function onUnwritable(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit();
  throw error;
}

/**
 * The same value with all control characters taken out of its texts: other nodes wrote some of them, and a
 * terminal would obey.
 */
export function printable<Value>(value: Value): Value {
  return cleaned(value) as Value;
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/\s+/gu, ' ').replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\ufffd');
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [String(cleaned(name)), cleaned(inner)]));
}
