/** How a member last fared with each control node: the why behind "no quorum" and "no pane" (HM-6). */
import type { PaneHealth } from '../../control/keep-alive.ts';
import type { MonotonicMs, NodeNumber, WallMs } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Outcome } from '../outbox.ts';

/**
 * `streams-only`: it answers by TCP and not by UDP. `refused`: nobody listens at its address.
 * `not-admitted`: it says that this node is no member.
 */
export type ContactState = 'answers' | 'streams-only' | 'silent' | 'refused' | 'not-admitted';

export interface ControlContact {
  readonly state: ContactState;
  /** Since when it has been so at every attempt. */
  readonly since: WallMs;
  /** The last attempt of which the end is known. */
  readonly triedAt: WallMs;
  /** What it said of the pane, while it answers. */
  readonly health: PaneHealth | undefined;
}

export class PaneContacts {
  /** Of control nodes alone: nobody else is asked. */
  private readonly byNumber = new Map<NodeNumber, ControlContact>();
  /** When each was last asked over a stream. */
  private readonly streamedAt = new Map<NodeNumber, MonotonicMs>();

  of(number: NodeNumber): ControlContact | undefined {
    return this.byNumber.get(number);
  }

  /** Forgets whoever is no control node any more. */
  keep(control: readonly NodeNumber[]): void {
    for (const known of [this.byNumber, this.streamedAt]) {
      for (const number of known.keys()) if (!control.includes(number)) known.delete(number);
    }
  }

  /** Of these the one that was asked over a stream longest ago: of whom least is known why it is silent. */
  leastExplained(numbers: readonly NodeNumber[]): NodeNumber | undefined {
    const streamedAt = (number: NodeNumber): MonotonicMs => this.streamedAt.get(number) ?? 0;
    return [...numbers].sort((a, b) => streamedAt(a) - streamedAt(b))[0];
  }

  onAnswer(number: NodeNumber, health: PaneHealth, at: Instant): void {
    this.become(number, 'answers', health, at);
  }

  /** No answer to a datagram, which says less than how a stream ended, if that was tried since it last answered. */
  onSilence(number: NodeNumber, at: Instant): void {
    const known = this.byNumber.get(number)?.state ?? 'silent';
    this.become(number, known === 'answers' ? 'silent' : known, undefined, at);
  }

  /** How a request over a stream ended, of a control node that answers no datagrams. */
  onStream<T>(number: NodeNumber, outcome: Outcome<T>, at: Instant): void {
    this.streamedAt.set(number, at.now);
    if (this.byNumber.get(number)?.state !== 'answers') this.become(number, stateOf(outcome), undefined, at);
  }

  private become(number: NodeNumber, state: ContactState, health: PaneHealth | undefined, at: Instant): void {
    const known = this.byNumber.get(number);
    const since = known?.state === state ? known.since : at.wall;
    this.byNumber.set(number, { state, since, triedAt: at.wall, health });
  }
}

function stateOf<T>(outcome: Outcome<T>): ContactState {
  if (outcome.ok) return 'streams-only';
  if (outcome.error.code === 'not-admitted') return 'not-admitted';
  return outcome.refused === true ? 'refused' : 'silent';
}
