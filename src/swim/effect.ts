import type { Incarnation, NodeNumber } from '../identity.ts';
import type { Accusation, Report, SwimMessage, Update } from './message.ts';

/** An observer's word on its subject, while no quorum can decide. */
export interface Hint {
  readonly number: NodeNumber;
  /** The one that was watched. */
  readonly incarnation: Incarnation;
  /** Whether most of its observers report it; false takes an earlier hint back. */
  readonly isDown: boolean;
}

/** What the composition has to do, in this order, after each call. */
export type SwimEffect =
  /** One datagram, within the byte budgets of the outbox; gossip rides along. */
  | { readonly kind: 'send'; readonly to: NodeNumber; readonly messages: readonly SwimMessage[] }
  /** An opaque rumour that was never heard here before: to be given to `passOn` if it is right. */
  | { readonly kind: 'rumour'; readonly from: NodeNumber; readonly bytes: Uint8Array }
  /** News by gossip, also about numbers that are no members here: their certificates are to be fetched. */
  | { readonly kind: 'update'; readonly from: NodeNumber; readonly update: Update }
  /** For the jury of a leader: what an observer, or this node itself, testifies. Only control nodes get it. */
  | { readonly kind: 'testimony'; readonly from: NodeNumber; readonly message: Accusation | Report }
  /** To be signed and spread: those who do not observe that member have it from nobody else. */
  | ({ readonly kind: 'hint' } & Hint)
  /** This node is published as down: ask the pane for a return with the next incarnation. Once for each. */
  | { readonly kind: 'convicted-me'; readonly incarnation: Incarnation }
  /**
   * Try a stream to this member; the outcome is given to `onDialled`. `knock`: a bare connection, closed as soon as
   * it is there: does anything listen? `ask`: a whole stream and an answer over it: is it alive, though datagrams fail?
   */
  | { readonly kind: 'dial'; readonly to: NodeNumber; readonly depth: 'knock' | 'ask' }
  /** The members with whom this node keeps a standing stream from now on: its first observers. */
  | { readonly kind: 'hold-streams'; readonly to: readonly NodeNumber[] }
  | { readonly kind: 'event'; readonly event: SwimEvent };

/**
 * How a dial ended. `accepted`: something listens. `answered`: the member itself answered over the stream. `refused`:
 * the kernel of its machine says that nobody listens at any of its addresses. `silent`: nothing came in time.
 */
export type DialOutcome = 'accepted' | 'answered' | 'refused' | 'silent';

/** What `hivemind events` shows of the failure detector. */
export type SwimEvent =
  /** No answer within the timeout. `asked` got a probe-request; it is empty for a probe that others asked for. */
  | { readonly kind: 'probe-missed'; readonly number: NodeNumber; readonly asked: readonly NodeNumber[] }
  /** Silent for too long: accused from here on, but still a member in good standing. */
  | { readonly kind: 'suspected'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  /** A suspicion that an answer, or a newer incarnation, cleared. */
  | {
      readonly kind: 'refuted';
      readonly number: NodeNumber;
      /** The one that was suspected. */
      readonly incarnation: Incarnation;
      readonly suspectedForMs: number;
    }
  /** This node did not answer `by` in time, and does so now. */
  | { readonly kind: 'accused-me'; readonly by: NodeNumber }
  | { readonly kind: 'down'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  | { readonly kind: 'back'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  /** Most of its observers report it while no quorum can convict it. Any answer clears that. */
  | { readonly kind: 'hinted-down'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  /** Published as down, and yet it answered. Only the pane can take it back. */
  | { readonly kind: 'answers-again'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  /** Too few of ten probes in a row were answered: reported, though some were. */
  | { readonly kind: 'lossy'; readonly number: NodeNumber; readonly incarnation: Incarnation }
  /**
   * It answers by streams and not by datagrams, many times in a row: its UDP port is blocked. `number` is this node's
   * own where nobody at all answers by datagram.
   */
  | { readonly kind: 'datagrams-blocked'; readonly number: NodeNumber }
  /** Datagrams pass again. */
  | { readonly kind: 'datagrams-open'; readonly number: NodeNumber }
  /** Gossip that raised an incarnation too far to be believed. */
  | { readonly kind: 'implausible'; readonly from: NodeNumber; readonly update: Update };
