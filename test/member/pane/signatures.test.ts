/** When a control node signs, and to whom it gives its share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signShare } from '../../../src/certificate/certificate.ts';
import type { ControlKeys, ControlSetStatement, RemoveStatement } from '../../../src/certificate/statement.ts';
import { Outbox } from '../../../src/member/outbox.ts';
import { Signatures, shareRepeatMs } from '../../../src/member/pane/signatures.ts';
import type { SimNode } from '../../../src/sim/sim-node.ts';
import { exchangeKey, signingKey } from '../../certificate/cluster.ts';
import { nodeOf, wholeCluster } from '../scene.ts';

test('a control set is signed only where all in it are members under those keys', () => {
  const cluster = wholeCluster({ members: 1 });
  const [c1, c2, m1] = [nodeOf(cluster, 'c1'), nodeOf(cluster, 'c2'), nodeOf(cluster, 'm1')];
  const { directory } = c1.member?.membership ?? assert.fail();
  const keysOf = ({ number, name, signingKey, exchangeKey }: SimNode): ControlKeys => {
    return { number, name, signingKey: signingKey.publicKey, exchangeKey: exchangeKey.publicKey };
  };
  const isSigned = (...nodes: readonly ControlKeys[]): boolean => {
    const outbox = new Outbox();
    const signatures = new Signatures({ key: c1.signingKey, self: 1, directory, outbox });
    const place = { amendment: 1, previous: directory.charter.head, nextNumber: 9 };
    const statement: ControlSetStatement = {
      ...{ kind: 'control-set', cluster: directory.cluster, epoch: 1, controlSet: 0, ...place },
      nodes,
    };
    signatures.want(statement, 2, { now: 0, wall: 0 });
    return outbox.take().length > 0;
  };
  assert(isSigned(keysOf(c1), keysOf(c2), keysOf(m1)));
  assert(!isSigned(keysOf(c1), keysOf(c2), { ...keysOf(m1), signingKey: signingKey(0x77).publicKey }));
  assert(!isSigned(keysOf(c1), keysOf(c2), { ...keysOf(m1), exchangeKey: exchangeKey(0x77) }));
  assert(!isSigned(keysOf(c1), keysOf(c2), { ...keysOf(m1), number: 99 }));
});

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
