/** Each rule of the checker is shown a small history that breaks this rule and no other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkHistory, type Rule, violationsPerRuleMax } from './check.ts';
import type { Append, AppendOutcome, ChainedEntry, HeldLog, History, Read } from './history.ts';

/** The log that all hold: an entry for each value; what has none is nobody's wish. */
function logOf(...values: readonly (string | undefined)[]): readonly ChainedEntry[] {
  let chain = '';
  return values.map((value, position) => {
    chain = `${chain}/${value ?? '-'}`;
    const kind = value === undefined ? 'leader-elected' : 'note';
    const wish = value === undefined ? {} : { value };
    return { index: position + 1, term: 1, kind, text: value ?? '', chain, ...wish };
  });
}

function held(node: string, entries: readonly ChainedEntry[], first = 1): HeldLog {
  return { node, first, chainBefore: entries[first - 2]?.chain ?? '', entries: entries.slice(first - 1) };
}

function append(value: string, times: readonly [number, number], outcome: AppendOutcome): Append {
  return { kind: 'append', value, invokedAt: times[0], returnedAt: times[1], outcome };
}

const ackedAs = (index: number): AppendOutcome => ({ kind: 'acked', index });
const refused: AppendOutcome = { kind: 'refused' };
const unknown: AppendOutcome = { kind: 'unknown' };

const log = logOf(undefined, 'a', 'b', undefined, 'c');
const appends = [
  append('a', [0, 10], ackedAs(2)),
  append('b', [20, 30], ackedAs(3)),
  append('c', [40, 50], ackedAs(5)),
];

function read(times: readonly [number, number], to: number, change: Partial<Read> = {}): Read {
  return {
    kind: 'read',
    node: 'c1',
    isConsistent: true,
    from: 1,
    most: 100,
    invokedAt: times[0],
    returnedAt: times[1],
    commitIndex: to,
    entries: log.slice(0, to),
    ...change,
  };
}

function history(change: Partial<History> = {}): History {
  const { logs = [held('c1', log), held('c2', log, 3)] } = change;
  return {
    operations: appends,
    archive: held('the archive', log),
    control: logs.map(({ node }) => node),
    logs,
    members: { decided: ['a', 'b'], seen: new Map([['a', ['b', 'a']]]) },
    ...change,
  };
}

/** The history of this log, which all hold. */
function historyOf(entries: readonly ChainedEntry[], ...operations: History['operations']): History {
  return history({ archive: held('the archive', entries), logs: [held('c1', entries)], operations });
}

function assertBreaks(rule: Rule, broken: History): void {
  const violations = checkHistory(broken);
  assert.deepEqual([...new Set(violations.map((violation) => violation.rule))], [rule], JSON.stringify(violations));
}

describe('a history without a fault', () => {
  test('passes', () => {
    assert.deepEqual(checkHistory(history()), []);
  });

  test('may have wishes of which nobody knows how they ended, in the log or not', () => {
    const operations = [...appends, append('d', [35, 45], unknown)];
    assert.deepEqual(checkHistory(history({ operations })), []);
    assert.deepEqual(
      checkHistory(historyOf(logOf('a', 'd'), append('a', [0, 10], ackedAs(1)), append('d', [5, 6], unknown))),
      [],
    );
  });

  test('may have the same wish twice, told of the same entry, long after others', () => {
    const again = append('a', [60, 70], ackedAs(2));
    assert.deepEqual(checkHistory(history({ operations: [...appends, again] })), []);
    const first = append('a', [0, 10], unknown);
    assert.deepEqual(checkHistory(history({ operations: [first, ...appends.slice(1), again] })), []);
  });

  test('may have acknowledgements that do not tell the entry', () => {
    const operations = [append('a', [0, 10], { kind: 'acked' }), ...appends.slice(1)];
    assert.deepEqual(checkHistory(history({ operations })), []);
  });

  test('may have wishes that overlapped in either order', () => {
    const operations = [append('b', [0, 30], ackedAs(1)), append('a', [10, 20], ackedAs(2))];
    assert.deepEqual(checkHistory(historyOf(logOf('b', 'a'), ...operations)), []);
  });

  test('may have two things at the same moment in either order', () => {
    const operations = [append('b', [10, 20], ackedAs(1)), append('a', [0, 10], ackedAs(2))];
    assert.deepEqual(checkHistory(historyOf(logOf('b', 'a'), ...operations)), []);
    assert.deepEqual(checkHistory(historyOf(logOf('b', 'a'), ...operations.reverse())), []);
  });

  test('may have old reads, whole and in part, unless the newest was asked for', () => {
    const old = read([60, 70], 2, { isConsistent: false });
    const part = read([60, 70], 5, { from: 2, most: 2, entries: log.slice(1, 3) });
    const behindForgotten = read([60, 70], 5, { from: 3, entries: log.slice(2) });
    assert.deepEqual(checkHistory(history({ operations: [...appends, old, part, behindForgotten] })), []);
  });
});

