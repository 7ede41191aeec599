/**
 * Whether a history can be that of a log which loses nothing that it acknowledged, takes nothing twice, keeps the order
 * in which things happened, and gives no stale answer to whoever asked for the newest.
 *
 * Values are unique and the log is the order of all: so nothing has to be searched, and the check takes no longer than
 * sorting the operations by time.
 */
import type { Append, ChainedEntry, Entry, HeldLog, History, Read } from './history.ts';

export type Rule =
  | 'an acknowledged value is in the log'
  | 'an acknowledged value is where its answer says'
  | 'a value is acknowledged at one index'
  | 'a value is taken once'
  | 'a refused value is not in the log'
  | 'whatever is in the log was asked for'
  | 'what is asked for later stands later'
  | 'a consistent read has all that was known before it'
  | 'a read shows what the log holds'
  | 'a read leaves nothing out'
  | 'each control node has a log'
  | 'a log has no gap'
  | 'all logs are the same'
  | 'all logs reach as far'
  | 'members are who the log says';

export interface Violation {
  readonly rule: Rule;
  readonly sentence: string;
}

/** A history that is wrong in one place is wrong in many: of each rule so many are told. */
export const violationsPerRuleMax = 5;

export function checkHistory(history: History): readonly Violation[] {
  const found = new Findings();
  const log = wholeLog(history, found);
  const values = valuesOf(history, log, found);
  checkAppends(values, found);
  const reads = history.operations.filter((operation) => operation.kind === 'read');
  for (const read of reads) checkRead(read, log, found);
  checkTimes([...values.values()], reads, found);
  checkMembers(history.members, found);
  return found.violations;
}

class Findings {
  readonly violations: Violation[] = [];
  private readonly counts = new Map<Rule, number>();

  add(rule: Rule, sentence: string): void {
    const count = (this.counts.get(rule) ?? 0) + 1;
    this.counts.set(rule, count);
    if (count <= violationsPerRuleMax) this.violations.push({ rule, sentence });
  }
}

// — the log —

/** All that anybody holds, from entry 1 on: the archive, and what the longest log has behind it. */
function wholeLog({ archive, control, logs }: History, found: Findings): readonly ChainedEntry[] {
  const whole: ChainedEntry[] = [];
  for (const log of [archive, ...logs]) {
    checkGaps(log, found);
    const before = whole[log.first - 2];
    if (before !== undefined && before.chain !== log.chainBefore) {
      found.add('all logs are the same', `${log.node} forgot another log before entry ${log.first} than others hold.`);
    }
    for (const entry of log.entries) join(whole, entry, log, found);
  }
  for (const name of control) {
    if (!logs.some(({ node }) => node === name)) found.add('each control node has a log', `${name} has none.`);
  }
  // The archive counts: what all control nodes lost together, it alone still has.
  const last = Math.max(...[archive, ...logs].map(lastIndexOf));
  for (const log of logs) {
    const reached = lastIndexOf(log);
    if (reached < last) found.add('all logs reach as far', `${log.node} ends at ${reached}, another one at ${last}.`);
  }
  return whole;
}

function checkGaps({ node, first, entries }: HeldLog, found: Findings): void {
  entries.forEach(({ index }, position) => {
    if (index !== first + position) found.add('a log has no gap', `${node} has ${index} as entry ${first + position}.`);
  });
}

function join(whole: ChainedEntry[], entry: ChainedEntry, { node }: HeldLog, found: Findings): void {
  const known = whole[entry.index - 1];
  if (known === undefined && entry.index === whole.length + 1) whole.push(entry);
  else if (known === undefined) found.add('a log has no gap', `Nobody holds what is before entry ${entry.index}.`);
  else if (known.chain !== entry.chain) {
    found.add(
      'all logs are the same',
      `${node} has another entry ${entry.index}: ${shown(entry)}, not ${shown(known)}.`,
    );
  }
}

function lastIndexOf({ first, entries }: HeldLog): number {
  return first + entries.length - 1;
}

// — appends —

/** All that was asked and told about one value. */
interface Value {
  readonly value: string;
  readonly invokedAt: number;
  /** When it was acknowledged first. */
  readonly ackedAt: number | undefined;
  /** Those that answers named. */
  readonly ackedAs: ReadonlySet<number>;
  readonly isRefused: boolean;
  /** Where it stands; undefined when it does not. */
  readonly index: number | undefined;
}

function valuesOf({ operations }: History, log: readonly ChainedEntry[], found: Findings): ReadonlyMap<string, Value> {
  const standsAt = indexesOf(log, found);
  const values = new Map<string, Value>();
  for (const operation of operations) {
    if (operation.kind !== 'append') continue;
    const { value } = operation;
    values.set(value, merge(values.get(value), operation, standsAt.get(value)));
  }
  for (const [value, index] of standsAt) {
    if (values.has(value)) continue;
    found.add('whatever is in the log was asked for', `Nobody asked for ${value}, which is entry ${index}.`);
  }
  return values;
}

function indexesOf(log: readonly ChainedEntry[], found: Findings): ReadonlyMap<string, number> {
  const indexes = new Map<string, number>();
  for (const { index, value } of log) {
    if (value === undefined) continue;
    const first = indexes.get(value);
    if (first === undefined) indexes.set(value, index);
    else found.add('a value is taken once', `${value} is entry ${first}, and entry ${index} as well.`);
  }
  return indexes;
}

