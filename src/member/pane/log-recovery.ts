/** The event log of a node that goes on after a recovery: what its disk still tells, and what takes its place. Pure. */
import { type Genesis, genesisHash } from '../../certificate/genesis.ts';
import { applyCommand, applyNothing } from '../../control/apply.ts';
import { ControlState } from '../../control/control-state.ts';
import { decodeState, encodeState } from '../../control/state-snapshot.ts';
import { HivemindError } from '../../error.ts';
import type { LogIndex, Term, WallMs } from '../../identity.ts';
import { encodeConfiguration } from '../../raft/configuration.ts';
import { chainHash, chainStart, type LogEntry, type LogSnapshot, type StoredLog } from '../../seam/log-store.ts';
import { decodeCommand } from '../../wire/command.ts';

/**
 * Terms that are left out, for this recovery and each before it, which the log need not hold: higher than any that the
 * lost control nodes can have reached.
 */
export const termsSkipped = 1_048_576;

/** A log to its end, entries included of which nobody knows any more whether they were committed. */
export interface SurveyedLog {
  readonly state: ControlState;
  readonly lastIndex: LogIndex;
  /** By this and the index operators see which of several logs is the newest. */
  readonly lastTerm: Term;
  /** The hash chain up to the last entry. */
  readonly chain: Uint8Array;
  /** The time of the last entry that has one, by the clock of its leader. */
  readonly lastAt: WallMs;
}

/**
 * Applies all that is there: an entry behind the last one known to be committed may have been acknowledged by those who
 * are lost, and one that was not harms nobody.
 *
 * @throws HivemindError `data-format` for what this version does not know
 */
export function surveyLog(
  genesis: Genesis,
  { snapshot, entries }: Pick<StoredLog, 'snapshot' | 'entries'>,
): SurveyedLog {
  const hash = genesisHash(genesis);
  const state = snapshot === undefined ? new ControlState(genesis, hash) : decodeState(snapshot.state, genesis, hash);
  if (state === undefined) {
    const sentence = 'The snapshot of the event log is not rightly signed, or of another version; ';
    throw new HivemindError('data-format', `${sentence}use another copy, or the version of hivemind that wrote it.`);
  }
  let chain = snapshot?.chain ?? chainStart;
  let lastTerm = snapshot?.term ?? 0;
  for (const entry of entries) {
    if (entry.index <= state.appliedIndex) continue;
    chain = chainHash(chain, entry);
    lastTerm = entry.term;
    apply(state, entry);
  }
  return { state, lastIndex: state.appliedIndex, lastTerm, chain, lastAt: state.at };
}

function apply(state: ControlState, { index, kind, payload }: LogEntry): void {
  if (kind !== 'command') {
    applyNothing(state, index);
    return;
  }
  const command = decodeCommand(payload);
  if (command === undefined) throw unknown(`Entry ${index} of the event log`);
  applyCommand(state, index, command);
}

/** What the log begins with from then on: the state after the recovery, of a term that nobody reached before. */
export function recoveredLog(state: ControlState, highestTerm: Term): LogSnapshot {
  return {
    index: state.appliedIndex,
    term: highestTerm + termsSkipped * Math.max(1, state.charter.recoveries),
    chain: state.charter.head,
    configuration: encodeConfiguration({ voters: state.controlNumbers, learners: [], outgoing: [] }),
    state: encodeState(state),
  };
}

function unknown(what: string): HivemindError {
  const sentence = `${what} is of a kind that this version does not know; use the version of hivemind that wrote it.`;
  return new HivemindError('data-format', sentence);
}
