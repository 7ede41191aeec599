/** The simulator sees a wish that was refused and decided all the same, and one that was told of another's entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../src/control/command.ts';
import { type ErrorCode, HivemindError } from '../../src/error.ts';
import type { StreamPeer } from '../../src/seam/streams.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { isFor, Wishes } from '../../src/sim/wishes.ts';
import type { PaneAsk } from '../../src/wire/peer-message.ts';

const node = { name: 'c1', timelineNow: 0 } as SimNode;
const turn = { session: new Uint8Array(8), since: 0, sequence: 1, text: new Uint8Array(1) };
const ask: PaneAsk = { kind: 'note', ...turn };
const stranger: StreamPeer = { kind: 'stranger', publicKey: new Uint8Array(32), remote: { host: '10.0.0.1', port: 1 } };
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

test('what is sent again has the same entry', () => {
  const all = new Wishes();
  for (const index of [7, 7]) all.onAnswered(node, ask, { ok: true, value: index, from: stranger });
  assert.equal(all.repeats, 1);
  const again = (): void => all.onAnswered(node, ask, { ok: true, value: 8, from: stranger });
  assert.throws(again, /^InvariantViolation: what is sent again has the same entry/);
});

test("a wish's entry is its own, as far as that can be told", () => {
  assert(isFor(ask, note));
  assert(!isFor(ask, { ...note, sequence: 2 } as Command));
  assert(!isFor(ask, undefined));
  assert(isFor({ kind: 'transfer', to: 1 }, undefined));
});

test('what one answer of several leaves open may be decided', () => {
  wishes('no-quorum', 'unknown-outcome').onCommitted(node, note);
  wishes().onCommitted(node, note);
});
