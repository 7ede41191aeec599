/** What makes a member a control node: a voter of the pane, with the event log that its disk kept. */
import { ControlState } from '../../control/control-state.ts';
import { decodeState } from '../../control/state-snapshot.ts';
import { HivemindError } from '../../error.ts';
import { decodeConfiguration } from '../../raft/configuration.ts';
import { Raft } from '../../raft/raft.ts';
import { type RaftSettings, raftSettingsDefault } from '../../raft/settings.ts';
import type { Instant } from '../../seam/instant.ts';
import type { MemberOptions } from '../member-options.ts';
import { givenUp, type Membership } from '../membership.ts';
import type { Outbox } from '../outbox.ts';
import { ControlPane } from './control-pane.ts';

/**
 * A control pane's timing: below etcd's 1,000 ms, so that a leader that died is replaced within two seconds, and
 * still seven heartbeats long, so that a busy machine does not lose its leader.
 */
const paneTiming: RaftSettings = { ...raftSettingsDefault, electionTimeoutMs: 750, commitAnnounceMs: 10 };

const advice = 'restore its data, or let another node join with --role control and take its place';

/**
 * Nothing for a member without a log.
 *
 * @throws HivemindError `data-corrupt` when the log is gone, or lacks entries that this node helped to commit, unknown
 *   to its disk; `data-format` for a snapshot of another version; `refused` for a control node that a recovery gave up
 */
export function openPane(
  options: MemberOptions,
  membership: Membership,
  outbox: Outbox,
  calls: Pick<ConstructorParameters<typeof ControlPane>[0], 'sendDatagram' | 'onLaterCharter'>,
  at: Instant,
): ControlPane | undefined {
  const { storedLog, random, genesis, number, snapshotEveryEntries } = options;
  if (storedLog === undefined) return undefined;
  const { snapshot, entries, hardState, damage, isNew } = storedLog;
  const lastIndex = Math.max(snapshot?.index ?? 0, entries.at(-1)?.index ?? 0);
  const remembered = options.memory?.commitIndex ?? 0;
  // What has forgotten entries has forgotten votes as well: nobody can tell what this node promised since.
  if (isNew && options.memory?.commitIndex !== undefined) {
    const sentence = 'The event log of this control node is gone, and with it what it promised to the others; ';
    throw new HivemindError('data-corrupt', `${sentence}${advice}.`);
  }
  if (remembered > lastIndex && damage === undefined) {
    const sentence = `The event log has lost entries: ${remembered} were committed, ${lastIndex} are left; `;
    throw new HivemindError('data-corrupt', `${sentence}${advice}.`);
  }
  const { directory, swim } = membership;
  const recovery = directory.givenUpBy(number);
  if (recovery !== undefined) throw givenUp(recovery);
  swim.heedPaneAlone();
  const genesisVoters = { voters: genesis.control.map((node) => node.number), learners: [], outgoing: [] };
  const configuration = snapshot === undefined ? genesisVoters : decodeConfiguration(snapshot.configuration);
  const state =
    snapshot === undefined
      ? new ControlState(genesis, directory.genesisHash)
      : decodeState(snapshot.state, genesis, directory.genesisHash);
  if (configuration === undefined || state === undefined) {
    const sentence = 'The snapshot of the event log is of a kind that this version does not know; ';
    throw new HivemindError('data-format', `${sentence}start the version of hivemind that wrote it.`);
  }
  const raft = new Raft({
    self: number,
    configuration,
    settings: paneTiming,
    random,
    hardState,
    ...(snapshot === undefined ? {} : { snapshot }),
    entries,
    // What damage has left may be what a later leader had replaced: it is not known to be committed.
    committed: damage === undefined ? Math.min(remembered, lastIndex) : 0,
    quarantined: damage !== undefined,
    now: at.now,
  });
  const parts = { self: number, key: options.signingKey, raft, state, snapshot, membership, outbox };
  return new ControlPane({ ...parts, patience: options, snapshotEveryEntries, ...calls, at });
}
