/** Columns of text: aligned, without borders, and easy to cut by a program that reads lines. */
import { type Paint, plainPaint, type Tone } from './paint.ts';

export interface TonedText {
  readonly text: string;
  readonly tone: Tone;
}

export type Cell = string | number | TonedText;

const gap = '  ';
/** Stands where there is nothing, so that a row has as many words as there are columns. */
export const nothing = '-';

/** Headings, then a line for each row. Columns of numbers are aligned to the right. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint = plainPaint,
): string {
  const columns = headings.map((heading, at) => {
    const cells = rows.map((row) => row[at] ?? nothing);
    const width = Math.max(heading.length, ...cells.map((cell) => textOf(cell).length));
    return { width, isNumeric: isNumeric(cells) };
  });
  const line = (cells: readonly Cell[]): string =>
    columns
      .map(({ width, isNumeric }, at) => {
        const cell = cells[at] ?? nothing;
        const padding = ' '.repeat(width - textOf(cell).length);
        if (isNumeric) return padding + shown(cell, paint);
        return shown(cell, paint) + (at < columns.length - 1 ? padding : '');
      })
      .join(gap)
      .trimEnd();
  return [line(headings.map((text) => ({ text, tone: 'heading' }))), ...rows.map(line)].join('\n');
}

/** A line for each fact, with what it is about in front. A fact without a label belongs to the one before. */
export function facts(rows: readonly (readonly [label: string, value: Cell])[], paint: Paint = plainPaint): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => label.padEnd(width) + gap + shown(value, paint)).join('\n');
}

/** Names one after the other, or the sign that there are none. */
export function listed(names: readonly string[]): string {
  return names.length > 0 ? names.join(', ') : nothing;
}

/** Names that are written out before they are only counted. */
const namesMax = 8;

/** The first names, and how many more there are. */
export function firstOf(names: readonly string[], most: number = namesMax): string {
  if (names.length <= most) return listed(names);
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}

/** A list of texts in an answer that may hold anything. */
export function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isNumeric(cells: readonly Cell[]): boolean {
  const present = cells.filter((cell) => cell !== nothing);
  return present.length > 0 && present.every((cell) => typeof cell === 'number');
}

function textOf(cell: Cell): string {
  return typeof cell === 'object' ? cell.text : String(cell);
}

function shown(cell: Cell, paint: Paint): string {
  return typeof cell === 'object' ? paint(cell.tone, cell.text) : String(cell);
}
