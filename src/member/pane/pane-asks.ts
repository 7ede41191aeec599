/** What members ask of the pane, joins apart: the leader judges it, and what it grants goes into the log. */
import { unreachable } from '../../assert.ts';
import { toHex } from '../../bytes.ts';
import type { Command } from '../../control/command.ts';
import type { ControlState } from '../../control/control-state.ts';
import { HivemindError } from '../../error.ts';
import type { Incarnation, LogIndex, NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { PaneAsk } from '../../wire/peer-message.ts';
import type { DecisionLog } from './decision-log.ts';
import type { NoteAsk, Notes } from './notes.ts';
import { decidedReply, type Then } from './pane-reply.ts';
import type { RaftEngine } from './raft-engine.ts';
import type { Returns } from './returns.ts';
import type { Voters } from './voters.ts';

export interface PaneAsksParts {
  readonly self: NodeNumber;
  readonly state: ControlState;
  readonly engine: RaftEngine;
  readonly log: DecisionLog;
  readonly notes: Notes;
  readonly returns: Returns;
  readonly voters: Voters;
}

export class PaneAsks {
  private readonly parts: PaneAsksParts;

  constructor(parts: PaneAsksParts) {
    this.parts = parts;
  }

  /** Carries out what member `from` asked, as the leader. */
  ask(from: NodeNumber, ask: PaneAsk, then: Then<LogIndex>, at: Instant): void {
    // The leader itself may be convicted; whoever leads is there.
    const isOther = from !== this.parts.self;
    if (isOther && ask.kind === 'return' && this.parts.state.members.get(from)?.status === 'down') {
      then({ ok: false, error: this.parts.returns.begin(from, ask.uptimeMs, at) }, at);
      return;
    }
    if (ask.kind === 'note') this.parts.notes.write(from, ask, then, at);
    else this.decide(from, ask, then, at);
  }

  private decide(from: NodeNumber, ask: Exclude<PaneAsk, NoteAsk>, then: Then<LogIndex>, at: Instant): void {
    const command = this.commandFor(from, ask, at);
    if (command instanceof HivemindError || command === 'stands already') {
      then(command instanceof HivemindError ? { ok: false, error: command } : { ok: true, value: 0 }, at);
      return;
    }
    this.parts.log.propose(command, (verdict, later) => then(decidedReply(verdict), later), at);
  }

  /** What stands already needs no entry: an answer was lost, and the same is asked again. */
  private commandFor(
    from: NodeNumber,
    ask: Exclude<PaneAsk, NoteAsk>,
    at: Instant,
  ): Command | 'stands already' | HivemindError {
    const dated = { at: at.wall };
    switch (ask.kind) {
      case 'remove':
        if (this.parts.state.removed.has(ask.number)) return 'stands already';
        return this.parts.voters.objectionToRemoval(ask.number) ?? removalOf(from, ask.number, at);
      case 'return':
        return this.returnOf(from, ask.incarnation, at);
      case 'create-token':
        // By the time of the log, too: it judges the joins.
        if (ask.notAfter <= Math.max(at.wall, this.parts.state.at)) {
          return new HivemindError('usage', 'A token must expire in the future; give --ttl a longer time.');
        }
        return this.parts.state.tokens.has(toHex(ask.publicKey)) ? 'stands already' : { ...ask, ...dated };
      case 'revoke-token':
        if (this.parts.state.tokens.has(toHex(ask.publicKey))) return { ...ask, ...dated };
        return new HivemindError('not-found', 'There is no such token; it may have been revoked or have expired.');
      case 'amend':
        return this.parts.voters.amendmentFor(ask.change, at);
      case 'transfer':
        return this.handOver(ask.to, at);
      case 'release-brake':
        return { kind: 'release-brake', ...dated, until: at.wall + ask.forMs };
      default:
        return unreachable(ask);
    }
  }

  /** Needs no entry: the next leader's first one shows it. */
  private handOver(to: NodeNumber, at: Instant): 'stands already' | HivemindError {
    if (to === this.parts.self) return 'stands already';
    const begun = this.parts.engine.transfer(to, at);
    const sentence = begun.kind === 'refused' ? begun.reason : 'this control node does not lead';
    return begun.kind === 'begun' ? 'stands already' : new HivemindError('refused', `The lead stays: ${sentence}.`);
  }

  /** A return that cannot be is refused without an entry: whoever believes itself down for nothing asks often. */
  private returnOf(
    from: NodeNumber,
    incarnation: Incarnation,
    at: Instant,
  ): Command | 'stands already' | HivemindError {
    const member = this.parts.state.members.get(from);
    if (member?.status === 'alive') {
      if (member.incarnation === incarnation) return 'stands already';
      return new HivemindError('refused', 'This member is not down; its view is to be corrected by the digest.');
    }
    return { kind: 'return', at: at.wall, number: from, incarnation };
  }
}

function removalOf(from: NodeNumber, number: NodeNumber, at: Instant): Command {
  return { kind: 'begin-removal', at: at.wall, number, reason: number === from ? 'left' : 'removed' };
}
