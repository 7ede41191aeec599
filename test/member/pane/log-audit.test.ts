/** An exported log proves itself: whatever is changed, left out or not signed is found. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concatBytes, toHex, utf8 } from '../../../src/bytes.ts';
import type { Command } from '../../../src/control/command.ts';
import { type AuditReport, LogAudit } from '../../../src/member/pane/log-audit.ts';
import { chainHash, chainStart, type LogEntry } from '../../../src/seam/log-store.ts';
import { decodeCommand, encodeCommand } from '../../../src/wire/command.ts';
import {
  decodeExportRecord,
  type ExportRecord,
  ExportSplitter,
  encodeExportRecord,
  exportPreface,
} from '../../../src/wire/exported-log.ts';
import { alterations, filled } from '../../certificate/cluster.ts';
import { Pane } from '../../control/pane.ts';

/** Admissions, notes, a removal, a new epoch; the first entry opens the term. */
const pane = new Pane();
pane.append(encodeCommand({ kind: 'revoke-token', at: pane.now, publicKey: filled(32, 1) }));
pane.admit();
pane.change({ kind: 'note', by: 4, session: filled(8, 1), since: 1, sequence: 1, text: utf8('hello') });
pane.change(pane.begin({ seed: 0x51, name: 'bee' }));
const second = pane.complete(5);
pane.change(second);
pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
pane.change(pane.complete(4));
pane.change({ kind: 'begin-amendment', change: { kind: 'epoch' } });
const { amending } = pane.state;
assert(amending !== undefined);
pane.change({ kind: 'complete-amendment', shares: pane.founders.shares(amending.statement) });
// Completed twice, as after a change of the leader: for nothing, and not wrong.
pane.apply(second);
const opening: LogEntry = { index: 1, term: 1, kind: 'opening', payload: new Uint8Array(0) };
const log: readonly LogEntry[] = [
  opening,
  ...pane.log.slice(1).map((payload, at): LogEntry => ({ index: at + 2, term: 1, kind: 'command', payload })),
];
const { genesis } = pane.founders;

function exported(entries: readonly LogEntry[] = log, before: Uint8Array = chainStart): readonly ExportRecord[] {
  return [
    { kind: 'head', genesis, first: entries[0]?.index ?? 1, chain: before },
    ...entries.map((entry) => ({ kind: 'entry', entry }) as const),
    { kind: 'end', chain: entries.reduce(chainHash, before) },
  ];
}

/** The report, or the first thing that is wrong. */
function audited(records: readonly (ExportRecord | undefined)[]): AuditReport | string {
  const audit = new LogAudit();
  for (const record of records) {
    if (record === undefined) return 'unreadable';
    const wrong = audit.take(record);
    if (wrong !== undefined) return wrong;
  }
  return audit.finish();
}

/** The log with its entry at `index` replaced by `command`, and everything hashed anew: a forger would do no less. */
function forged(index: number, command: Command): readonly ExportRecord[] {
  const payload = encodeCommand(command);
  return exported(log.map((entry) => (entry.index === index ? { ...entry, payload } : entry)));
}

function commandAt(index: number): Command {
  return decodeCommand(log[index - 1]?.payload ?? new Uint8Array(0)) as Command;
}

const indexOf = (kind: Command['kind']): number => log.find(({ index }) => commandAt(index)?.kind === kind)?.index ?? 0;