describe('what was acknowledged', () => {
  test('is lost', () => {
    const operations = [...appends, append('d', [60, 70], ackedAs(6))];
    assertBreaks('an acknowledged value is in the log', history({ operations }));
  });

  test('is lost, though its entry was not told', () => {
    const operations = [...appends, append('d', [60, 70], { kind: 'acked' })];
    assertBreaks('an acknowledged value is in the log', history({ operations }));
  });

  test('stands at another index', () => {
    const operations = [append('a', [0, 10], ackedAs(4)), ...appends.slice(1)];
    assertBreaks('an acknowledged value is where its answer says', history({ operations }));
  });

  test('is told to be at two indexes', () => {
    const operations = [...appends, append('a', [60, 70], ackedAs(6))];
    assertBreaks('a value is acknowledged at one index', history({ operations }));
  });

  test('stands twice', () => {
    const operations = [append('a', [0, 10], ackedAs(1)), append('b', [0, 10], ackedAs(2))];
    assertBreaks('a value is taken once', historyOf(logOf('a', 'b', 'a'), ...operations));
  });

  test('stands behind what was asked for later', () => {
    const operations = [append('a', [0, 10], ackedAs(2)), append('b', [20, 30], ackedAs(1))];
    assertBreaks('what is asked for later stands later', historyOf(logOf('b', 'a'), ...operations));
  });
});

test('what was refused is in the log', () => {
  assertBreaks('a refused value is not in the log', historyOf(logOf('a'), append('a', [0, 10], refused)));
});

test('what was refused once and then asked for again may be in the log', () => {
  const operations = [append('a', [0, 10], refused), append('a', [20, 30], unknown)];
  assert.deepEqual(checkHistory(historyOf(logOf('a'), ...operations)), []);
  assert.deepEqual(checkHistory(historyOf(logOf('a'), ...operations.reverse())), []);
});

test('something is in the log that nobody asked for', () => {
  assertBreaks('whatever is in the log was asked for', history({ operations: appends.slice(0, 2) }));
});

test('a wish whose end nobody knows stands before what was acknowledged when it was made', () => {
  const operations = [append('a', [0, 10], ackedAs(2)), append('d', [20, 30], unknown)];
  assertBreaks('what is asked for later stands later', historyOf(logOf('d', 'a'), ...operations));
});

