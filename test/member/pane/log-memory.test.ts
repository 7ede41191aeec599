/** How much of the event log a control node holds in memory, whoever is away: it goes by its own snapshots alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Compaction, snapshotEveryBytes } from '../../../src/member/pane/compaction.ts';
import { RaftLog } from '../../../src/raft/log.ts';
import { chainStart, type LogEntry } from '../../../src/seam/log-store.ts';

const everyEntries = 100;
const nobody = { voters: [1], learners: [], outgoing: [] };

interface Held {
  readonly entries: number;
  readonly bytes: number;
}

/** The most that is held while so many entries are applied, and each snapshot takes `lag` more to be durable. */
function mostHeld(payload: Uint8Array, entries: number, lag: number): Held {
  const log = new RaftLog({ snapshot: undefined, entries: [], configuration: nobody });
  const compaction = new Compaction(undefined, everyEntries);
  const most = { entries: 0, bytes: 0 };
  let endsAt: number | undefined;
  for (let index = 1; index <= entries; index++) {
    const entry: LogEntry = { index, term: 1, kind: 'command', payload };
    log.append([entry]);
    log.takeUnwritten();
    log.markDurable();
    log.commitTo(index);
    log.takeCommitted(1);
    compaction.onApplied(entry);
    const held = log.lastIndex - log.firstIndex + 1;
    most.entries = Math.max(most.entries, held);
    most.bytes = Math.max(most.bytes, held * payload.length);
    if (compaction.isDue(index)) {
      const nothing = new Uint8Array(0);
      compaction.begin({ index, term: 1, chain: chainStart, configuration: nothing, state: nothing });
      endsAt = index + lag;
    }
    if (index !== endsAt) continue;
    endsAt = undefined;
    const ended = compaction.end();
    assert(ended !== undefined);
    log.compact(ended.snapshot, ended.keepFrom);
  }
  return most;
}

describe('the event log in memory', () => {
  it('is at most two snapshots long, and what is decided while one is written', () => {
    assert.equal(mostHeld(Buffer.from('small'), 5_000, 0).entries, 2 * everyEntries);
    const { entries } = mostHeld(Buffer.from('small'), 5_000, 30);
    assert(entries <= 2 * (everyEntries + 30), `${entries}`);
  });

  it('is bounded by bytes where entries are large', () => {
    const payload = new Uint8Array(256 * 1024);
    assert.equal(mostHeld(payload, 1_000, 0).bytes, 2 * snapshotEveryBytes);
    const { bytes } = mostHeld(payload, 1_000, 10);
    assert(bytes <= 2 * (snapshotEveryBytes + 10 * payload.length), `${bytes}`);
  });
});