describe('an exported log', () => {
  test('that is right tells what it is of, where it ends, and how much was signed', () => {
    assert.deepEqual(audited(exported()), {
      cluster: toHex(genesis.cluster),
      genesisHash: toHex(pane.founders.hash),
      first: 1,
      last: log.length,
      chain: toHex(log.reduce(chainHash, chainStart)),
      signed: 4,
      unverifiable: 0,
    });
  });

  test('whose beginning is not kept is verified as far as that can be, and says so', () => {
    const [before, rest] = [log.slice(0, 2), log.slice(2)];
    const report = audited(exported(rest, before.reduce(chainHash, chainStart)));
    assert(typeof report !== 'string', String(report));
    assert.deepEqual([report.first, report.signed, report.unverifiable], [3, 0, 5]);
    assert.equal(report.chain, toHex(log.reduce(chainHash, chainStart)));
  });

  test('is wrong with an entry changed, left out, doubled or out of order, or with another end', () => {
    const [head, ...others] = exported();
    assert(head !== undefined);
    const without = others.filter((_, at) => at !== 3);
    assert.match(String(audited([head, ...without])), /Entry 4 is missing: entry 5 stands in its place/);
    const doubled = [...others.slice(0, 3), ...others.slice(2)];
    assert.match(String(audited([head, ...doubled])), /Entry 4 is missing: entry 3 stands/);
    const changed = others.map((record, at) =>
      at === 3 && record.kind === 'entry' ? { ...record, entry: { ...record.entry, term: 2 } } : record,
    );
    assert.match(String(audited([head, ...changed])), /Entry 5 is of term 1, behind one of term 2/);
    const noted = { ...commandAt(indexOf('note')), text: utf8('other') } as Command;
    const rewritten = forged(indexOf('note'), noted).slice(0, -1);
    assert.match(String(audited([...rewritten, others.at(-1)])), /The hash at the end is not that of entry/);
    assert.match(String(audited([{ ...head, chain: filled(32, 1) } as ExportRecord, ...others])), /empty log/);
    assert.match(String(audited([head, ...others.slice(0, -1)])), /cut short/);
    assert.match(String(audited(others)), /does not begin with a genesis/);
    assert.match(String(audited([head, head, ...others])), /second beginning/);
    assert.match(String(audited([head, ...others, ...others])), /goes on behind its end/);
  });

  test('is wrong, however well it is hashed, when a majority did not sign what needs it', () => {
    for (const kind of ['complete-admission', 'complete-removal', 'complete-amendment'] as const) {
      const index = indexOf(kind);
      const command = commandAt(index);
      assert('shares' in command && command.shares.length === 2);
      const [own, other] = command.shares;
      assert(own !== undefined && other !== undefined);
      const wrongs = [[own], [own, own], [own, { ...other, signature: own.signature }], [own, { ...other, signer: 9 }]];
      for (const shares of wrongs) {
        const wrong = new RegExp(`What entry ${index} completes \\(${kind}\\) is not signed by a majority`);
        assert.match(String(audited(forged(index, { ...command, shares }))), wrong);
      }
    }
  });

  test('is wrong when a join request is not its node’s, or an entry is of no kind that is known', () => {
    const index = indexOf('begin-admission');
    const command = commandAt(index);
    assert(command.kind === 'begin-admission');
    const request = alterations(command.request).at(-1) as Uint8Array;
    assert.match(String(audited(forged(index, { ...command, request }))), /join request of entry \d+ is not signed/);
    const unknown = log.map((entry) => (entry.index === index ? { ...entry, payload: utf8('?') } : entry));
    assert.match(String(audited(exported(unknown))), /of a kind that this version does not know/);
  });

  test('is read in pieces of any size, and nothing else is read as one', () => {
    const bytes = concatBytes(exportPreface(), ...exported().map(encodeExportRecord));
    const read = (size: number): unknown => {
      const splitter = new ExportSplitter();
      const records: (ExportRecord | undefined)[] = [];
      for (let at = 0; at < bytes.length; at += size) records.push(...splitter.take(bytes.subarray(at, at + size)));
      assert(splitter.isBetweenRecords);
      return audited(records);
    };
    for (const size of [1, 7, 1_000, bytes.length]) assert.deepEqual(read(size), audited(exported()));
    assert.deepEqual(new ExportSplitter().take(utf8('something else, for sure')), [undefined]);
    const tooLong = concatBytes(exportPreface(), filled(4, 0xff));
    assert.deepEqual(new ExportSplitter().take(tooLong), [undefined]);
    for (const altered of alterations(bytes)) {
      // The creation time of a genesis and its addresses are signed by nobody: its hash is what people compare.
      const records = new ExportSplitter().take(altered);
      const report = audited(records);
      if (typeof report === 'string') continue;
      assert.notEqual(report.genesisHash, toHex(pane.founders.hash), 'any change of the entries is found');
    }
    assert.equal(decodeExportRecord(new Uint8Array(0)), undefined);
  });
});