function merge(known: Value | undefined, append: Append, index: number | undefined): Value {
  const { value, invokedAt, returnedAt, outcome } = append;
  const isAcked = outcome.kind === 'acked';
  const acks = [known?.ackedAt, isAcked ? returnedAt : undefined].filter((at) => at !== undefined);
  return {
    value,
    invokedAt: Math.min(invokedAt, known?.invokedAt ?? invokedAt),
    ackedAt: acks.length === 0 ? undefined : Math.min(...acks),
    ackedAs: new Set([...(known?.ackedAs ?? []), ...(isAcked && outcome.index !== undefined ? [outcome.index] : [])]),
    isRefused: (known?.isRefused ?? true) && outcome.kind === 'refused',
    index,
  };
}

function checkAppends(values: ReadonlyMap<string, Value>, found: Findings): void {
  for (const { value, ackedAt, ackedAs, isRefused, index } of values.values()) {
    if (ackedAs.size > 1) {
      found.add('a value is acknowledged at one index', `${value} was acknowledged as ${[...ackedAs].join(' and ')}.`);
    } else if (ackedAt !== undefined && index === undefined) {
      const [as] = ackedAs;
      found.add('an acknowledged value is in the log', `${value} was acknowledged as entry ${as}, and is not there.`);
    } else if (index !== undefined && ackedAs.size === 1 && !ackedAs.has(index)) {
      const sentence = `${value} was acknowledged as ${[...ackedAs].join()}, and is entry ${index}.`;
      found.add('an acknowledged value is where its answer says', sentence);
    }
    if (isRefused && index !== undefined) {
      found.add('a refused value is not in the log', `${value} was refused, and is entry ${index}.`);
    }
  }
}

// — reads —

function checkRead(read: Read, log: readonly Entry[], found: Findings): void {
  const { node, entries, from, most, commitIndex } = read;
  if (commitIndex > log.length) {
    const sentence = `${node} said that ${commitIndex} entries are decided; there are ${log.length}.`;
    found.add('a read shows what the log holds', sentence);
  }
  entries.forEach((entry, position) => {
    const held = log[entry.index - 1];
    if (held === undefined || !isSame(entry, held)) {
      const is = held === undefined ? 'nothing' : shown(held);
      found.add('a read shows what the log holds', `${node} showed ${shown(entry)} where there is ${is}.`);
    }
    if (entry.index !== from + position) {
      found.add('a read leaves nothing out', `${node} showed ${entry.index} in the place of ${from + position}.`);
    }
  });
  const reached = from + entries.length - 1;
  if (entries.length < most && reached < commitIndex) {
    found.add('a read leaves nothing out', `${node} showed entries up to ${reached}, of ${commitIndex} decided.`);
  }
  if (reached > commitIndex) {
    found.add('a read shows what the log holds', `${node} showed entry ${reached}, of ${commitIndex} decided.`);
  }
}

function isSame(one: Entry, other: Entry): boolean {
  return one.term === other.term && one.kind === other.kind && one.text === other.text;
}

function shown({ index, term, kind, text }: Entry): string {
  return `${kind} ${text} (${index}, term ${term})`;
}

// — the order in time —

interface Moment {
  readonly at: number;
  readonly isReturn: boolean;
  /** What is known to be decided from here on. */
  readonly decided: number;
  /** Told how far the log was known to be decided before. */
  readonly onKnown?: (decided: number) => void;
}

function checkTimes(values: readonly Value[], reads: readonly Read[], found: Findings): void {
  const moments = [
    ...values.flatMap((value) => momentsOfValue(value, found)),
    ...reads.flatMap((read) => momentsOfRead(read, found)),
  ];
  // Two things at the same moment may have happened in either order.
  moments.sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn));
  let known = 0;
  for (const { decided, onKnown } of moments) {
    onKnown?.(known);
    known = Math.max(known, decided);
  }
}

function momentsOfValue({ value, index, invokedAt, ackedAt }: Value, found: Findings): readonly Moment[] {
  if (index === undefined) return [];
  const onKnown = (decided: number): void => {
    if (index > decided) return;
    const sentence = `${value} is entry ${index}, and was asked for when entry ${decided} was known to be decided.`;
    found.add('what is asked for later stands later', sentence);
  };
  const invoked = { at: invokedAt, isReturn: false, decided: 0, onKnown };
  return ackedAt === undefined ? [invoked] : [invoked, { at: ackedAt, isReturn: true, decided: index }];
}

function momentsOfRead(read: Read, found: Findings): readonly Moment[] {
  const { node, isConsistent, invokedAt, returnedAt, commitIndex } = read;
  const returned = { at: returnedAt, isReturn: true, decided: commitIndex };
  if (!isConsistent) return [returned];
  const onKnown = (decided: number): void => {
    if (commitIndex >= decided) return;
    const sentence = `${node} showed the log up to ${commitIndex}, asked when ${decided} was known to be decided.`;
    found.add('a consistent read has all that was known before it', sentence);
  };
  return [{ at: invokedAt, isReturn: false, decided: 0, onKnown }, returned];
}

// — members —

function checkMembers({ decided, seen }: History['members'], found: Findings): void {
  const wanted = [...decided].sort().join(', ');
  for (const [node, names] of seen) {
    const has = [...names].sort().join(', ');
    if (has === wanted) continue;
    found.add('members are who the log says', `${node} counts ${has || 'nobody'}; the log says ${wanted || 'nobody'}.`);
  }
}
