/**
 * Notes of members' applications and operators, on the leader: each turn of a session comes into the log once.
 *
 * Applying an entry twice is ruled out by the state already. But whoever reads the log sees all entries, those too
 * that changed nothing, so that a turn which was sent again must not even be appended again. The leader knows of all
 * that might hold it once everything that earlier leaders appended is applied: it is in the state, or among the notes
 * that this leader proposed itself.
 */
import { unreachable } from '../../assert.ts';
import { toHex } from '../../bytes.ts';
import type { Command } from '../../control/command.ts';
import { HivemindError } from '../../error.ts';
import type { LogIndex, NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { PaneAsk } from '../../wire/peer-message.ts';
import type { DecisionLog, Verdict } from './decision-log.ts';
import { decidedReply, type Then } from './pane-reply.ts';

export type NoteAsk = Extract<PaneAsk, { readonly kind: 'note' }>;

/** Askers that wait for the same note; one more is told to come again. */
export const repeatsMax = 16;

export class Notes {
  private readonly log: DecisionLog;
  /** Whom to tell how each note ends that is proposed, by its turn. */
  private readonly waiting = new Map<string, Then<LogIndex>[]>();

  constructor(log: DecisionLog) {
    this.log = log;
  }

  /** Appends what member `by` wants to have noted, as the leader; `then` tells the entry's index. */
  write(by: NodeNumber, ask: NoteAsk, then: Then<LogIndex>, at: Instant): void {
    if (!this.log.isCaughtUp) {
      const sentence = 'The leader was elected this moment and does not know all entries yet; ask again.';
      then({ ok: false, error: new HivemindError('no-leader', sentence) }, at);
      return;
    }
    const turn = `${toHex(ask.session)} ${ask.sequence}`;
    const repeated = this.waiting.get(turn);
    if (repeated !== undefined) this.join(repeated, then, at);
    else this.propose(turn, by, ask, then, at);
  }

  private join(waiting: Then<LogIndex>[], then: Then<LogIndex>, at: Instant): void {
    if (waiting.length < repeatsMax) {
      waiting.push(then);
      return;
    }
    const sentence = 'This note was sent many times and is being decided; ask again in a moment.';
    then({ ok: false, error: new HivemindError('busy', sentence) }, at);
  }

  private propose(turn: string, by: NodeNumber, ask: NoteAsk, then: Then<LogIndex>, at: Instant): void {
    const { state } = this.log;
    const standing = state.sessions.judge(ask, this.log.nextIndex);
    switch (standing.kind) {
      case 'repeated':
        then({ ok: true, value: standing.index }, at);
        break;
      case 'refused':
        then({ ok: false, error: new HivemindError(standing.refusal.code, standing.refusal.sentence) }, at);
        break;
      case 'new':
        this.waiting.set(turn, [then]);
        this.log.propose(noteBy(by, ask, at), (verdict, later) => this.settle(turn, verdict, later), at);
        break;
      default:
        unreachable(standing);
    }
  }

  private settle(turn: string, verdict: Verdict, at: Instant): void {
    const waiting = this.waiting.get(turn) ?? [];
    this.waiting.delete(turn);
    for (const then of waiting) then(decidedReply(verdict), at);
  }
}

function noteBy(by: NodeNumber, { session, since, sequence, text }: NoteAsk, at: Instant): Command {
  return { kind: 'note', at: at.wall, session, since, sequence, by, text };
}
