import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogSnapshot } from '../../src/seam/log-store.ts';
import { decodeLogSnapshot, encodeLogSnapshot, logSnapshotNames } from '../../src/store/log-snapshot.ts';

function snapshotOf(stateBytes: number): LogSnapshot {
  const state = Buffer.alloc(stateBytes, 'state');
  return { index: 7, term: 3, chain: Buffer.alloc(32, 1), configuration: Buffer.from('who votes'), state };
}

function fileOf(stateBytes: number): Buffer {
  return Buffer.concat(encodeLogSnapshot(snapshotOf(stateBytes)));
}

describe('a snapshot of the log', () => {
  it('is read as it was written, of one block or of many', () => {
    for (const stateBytes of [0, 1, 65_536, 200_000]) {
      const reading = decodeLogSnapshot(fileOf(stateBytes));
      assert(reading.kind === 'snapshot');
      const { chain, configuration, state, ...position } = reading.snapshot;
      const written = snapshotOf(stateBytes);
      assert.deepEqual(position, { index: 7, term: 3 });
      assert.deepEqual(
        [chain, configuration, state].map(Buffer.from),
        [written.chain, written.configuration, written.state].map(Buffer.from),
      );
    }
  });

  it('is damaged where it was cut off, at any byte, and where something follows', () => {
    const whole = fileOf(100);
    for (let length = 0; length < whole.length; length++) {
      const reading = decodeLogSnapshot(whole.subarray(0, length));
      assert.deepEqual(reading, { kind: 'damaged', offset: length < 66 ? 0 : length });
    }
    const longer = Buffer.concat([whole, Buffer.from('more')]);
    assert.deepEqual(decodeLogSnapshot(longer), { kind: 'damaged', offset: whole.length });
  });

  it('is damaged at the block in which a bit is wrong', () => {
    const file = fileOf(200_000);
    const second = 66 + 65_536 + 4;
    file.writeUInt8(file.readUInt8(second + 99) ^ 1, second + 99);
    assert.deepEqual(decodeLogSnapshot(file), { kind: 'damaged', offset: second });
  });

  it('has a name by which the newest comes first, and no other file has one', () => {
    const names = ['log-0000000000000009.snapshot', 'log-0000000000000010.snapshot'];
    const others = ['wal-00000001-0000000000000001.log', 'log-9.snapshot', 'log-0000000000000011.snapshot.unfinished'];
    assert.deepEqual(logSnapshotNames([...names, ...others]), [...names].reverse());
  });
});
