/** The simulator sees a wish that was refused and decided all the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../src/control/command.ts';
import { type ErrorCode, HivemindError } from '../../src/error.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Wishes } from '../../src/sim/wishes.ts';
import type { PaneAsk } from '../../src/wire/peer-message.ts';

const node = { name: 'c1', timelineNow: 0 } as SimNode;
const turn = { session: new Uint8Array(8), since: 0, sequence: 1, text: new Uint8Array(1) };
const ask: PaneAsk = { kind: 'note', ...turn };
const note: Command = { ...ask, at: 0, by: 4 };

const isBroken = (thrown: unknown): boolean =>
  thrown instanceof Error && thrown.message.startsWith('what was refused is not decided');

function wishes(...answers: readonly ErrorCode[]): Wishes {
  const all = new Wishes();
  for (const _ of answers) all.onAsked(ask);
  for (const code of answers) {
    all.onAnswered(node, ask, { ok: false, error: new HivemindError(code, 'It failed.') });
  }
  return all;
}

test('what was refused is not decided, before or after', () => {
  assert.throws(() => wishes('no-quorum', 'busy').onCommitted(node, note), isBroken);
  const early = new Wishes();
  early.onAsked(ask);
  early.onCommitted(node, note);
  const error = new HivemindError('no-leader', 'It failed.');
  assert.throws(() => early.onAnswered(node, ask, { ok: false, error }), isBroken);
});

test('what one answer of several leaves open may be decided', () => {
  wishes('no-quorum', 'unknown-outcome').onCommitted(node, note);
  wishes().onCommitted(node, note);
});
