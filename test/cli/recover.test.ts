/** What `control recover` says of a log from before a recovery that this node has heard of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missedRecovery } from '../../cli/recovery/recover.ts';
import { signRecovery } from '../../src/certificate/recovery.ts';
import { type HeardCharter, heed, planRecovery } from '../../src/control/recovering.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { exchangeKey, filled, recoverySeed, signingKey } from '../certificate/cluster.ts';
import { Pane } from '../control/pane.ts';

/** A cluster of three was recovered on its first control node, which kept the second; not in the log of `pane`. */
function recoveredElsewhere(pane: Pane): HeardCharter {
  const keys = { signingKey: signingKey(1).publicKey, exchangeKey: exchangeKey(0x11) };
  const plan = planRecovery(pane.state, {
    node: { name: 'control-1', ...keys, endpoints: [{ host: '10.0.0.1', port: 7100 }] },
    keep: ['control-2'],
    lastIndex: pane.state.appliedIndex,
    lastChain: filled(32, 7),
    at: pane.now,
  });
  assert('statement' in plan);
  const signed = signRecovery(plan.statement, signingKey(recoverySeed), signingKey(1));
  return { amendments: [signed], members: plan.members };
}

test('a control node that was kept may recover with the log that it has, and hears what that lacks', () => {
  const pane = new Pane();
  pane.admit();
  const { genesis } = pane.founders;
  const charter = recoveredElsewhere(pane);
  const missed = (number: NodeNumber, heard: HeardCharter = charter): string | undefined =>
    missedRecovery({ genesis, number, memory: { digest: { charter: heard } } }, pane);
  assert.match(missed(2) ?? '', /^This log lacks all that was decided since the recovery on control-1 at /);
  assert.throws(() => missed(3), { code: 'refused', message: /This control node was given up/ });
  const unsure = { ...charter, members: new Uint8Array(0) };
  assert.throws(() => missed(2, unsure), { code: 'refused', message: /not yet whether that kept it; start it/ });
  assert.equal(missed(2, { amendments: [], members: new Uint8Array(0) }), undefined);
  heed(pane.state, charter);
  assert.equal(missed(2), undefined, 'a log that holds the recovery lacks nothing');
});
