/** When a control node signs, and to whom it gives its share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signShare } from '../../src/certificate/certificate.ts';
import type { RemoveStatement } from '../../src/certificate/statement.ts';
import { Outbox } from '../../src/member/outbox.ts';
import { Signatures, shareRepeatMs } from '../../src/member/signatures.ts';
import { nodeOf, wholeCluster } from './scene.ts';

test('nothing is signed while nobody leads; then the leader is given a share until it is settled', () => {
  const node = nodeOf(wholeCluster({ members: 1 }), 'c1');
  const { directory } = node.member?.membership ?? assert.fail();
  const outbox = new Outbox();
  let signed = 0;
  const key = node.signingKey;
  const counting = {
    ...key,
    sign: (bytes: Uint8Array): Uint8Array => {
      signed++;
      return key.sign(bytes);
    },
  };
  const signatures = new Signatures({ key: counting, self: 1, directory, outbox });
  const { cluster } = directory;
  const statement: RemoveStatement = { kind: 'remove', cluster, epoch: 1, controlSet: 0, number: 4, reason: 'removed' };
  const sharesTo = (): readonly number[] =>
    outbox.take().flatMap((effect) => (effect.kind === 'post' ? [effect.to.number] : []));

  const at = (now: number): { now: number; wall: number } => ({ now, wall: now });
  signatures.want(statement, undefined, at(0));
  signatures.tick(undefined, at(shareRepeatMs));
  assert.deepEqual([signed, sharesTo()], [0, []]);
  signatures.tick(2, at(2 * shareRepeatMs));
  signatures.tick(2, at(3 * shareRepeatMs));
  assert.deepEqual([signed, sharesTo()], [2, [2, 2]]);
  signatures.tick(1, at(4 * shareRepeatMs));
  assert.deepEqual(sharesTo(), [], 'it leads itself, and keeps its own');
  assert.deepEqual(signatures.takeComplete(at(4 * shareRepeatMs)), []);
  signatures.onShare(4, 'remove', signShare(nodeOf(wholeCluster({ members: 1 }), 'c2').signingKey, 2, statement));
  assert.deepEqual(
    signatures.takeComplete(at(4 * shareRepeatMs)).map(({ kind }) => kind),
    ['complete-removal'],
  );
  signatures.settle(4);
  signatures.tick(2, at(5 * shareRepeatMs));
  assert.deepEqual(sharesTo(), []);
});