describe('a read', () => {
  const breaks = (rule: Rule, ...reads: readonly Read[]): void =>
    assertBreaks(rule, history({ operations: [...appends, ...reads] }));

  test('of the newest lacks what was acknowledged before', () => {
    breaks('a consistent read has all that was known before it', read([31, 39], 2));
  });

  test('of the newest goes back behind an earlier one', () => {
    breaks('a consistent read has all that was known before it', read([31, 34], 4), read([35, 39], 3));
  });

  test('of the newest goes back behind an earlier one that was not asked for the newest', () => {
    breaks(
      'a consistent read has all that was known before it',
      read([31, 34], 4, { isConsistent: false }),
      read([35, 39], 3),
    );
  });

  test('shows what was asked for later', () => {
    breaks('what is asked for later stands later', read([31, 39], 5));
  });

  test('shows another entry than there is', () => {
    const entries = [...log.slice(0, 4), { ...log[4], index: 5, term: 2, kind: 'note', text: 'c' }];
    breaks('a read shows what the log holds', read([60, 70], 5, { entries }));
  });

  test('shows more than there is', () => {
    breaks('a read shows what the log holds', read([60, 70], 6, { entries: log, most: 5 }));
  });

  test('shows what is not decided yet by its own word', () => {
    breaks('a read shows what the log holds', read([60, 70], 4, { entries: log, isConsistent: false }));
  });

  test('leaves an entry out in a page that is full', () => {
    const entries = log.filter(({ index }) => index !== 3);
    breaks('a read leaves nothing out', read([60, 70], 5, { entries, most: 4 }));
  });

  test('leaves an entry out', () => {
    breaks('a read leaves nothing out', read([60, 70], 5, { entries: log.filter(({ index }) => index !== 3) }));
  });

  test('begins too late', () => {
    breaks('a read leaves nothing out', read([60, 70], 5, { entries: log.slice(3) }));
  });

  test('follows another one and passes over what comes next', () => {
    const page = (from: number, entries: readonly ChainedEntry[]): Read =>
      read([60, 70], 5, { isConsistent: false, from, most: entries.length, entries });
    breaks('a read leaves nothing out', page(1, log.slice(0, 2)), page(3, log.slice(4)));
  });

  test('is empty where there is something', () => {
    breaks('a read leaves nothing out', read([60, 70], 5, { from: 3, entries: [] }));
  });

  test('ends too early', () => {
    breaks('a read leaves nothing out', read([60, 70], 5, { entries: log.slice(0, 4) }));
  });
});

describe('the logs of control nodes', () => {
  test('hold another entry', () => {
    const other = log.map((entry) => (entry.index === 4 ? { ...entry, chain: 'other' } : entry));
    assertBreaks('all logs are the same', history({ logs: [held('c1', log), held('c2', other)] }));
  });

  test('forgot another beginning', () => {
    const logs = [held('c1', log), { ...held('c2', log, 3), chainBefore: 'other' }];
    assertBreaks('all logs are the same', history({ logs }));
  });

  test('end at different entries', () => {
    assertBreaks('all logs reach as far', history({ logs: [held('c1', log), held('c2', log.slice(0, 4))] }));
  });

  test('all end before the archive does', () => {
    const logs = [held('c1', log.slice(0, 3)), held('c2', log.slice(0, 3))];
    assertBreaks('all logs reach as far', history({ logs }));
  });

  test('are missing, of one control node or of all', () => {
    const control = ['c1', 'c2'];
    assertBreaks('each control node has a log', history({ control, logs: [held('c1', log)] }));
    assertBreaks('each control node has a log', history({ control, logs: [] }));
  });

  test('lack an entry in the middle', () => {
    const holey = { ...held('c2', log), entries: log.filter(({ index }) => index !== 3) };
    const filler = { ...(log[4] as ChainedEntry) };
    const logs = [held('c1', log), { ...holey, entries: [...holey.entries, filler] }];
    assertBreaks('a log has no gap', history({ logs }));
  });

  test('go on where the archive does not reach', () => {
    const archive = held('the archive', log.slice(0, 2));
    const operations = appends.slice(0, 1);
    assertBreaks('a log has no gap', history({ archive, logs: [held('c1', log, 4)], operations }));
  });
});

test('a node counts somebody else as a member', () => {
  const members = { decided: ['a', 'b'], seen: new Map([['a', ['a', 'b', 'ghost']]]) };
  assertBreaks('members are who the log says', history({ members }));
});

test('a node forgot a member that was admitted', () => {
  const members = { decided: ['a', 'b'], seen: new Map([['a', ['a']]]) };
  assertBreaks('members are who the log says', history({ members }));
});

test('of each rule a few violations are told, not thousands', () => {
  const operations = [
    ...appends,
    ...Array.from({ length: 50 }, (_, at) => append(`lost ${at}`, [60, 70], ackedAs(9 + at))),
  ];
  assert.equal(checkHistory(history({ operations })).length, violationsPerRuleMax);
});
