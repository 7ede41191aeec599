/** What a member wants for itself, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import type { LogIndex } from '../../src/identity.ts';
import { Outbox, type Outcome } from '../../src/member/outbox.ts';
import { askAgainMs, OwnStanding } from '../../src/member/own-standing.ts';

test('a leave is asked for until it is decided, also when one control node says "not admitted" (HM-10)', () => {
  const outbox = new Outbox();
  const answers: Outcome<LogIndex>[] = [
    { ok: false, error: new HivemindError('not-admitted', 'This node is no member.') },
    { ok: false, error: new HivemindError('no-quorum', 'There is no quorum.') },
    { ok: true, value: 9, from: {} as never },
  ];
  let asked = 0;
  const standing = new OwnStanding({
    self: 4,
    membership: {} as never,
    outbox,
    leaving: false,
    ask: (ask, then, at) => {
      assert.deepEqual(ask, { kind: 'remove', number: 4 });
      then(answers[asked++] as Outcome<LogIndex>, at);
    },
    onChange: () => {},
    onMistaken: () => {},
    at: { now: 0, wall: 0 },
  });
  const isOut = (): boolean => outbox.take().some((effect) => effect.kind === 'event');
  standing.leave(() => {}, { now: 0, wall: 0 });
  assert(!isOut(), 'after the answer of one that lags');
  for (const now of [askAgainMs - 1, askAgainMs, 2 * askAgainMs]) standing.tick({ now, wall: now });
  assert.equal(asked, 3);
  assert(isOut());
  assert.equal(standing.nextTickAt(), Number.POSITIVE_INFINITY);
});
