import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { ErrorCode } from '../../src/error.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { createFileAtomically, writeFileAtomically } from '../../src/store/atomic-file.ts';
import { makeFolder } from '../../src/store/folder.ts';
import { createKeys, loadKeys } from '../../src/store/key-file.ts';
import {
  createRecordFile,
  type RecordFileKind,
  readRecordFile,
  recordFileBytesMax,
  writeRecordFile,
} from '../../src/store/record-file.ts';
import { peekSnapshot, readSnapshot, retireSnapshot, writeSnapshot } from '../../src/store/snapshot-file.ts';
import { asAnotherUser } from './another-user.ts';
import { failsWith } from './refusal.ts';

let top: string;
let folder: string;

before(async () => {
  top = await mkdtemp(join(tmpdir(), 'hivemind-files-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(top, 'test-'));
});
after(() => rm(top, { recursive: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

async function damage(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
  await writeFile(path, bytes);
}

describe('an atomic file', () => {
  it('replaces the old one, has the mode asked for, and leaves nothing beside it', async () => {
    const path = join(folder, 'file');
    await writeFileAtomically(path, Buffer.from('one'));
    assert.equal(await modeOf(path), 0o600);
    await writeFileAtomically(path, Buffer.from('two'), 0o400);
    assert.equal(await modeOf(path), 0o400);
    assert.equal(await readFile(path, 'utf8'), 'two');
    assert.deepEqual(await readdir(folder), ['file']);
  });

  it('is whole when many are written to one path at once', async () => {
    const path = join(folder, 'file');
    const texts = Array.from({ length: 8 }, (_, at) => String(at).repeat(100_000 + at));
    await Promise.all(texts.map((text) => writeFileAtomically(path, Buffer.from(text))));
    assert(texts.includes(await readFile(path, 'utf8')));
    assert.deepEqual(await readdir(folder), ['file']);
  });

  it('that must be new leaves the one that is there alone', async () => {
    const path = join(folder, 'file');
    await createFileAtomically(path, Buffer.from('one'));
    await assert.rejects(createFileAtomically(path, Buffer.from('two')), {
      code: 'already-initialised' satisfies ErrorCode,
    });
    assert.equal(await readFile(path, 'utf8'), 'one');
    assert.deepEqual(await readdir(folder), ['file']);
  });

  it('fails with a sentence where its folder is missing', async () => {
    await assert.rejects(writeFileAtomically(join(folder, 'no', 'file'), Buffer.from('one')), { code: 'disk-failed' });
  });

  it('says so where this user may not write', async () => {
    await chmod(folder, 0o500);
    const denied = failsWith('disk-failed', /Cannot use .*file: permission is denied \(EACCES\)/);
    await asAnotherUser(() => assert.rejects(writeFileAtomically(join(folder, 'file'), Buffer.from('one')), denied));
    await chmod(folder, 0o700);
  });

  it('that cannot take its place leaves what is there, and nothing beside it', async () => {
    const path = join(folder, 'file');
    await mkdir(path);
    await assert.rejects(
      writeFileAtomically(path, Buffer.from('one')),
      failsWith('disk-failed', /Cannot use .*EISDIR/),
    );
    assert.deepEqual(await readdir(folder), ['file']);
  });
});

describe('a folder', () => {
  it('is made with those above it, for the owner alone, and may be there already', async () => {
    const path = join(folder, 'a', 'b');
    makeFolder(path);
    makeFolder(path);
    assert.deepEqual(await Promise.all([modeOf(path), modeOf(join(folder, 'a'))]), [0o700, 0o700]);
  });

  it('is not made where a file is in the way', async () => {
    await writeFile(join(folder, 'file'), '');
    const inTheWay = failsWith('disk-failed', /Cannot use .*file\/folder: .*ENOTDIR/);
    assert.throws(() => makeFolder(join(folder, 'file', 'folder')), inTheWay);
  });
});

describe('a record file', () => {
  const kind: RecordFileKind = { magic: 'HIVETEST', version: 1, noun: 'a test' };

  it('is read as it was written, and missing when it is not there', async () => {
    const path = join(folder, 'file');
    assert.equal(await readRecordFile(path, kind), undefined);
    for (const body of [Buffer.alloc(0), Buffer.from('body'), Buffer.alloc(100_000, 7)]) {
      await writeRecordFile(path, kind, body);
      assert.deepEqual(Buffer.from((await readRecordFile(path, kind)) ?? []), body);
    }
  });

  it('is refused with any one bit wrong or any byte missing', async () => {
    const path = join(folder, 'file');
    await writeRecordFile(path, kind, Buffer.from('body'));
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
      await writeFile(path, flipped);
      await assert.rejects(readRecordFile(path, kind), { code: at < 10 ? 'data-format' : 'data-corrupt' });
      await writeFile(path, whole.subarray(0, at));
      await assert.rejects(readRecordFile(path, kind), { code: at < 10 ? 'data-format' : 'data-corrupt' });
    }
  });

  it('of another version says which program to start', async () => {
    const path = join(folder, 'file');
    await writeRecordFile(path, { ...kind, version: 2 }, Buffer.from('body'));
    await assert.rejects(readRecordFile(path, kind), /format version 2, and this program reads 1; start the version/);
  });

  it('that is larger than any of ours is not read at all', async () => {
    const path = join(folder, 'file');
    await writeRecordFile(path, kind, Buffer.from('body'));
    await truncate(path, recordFileBytesMax + 1);
    await assert.rejects(readRecordFile(path, kind), failsWith('data-format', /is not a test; move it away/));
  });

  it('that cannot be read says why', async () => {
    await assert.rejects(readRecordFile(folder, kind), failsWith('disk-failed', /EISDIR/));
  });
});

describe('the keys of a node', () => {
  it('are made once, for the owner alone, and read back', async () => {
    const path = join(folder, 'new', 'node.key');
    assert.equal(await loadKeys(path), undefined);
    const seeds = await createKeys(path, seededRandom(1));
    assert.equal(await modeOf(path), 0o600);
    assert.equal(await modeOf(join(folder, 'new')), 0o700);
    assert.deepEqual(await loadKeys(path), seeds);
    assert.notDeepEqual(seeds.signingSeed, seeds.exchangeSeed);
    await assert.rejects(createKeys(path, seededRandom(2)), { code: 'already-initialised' });
    assert.deepEqual(await loadKeys(path), seeds);
  });

  it('are refused while others may read or change them, with the command that helps', async () => {
    const path = join(folder, 'node.key');
    await createKeys(path, seededRandom(1));
    for (const mode of [0o640, 0o604, 0o620, 0o777]) {
      await chmod(path, mode);
      await assert.rejects(loadKeys(path), { code: 'key-invalid', message: new RegExp(`run: chmod 600 ${path}$`) });
    }
  });

  it('are refused when the file is damaged', async () => {
    const path = join(folder, 'node.key');
    await createKeys(path, seededRandom(1));
    await damage(path);
    await assert.rejects(loadKeys(path), { code: 'data-corrupt' });
  });

  it('are refused when the file is whole and holds less than two, or more', async () => {
    const path = join(folder, 'node.key');
    for (const bytes of [0, 63, 65]) {
      await createRecordFile(path, { magic: 'HIVEKEY\0', version: 1, noun: 'keys' }, Buffer.alloc(bytes));
      await assert.rejects(loadKeys(path), failsWith('key-invalid', /does not hold two keys; restore it from a copy/));
      await rm(path);
    }
  });

  it('are neither made nor looked for below what is no folder', async () => {
    const path = join(folder, 'file', 'node.key');
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(createKeys(path, seededRandom(1)), failsWith('disk-failed', /ENOTDIR|EEXIST/));
    await assert.rejects(loadKeys(path), failsWith('disk-failed', /Cannot use .*node\.key: .*ENOTDIR/));
  });
});

describe('the snapshot of a member', () => {
  it('is replaced and read back', async () => {
    assert.deepEqual(await readSnapshot(folder), {});
    await writeSnapshot(folder, Buffer.from('one'));
    await writeSnapshot(folder, Buffer.from('two'));
    const { bytes, repair } = await readSnapshot(folder);
    assert.equal(Buffer.from(bytes ?? []).toString(), 'two');
    assert.equal(repair, undefined);
  });

  it('is moved aside and counts as missing when it is damaged or of another kind', async () => {
    const path = join(folder, 'member.snapshot');
    for (const spoil of [damage, (at: string) => writeFile(at, 'something else')]) {
      await writeSnapshot(folder, Buffer.from('one'));
      await spoil(path);
      const { bytes, repair } = await readSnapshot(folder);
      assert.equal(bytes, undefined);
      assert.match(repair ?? '', /^Moved an unreadable snapshot to .*member\.snapshot\.damaged/);
      assert.deepEqual(await readSnapshot(folder), {});
    }
  });

  it('is left alone by who only looks, whatever it is', async () => {
    assert.equal(await peekSnapshot(folder), undefined);
    await writeSnapshot(folder, Buffer.from('one'));
    assert.equal(Buffer.from((await peekSnapshot(folder)) ?? []).toString(), 'one');
    await damage(join(folder, 'member.snapshot'));
    await assert.rejects(peekSnapshot(folder), { code: 'data-corrupt' });
    assert.deepEqual(await readdir(folder), ['member.snapshot']);
  });

  it('that the disk does not give counts as there: nobody goes on without it', async () => {
    await mkdir(join(folder, 'member.snapshot'));
    await assert.rejects(readSnapshot(folder), failsWith('disk-failed', /EISDIR/));
  });

  it('stays where it is when it cannot be moved aside', async () => {
    const path = join(folder, 'member.snapshot');
    await writeFile(path, 'something else');
    await mkdir(`${path}.damaged`);
    await assert.rejects(readSnapshot(folder), failsWith('disk-failed', /EISDIR/));
    assert.equal(await readFile(path, 'utf8'), 'something else');
  });

  it('is put away for good when its owner does not belong any more, and may be missing then', async () => {
    await retireSnapshot(folder);
    await writeSnapshot(folder, Buffer.from('one'));
    await retireSnapshot(folder);
    assert.deepEqual(await readSnapshot(folder), {});
    assert.deepEqual(await readdir(folder), ['member.snapshot.removed']);
  });
});
