/** What becomes of a note on a control node that loses the lead over it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, HivemindError } from '../../src/error.ts';
import { LogDesk } from '../../src/node/log-desk.ts';
import type { Node } from '../../src/node/node.ts';
import type { Clock } from '../../src/seam/clock.ts';
import { seededRandom } from '../../src/seam/random.ts';

const request = { kind: 'note', text: 'hello', session: '', sequence: 1 } as const;

/** A desk whose node answers so, one ask after the other. */
function deskOf(...answers: readonly (ErrorCode | number)[]): LogDesk {
  const left = [...answers];
  const ask = async (): Promise<number> => {
    const answer = left.shift() ?? assert.fail('asked once too often');
    if (typeof answer === 'number') return answer;
    throw new HivemindError(answer, 'It failed.');
  };
  const node = { member: { pane: { state: { appliedIndex: 7 } } }, ask } as unknown as Node;
  return new LogDesk({ node, clock: undefined as unknown as Clock, random: seededRandom(1) });
}

const failsWith = (code: ErrorCode) => (thrown: unknown) => thrown instanceof HivemindError && thrown.code === code;

test('it is asked for again as the same turn, and told to be decided', async () => {
  assert.deepEqual(await deskOf('unknown-outcome', 9).note(request), { index: 9 });
  assert.deepEqual(await deskOf('not-leader', 9).note(request), { index: 9 });
});

test('what may be decided is not told to be refused because the second time is', async () => {
  for (const code of ['no-quorum', 'busy', 'no-leader', 'session-expired'] as const) {
    await assert.rejects(deskOf('unknown-outcome', code).note(request), failsWith('unknown-outcome'), code);
  }
});

test('what was refused both times is refused', async () => {
  await assert.rejects(deskOf('not-leader', 'no-quorum').note(request), failsWith('no-quorum'));
  await assert.rejects(deskOf('busy').note(request), failsWith('busy'));
});

test('a session on a node without a log begins where the leader is now, not where this node last heard', async () => {
  const sinceOf = async (node: unknown): Promise<string> => {
    const parts = { node: node as Node, clock: undefined as unknown as Clock, random: seededRandom(1) };
    return (await new LogDesk(parts).openSession()).session;
  };
  const stale = { pane: undefined, membership: { logIndex: 3 } };
  assert.match(await sinceOf({ member: stale, readIndex: async () => 42 }), /@42$/);
  assert.match(await sinceOf({ member: { pane: { state: { appliedIndex: 7 } } } }), /@7$/);
});
