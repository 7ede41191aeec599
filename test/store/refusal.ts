import assert from 'node:assert/strict';
import { HivemindError } from '../../src/error.ts';

/** For assert.throws and assert.rejects: an error of ours with this code, whose message holds the sentence. */
export function failsWith(code: string, sentence: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    assert(thrown instanceof HivemindError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(thrown.message, sentence);
    return true;
  };
}
