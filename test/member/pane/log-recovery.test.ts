/** What a disk still tells of a log, and what takes its place after a recovery. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toHex, utf8 } from '../../../src/bytes.ts';
import { signRecovery } from '../../../src/certificate/recovery.ts';
import { heed, planRecovery, recover } from '../../../src/control/recovering.ts';
import { stateHash } from '../../../src/control/state-snapshot.ts';
import { recoveredLog, surveyLog, termsSkipped } from '../../../src/member/pane/log-recovery.ts';
import { decodeConfiguration } from '../../../src/raft/configuration.ts';
import { chainHash, chainStart, type LogEntry, type LogSnapshot } from '../../../src/seam/log-store.ts';
import { exchangeKey, filled, foundedAt, recoverySeed, signingKey } from '../../certificate/cluster.ts';
import { Pane } from '../../control/pane.ts';

/** A log that admits two members, each entry of the term of its index. */
function logOf(pane: Pane): readonly LogEntry[] {
  pane.admit();
  pane.admit({ name: 'host-b', seed: 0x51 });
  return pane.log.map((payload, at) => ({ index: at + 1, term: at + 1, kind: 'command', payload }));
}

describe('a log that is surveyed', () => {
  test('is applied to its end, also what nobody knows to be committed', () => {
    const pane = new Pane();
    const entries = logOf(pane);
    const survey = surveyLog(pane.founders.genesis, { entries });
    assert.deepEqual([survey.lastIndex, survey.lastTerm, survey.lastAt], [4, 4, pane.now]);
    assert.equal(toHex(stateHash(survey.state)), pane.hash);
    assert.equal(toHex(survey.chain), toHex(entries.reduce<Uint8Array>(chainHash, chainStart)));
  });

  test('goes on from a snapshot, past entries that are kept from before it', () => {
    const pane = new Pane();
    const entries = logOf(pane);
    const half = surveyLog(pane.founders.genesis, { entries: entries.slice(0, 2) });
    const { index, term, configuration, state } = recoveredLog(half.state, half.lastTerm - termsSkipped);
    const snapshot: LogSnapshot = { index, term, chain: half.chain, configuration, state };
    const survey = surveyLog(pane.founders.genesis, { snapshot, entries });
    assert.equal(toHex(stateHash(survey.state)), pane.hash);
    assert.equal(toHex(survey.chain), toHex(entries.reduce<Uint8Array>(chainHash, chainStart)));
    const alone = surveyLog(pane.founders.genesis, { snapshot, entries: [] });
    assert.deepEqual([alone.lastIndex, alone.lastTerm], [2, 2]);
  });

  test('is refused where it holds what this version does not know', () => {
    const { founders } = new Pane();
    const entry: LogEntry = { index: 1, term: 1, kind: 'command', payload: utf8('?') };
    assert.throws(() => surveyLog(founders.genesis, { entries: [entry] }), { code: 'data-format' });
    const chain = filled(32, 0);
    const snapshot = { index: 1, term: 1, chain, configuration: new Uint8Array(0), state: utf8('?') };
    assert.throws(() => surveyLog(founders.genesis, { snapshot, entries: [] }), { code: 'data-format' });
  });
});

test('a recovery follows amendments of which the node only heard, so that those who know them follow it', () => {
  const pane = new Pane();
  const { founders } = pane;
  const survey = surveyLog(founders.genesis, { entries: logOf(pane) });
  const elsewhere = founders.charter;
  const missed = founders.certificate(founders.nextEpoch(elsewhere)).bytes;
  assert.equal(elsewhere.amend(missed), 'amended');
  heed(survey.state, { amendments: [missed], members: new Uint8Array(0) });
  const keys = { signingKey: signingKey(1).publicKey, exchangeKey: exchangeKey(0x11) };
  const plan = planRecovery(survey.state, {
    node: { name: 'control-1', ...keys, endpoints: [{ host: '10.0.0.1', port: 7100 }] },
    keep: [],
    lastIndex: survey.lastIndex,
    lastChain: survey.chain,
    at: pane.now,
  });
  assert('statement' in plan);
  const signed = signRecovery(plan.statement, signingKey(recoverySeed), signingKey(1));
  assert(recover(survey.state, plan, signed));
  assert.equal(elsewhere.amend(signed), 'amended');
  assert.deepEqual([elsewhere.epoch, elsewhere.controlSet.index], [3, 1]);
});

test('what takes its place is of a later term than any, goes on from the charter, and has one voter', () => {
  const pane = new Pane(1);
  pane.admit();
  const snapshot = recoveredLog(pane.state, 7);
  assert.equal(snapshot.term, 7 + 1_048_576);
  assert.equal(snapshot.index, pane.state.appliedIndex);
  assert.equal(toHex(snapshot.chain), toHex(pane.state.charter.head));
  assert.deepEqual(decodeConfiguration(snapshot.configuration), { voters: [1], learners: [], outgoing: [] });
  assert(pane.state.at > foundedAt);
});
