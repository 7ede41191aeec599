/** What makes a member a control node: a voter of the pane, with the event log that its disk kept. */
import { ControlState } from '../control/control-state.ts';
import { HivemindError } from '../error.ts';
import { Raft } from '../raft/raft.ts';
import { type RaftSettings, raftSettingsDefault } from '../raft/settings.ts';
import { ControlPane } from './control-pane.ts';
import type { Instant } from './instant.ts';
import type { MemberOptions } from './member-options.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';

/**
 * A control pane's timing: below etcd's 1,000 ms, so that a leader that died is replaced within two seconds, and
 * still seven heartbeats long, so that a busy machine does not lose its leader.
 */
const paneTiming: RaftSettings = { ...raftSettingsDefault, electionTimeoutMs: 750 };

/**
 * Nothing for a member without a log.
 *
 * @throws HivemindError `data-corrupt` when the log lacks entries that this node helped to commit
 */
export function openPane(
  options: MemberOptions,
  membership: Membership,
  outbox: Outbox,
  sendDatagram: ConstructorParameters<typeof ControlPane>[0]['sendDatagram'],
  at: Instant,
): ControlPane | undefined {
  const { storedLog, random, genesis, number, reapAfterMs } = options;
  if (storedLog === undefined) return undefined;
  // Until consensus can repair a log from its peers, a voter that forgot a promise must not come back.
  if (storedLog.damage !== undefined) throw new HivemindError('data-corrupt', storedLog.damage);
  const committed = options.memory?.commitIndex ?? 0;
  if (committed > storedLog.entries.length) {
    // Voting without entries that this node helped to commit could lose them for all.
    const left = storedLog.entries.length;
    const sentence = `The event log has lost entries: ${committed} were committed, ${left} are left; `;
    throw new HivemindError('data-corrupt', `${sentence}restore this control node's data.`);
  }
  const { directory, swim } = membership;
  swim.heedPaneAlone();
  const raft = new Raft({
    self: number,
    configuration: { voters: directory.controlNumbers(), learners: [], outgoing: [] },
    settings: paneTiming,
    random,
    hardState: storedLog.hardState,
    entries: storedLog.entries,
    committed,
    now: at.now,
  });
  const state = new ControlState(genesis, directory.genesisHash);
  const parts = { self: number, key: options.signingKey, raft, state, membership, outbox };
  return new ControlPane({ ...parts, reapAfterMs, sendDatagram, at });
}
