/**
 * Reads on a control node that no later decision can have overtaken (CS-16): the leader makes sure that it still leads
 * (ReadIndex, Raft §6.4), and whoever follows waits until it has applied what the leader names.
 */
import type { ControlState } from '../../control/control-state.ts';
import { HivemindError } from '../../error.ts';
import type { LogIndex, MonotonicMs } from '../../identity.ts';
import type { Engine } from '../../seam/engine.ts';
import type { Instant } from '../../seam/instant.ts';
import { notLeading } from '../pane-refusal.ts';
import type { Then } from './pane-reply.ts';

/** Readers that wait for an entry; one more is refused as busy. */
export const readersMax = 1_024;
/** One that waits longer is told to ask another control node. */
export const readWaitMs = 1_500;

interface Reader {
  readonly index: LogIndex;
  readonly until: MonotonicMs;
  readonly then: Then<LogIndex>;
}

export class PaneReads {
  private readonly engine: Engine;
  private readonly state: ControlState;
  private readers: readonly Reader[] = [];

  constructor(engine: Engine, state: ControlState) {
    this.engine = engine;
    this.state = state;
  }

  /** As the leader: up to which entry, applied here, everything is that was decided before this was asked. */
  current(then: Then<LogIndex>, at: Instant): void {
    this.engine.read((outcome, later) => {
      if (outcome.kind === 'current') this.reached(outcome.index, then, later);
      else then({ ok: false, error: outcome.why === 'busy' ? tooMany() : notLeading() }, later);
    }, at);
  }

  /** Tells once all up to `index` is applied here. */
  reached(index: LogIndex, then: Then<LogIndex>, at: Instant): void {
    if (index <= this.state.appliedIndex) then({ ok: true, value: index }, at);
    else if (this.readers.length >= readersMax) then({ ok: false, error: tooMany() }, at);
    else this.readers = [...this.readers, { index, until: at.now + readWaitMs, then }];
  }

  nextTickAt(): MonotonicMs {
    return Math.min(Number.POSITIVE_INFINITY, ...this.readers.map(({ until }) => until));
  }

  /** Tells whoever waited long enough, or too long. */
  tick(at: Instant): void {
    if (this.readers.length === 0) return;
    const { appliedIndex } = this.state;
    const { readers } = this;
    this.readers = readers.filter(({ index, until }) => index > appliedIndex && at.now < until);
    for (const { index, until, then } of readers) {
      if (index <= appliedIndex) then({ ok: true, value: index }, at);
      else if (at.now >= until) then({ ok: false, error: lagging(index, appliedIndex) }, at);
    }
  }
}

function tooMany(): HivemindError {
  return new HivemindError('busy', 'Too many reads wait on this control node; try again in a moment.');
}

function lagging(index: LogIndex, appliedIndex: LogIndex): HivemindError {
  const sentence = `This control node has log entry ${appliedIndex} and not entry ${index} yet; ask another one.`;
  return new HivemindError('time-out', sentence);
}
