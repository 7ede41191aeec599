import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../../src/assert.ts';
import { DiskFull, diskFailure } from '../../src/store/disk-failure.ts';
import { failureAnswer } from '../../src/store/thread-answer.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: no`), { code, syscall: 'write' });
}

describe('what a thread of the log answers when its work fails', () => {
  it('is that the disk is full, where the same may be asked again, and a failure where not', () => {
    const full = new DiskFull('/log', systemError('ENOSPC'));
    const sentence = 'Cannot write to /log: no space is left on the disk (ENOSPC); free some.';
    assert.deepEqual(failureAnswer(full, true), { kind: 'full', sentence });
    assert.deepEqual(failureAnswer(full, false), { kind: 'failed', code: 'disk-failed', sentence });
  });

  it('is the code and the sentence of an operating error', () => {
    const answer = failureAnswer(diskFailure('/log', systemError('EROFS')), true);
    assert(answer.kind === 'failed' && answer.code === 'disk-failed');
    assert.match(answer.sentence, /^Cannot use \/log: the file system is read-only \(EROFS\); mount it writable/);
  });

  it('is none where the program is wrong: that ends the node', () => {
    const broken = new AssertionError('entries are written without a gap');
    assert.throws(() => failureAnswer(broken, true), broken);
  });
});
