/** A YAML file as values that know where they were written. */
import { isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLError } from 'yaml';

/** A place in a text file; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** What is wrong, as a sentence without its final stop, and where. */
export interface Complaint {
  readonly at: Position;
  readonly sentence: string;
}

export type Path = readonly PropertyKey[];

export const fileStart: Position = { line: 1, column: 1 };

/** Finds values again in the file that they were read from. */
export interface Locator {
  /** Where the value at this path stands; its nearest ancestor when nothing is written there. */
  locate(path: Path): Position;
  /** Where the key that ends this path stands; its nearest ancestor when it is not written. */
  locateKey(path: Path): Position;
}

export interface YamlSource extends Locator {
  /** Plain data; `null` for an empty file. */
  readonly value: unknown;
}

/** One YAML 1.2 document, or what is wrong with it; whatever the library only warns of is a complaint, too. */
export function readYaml(text: string): YamlSource | readonly Complaint[] {
  const lines = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return line === 0 ? fileStart : { line, column: col };
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const errors = [...document.errors, ...document.warnings];
  if (errors.length > 0) return errors.map((error) => complaintOf(error, text, positionAt));
  const locateWithin = (path: Path, last: 'key' | 'value'): Position =>
    positionAt(offsetOf(document.contents, path, last));
  try {
    return {
      value: document.toJS() as unknown,
      locate: (path) => locateWithin(path, 'value'),
      locateKey: (path) => locateWithin(path, 'key'),
    };
  } catch (thrown) {
    // An alias without its anchor, or one that expands without end, shows only when the data is built.
    if (thrown instanceof ReferenceError) return [{ at: fileStart, sentence: sentenceOf(thrown) }];
    throw thrown;
  }
}

function complaintOf(error: YAMLError, text: string, positionAt: (offset: number) => Position): Complaint {
  const offset = error.pos[0];
  switch (error.code) {
    case 'DUPLICATE_KEY': {
      // Behind an empty value the library points at the end of the line before.
      const [, space = '', key = 'a key'] = /^(\s*)("[^"\n]*"|'[^'\n]*'|[^\s:]+)/.exec(text.slice(offset)) ?? [];
      return { at: positionAt(offset + space.length), sentence: `${key} is written twice; keep one of them` };
    }
    case 'MULTIPLE_DOCS':
      return { at: positionAt(offset), sentence: 'a second document starts here; a settings file is only one' };
    default:
      return { at: positionAt(offset), sentence: sentenceOf(error) };
  }
}

function sentenceOf(error: Error): string {
  return `this is not valid YAML: ${error.message.replace(/\.$/, '')}`;
}

/** The offset of the deepest part of `path` that is written down. */
function offsetOf(root: unknown, path: Path, last: 'key' | 'value'): number {
  let node = root;
  let found = startOf(root) ?? 0;
  for (const [depth, step] of path.entries()) {
    const pair = isMap(node) ? node.items.find((item) => keyOf(item) === String(step)) : undefined;
    node = isSeq(node) ? node.items[Number(step)] : pair?.value;
    const isKeyWanted = last === 'key' && depth === path.length - 1;
    const reached = (isKeyWanted ? undefined : startOf(node)) ?? startOf(pair?.key);
    if (reached === undefined) return found;
    found = reached;
  }
  return found;
}

function keyOf(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key);
}

/** An absent value ("host:" with nothing behind it) has an empty range and counts as not written. */
function startOf(node: unknown): number | undefined {
  if (!isNode(node) || !node.range) return undefined;
  const [from, to] = node.range;
  return from === to ? undefined : from;
}
