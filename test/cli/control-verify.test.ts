/** `hivemind control verify`, as a process of its own, over a real log. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { localFileSystem } from '../../src/store/local-file-system.ts';
import { WalWriter } from '../../src/store/wal-writer.ts';
import { entriesFrom } from '../conformance/log-store.ts';

const program = join(import.meta.dirname, '../../cli/main.ts');
const data = mkdtempSync(join(tmpdir(), 'hivemind-verify-'));
const folder = join(data, 'log');
after(() => rmSync(data, { recursive: true }));

function verify(...words: readonly string[]): { code: number | null; stdout: string; stderr: string } {
  const child = spawnSync(process.execPath, ['--import', 'tsx', program, 'control', 'verify', data, ...words]);
  return { code: child.status, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}

const writer = new WalWriter({ files: localFileSystem, folder });
writer.load();
writer.write({ hardState: { term: 2, votedFor: 1 }, entries: entriesFrom(1, 3, 2) });

describe('hivemind control verify', () => {
  test('refuses while a process has the log open', () => {
    const { code, stderr } = verify();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`is in use by process ${process.pid}; stop that one`));
    writer.close();
  });

  test('says in a line what is there, or in JSON', () => {
    const said = verify();
    assert.deepEqual([said.code, said.stderr], [0, '']);
    assert.equal(
      said.stdout,
      '3 entries (1 to 3), 1 segment, 0 snapshots, term 2, chain OK\nEnds at term 2, index 3.\n',
    );
    const { entries, segments, hardState } = JSON.parse(verify('--json').stdout);
    assert.deepEqual(
      { entries, segments, hardState },
      { entries: 3, segments: 1, hardState: { term: 2, votedFor: 1 } },
    );
  });

  test('tells the first damage and what to do, with exit code 1', () => {
    const [name] = readdirSync(folder);
    const bytes = readFileSync(join(folder, name as string));
    bytes.writeUInt8(bytes.readUInt8(120) ^ 4, 120);
    writeFileSync(join(folder, name as string), bytes);
    const { code, stdout, stderr } = verify('--json');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /wal-\S+ is damaged at byte 68: a record is damaged that was once whole; start the node, which/,
    );
    assert.equal(JSON.parse(stdout).error.code, 'data-corrupt');
  });
});
