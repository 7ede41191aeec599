import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { LocalLog } from '../../../src/node/local-api.ts';
import { drawFaultOf, type Fault, faultKinds } from './fault.ts';
import { longRunMs, tooLittle } from './run-minimum.ts';
import { isAsAsked, readOf } from './shown-page.ts';

const counts = { acked: 1, consistentReads: 1, elections: 1 };
const all = new Map<Fault['kind'], number>(faultKinds.map((kind) => [kind, 1]));
const short = { forMs: longRunMs - 1, counts, faults: new Map(), kinds: faultKinds };

describe('a fault run', () => {
  test('is enough with something acknowledged, a consistent read and an election', () => {
    assert.deepEqual(tooLittle(short), []);
  });

  test('is too little without any one of them', () => {
    for (const name of ['acked', 'consistentReads', 'elections'] as const) {
      const [sentence = '', ...more] = tooLittle({ ...short, counts: { ...counts, [name]: 0 } });
      assert(sentence.includes(name), sentence);
      assert.deepEqual(more, []);
    }
  });

  test('has each kind of fault when it is long', () => {
    assert.deepEqual(tooLittle({ ...short, forMs: longRunMs, faults: all }), []);
    for (const kind of faultKinds) {
      const faults = new Map([...all].filter(([each]) => each !== kind));
      const [sentence = '', ...more] = tooLittle({ ...short, forMs: longRunMs, faults });
      assert(sentence.includes(kind), sentence);
      assert.deepEqual(more, []);
      const kinds = faultKinds.filter((each) => each !== kind);
      assert.deepEqual(tooLittle({ ...short, forMs: longRunMs, faults, kinds }), [], 'none that nobody can do');
    }
  });

  test('draws a fault of whatever kind is left', () => {
    const random = { below: () => 0, next: () => 0, bytes: (count: number) => new Uint8Array(count) };
    for (const kind of faultKinds) assert.equal(drawFaultOf(kind, random).kind, kind);
  });

  for (const words of [['five'], ['1', '2', 'many'], ['Infinity'], ['1', '2', '3', '4']]) {
    test(`is refused with ${JSON.stringify(words)}, in a sentence`, () => {
      const soak = join(import.meta.dirname, '../fault-soak.ts');
      const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', soak, ...words], { encoding: 'utf8' });
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^“.*” is not what a run takes: give MINUTES, SEED and CONTROL as numbers, as in 5 7 3\.\n$/,
      );
    });
  }
});

describe('what the checker is told of a page', () => {
  const asked = { node: 'c1', isConsistent: true, from: 3, most: 10, invokedAt: 0 };
  const page: LocalLog = { entries: [], commitIndex: 9, first: 1, consistent: true, index: 9 };

  test('is that it begins where it was asked for', () => {
    assert.equal(readOf(asked, page, 1).from, 3);
  });

  test('is that it begins with what is still kept, when that is later', () => {
    assert.equal(readOf(asked, { ...page, first: 7 }, 1).from, 7);
  });

  test('is that nothing is in it when its node has nothing from there on', () => {
    assert.equal(readOf({ ...asked, from: 30 }, page, 1).from, 10);
    assert.equal(readOf(asked, { ...page, first: 40 }, 1).from, 10);
  });

  test('is nothing when a read of the newest is answered as a plain one', () => {
    assert(isAsAsked(asked, page));
    const { consistent: _, ...plain } = page;
    assert(!isAsAsked(asked, plain));
    assert(isAsAsked({ ...asked, isConsistent: false }, plain));
  });
});
