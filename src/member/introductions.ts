/** Fetches what this node does not know yet of members that gossip or their own credential named. */
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import { viewMax } from '../swim/rings.ts';
import { facts, factsNumbersMax } from '../wire/peer-message.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';

/** Numbers waited for at a time; more are learnt from the next digest. */
export const unknownMax = 1_024;
/** News of a moment is asked for in one request. */
const gatherMs = 20;
/** When many join, requests follow one another no faster than this: then each brings several. */
const fetchPeriodMs = 250;
const answerMs = 3_000;
/** An unknown number is asked of so many peers before it is given up. */
const attemptsMax = 3;

interface Unknown {
  readonly toldBy: NodeNumber;
  attempts: number;
  /** A request for it is under way. */
  isAsked: boolean;
}

export class Introductions {
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly unknown = new Map<NodeNumber, Unknown>();
  private readonly onKnown: (number: NodeNumber, at: Instant) => void;
  private fetchAt: MonotonicMs = Number.POSITIVE_INFINITY;
  private fetchedAt: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly membership: Membership;
    readonly outbox: Outbox;
    /** Its certificate is here, and what its roles declare. */
    readonly onKnown: (number: NodeNumber, at: Instant) => void;
  }) {
    this.self = parts.self;
    this.membership = parts.membership;
    this.outbox = parts.outbox;
    this.onKnown = parts.onKnown;
  }

  nextTickAt(): MonotonicMs {
    return this.fetchAt;
  }

  /** Somebody spoke of a number that is no member here, or of whose roles too little is known. */
  want(number: NodeNumber, toldBy: NodeNumber, at: Instant): void {
    const { directory } = this.membership;
    if (directory.removed.has(number) || this.unknown.has(number) || this.unknown.size >= unknownMax) return;
    this.unknown.set(number, { toldBy, attempts: 0, isAsked: false });
    this.fetchAt = Math.min(this.fetchAt, Math.max(at.now + gatherMs, this.fetchedAt + fetchPeriodMs));
  }

  tick(at: Instant): void {
    if (at.now < this.fetchAt) return;
    this.fetchAt = Number.POSITIVE_INFINITY;
    this.fetchedAt = at.now;
    const bySource = new Map<NodeNumber, NodeNumber[]>();
    for (const [number, each] of this.unknown) {
      const source = this.sourceFor(number, each);
      const asked = bySource.get(source) ?? [];
      if (each.isAsked || asked.length >= factsNumbersMax) continue;
      bySource.set(source, [...asked, number]);
      each.attempts++;
      each.isAsked = true;
    }
    for (const [source, numbers] of bySource) this.fetch(source, numbers, at);
  }

  /**
   * In a small cluster always the same control node: when many join at once, whoever told is somebody else each
   * time, and each would have to be dialled. In a large one whoever told, so that no join burdens the pane with all
   * who hear of it. After that, and for what a certificate does not say, control nodes in turn.
   */
  private sourceFor(number: NodeNumber, unknown: Unknown): NodeNumber {
    const { directory, size } = this.membership;
    const isCertified = directory.get(number) !== undefined;
    // Whoever is outside the view is audited by nothing: its standing is the pane's to say.
    const tellsAt = size > viewMax && this.membership.wants(number) ? 0 : 1;
    if (unknown.attempts === tellsAt && !isCertified) return unknown.toldBy;
    const controlNodes = directory.controlNumbers().filter((each) => each !== this.self);
    return controlNodes[(this.self + unknown.attempts) % controlNodes.length] ?? unknown.toldBy;
  }

  private fetch(source: NodeNumber, numbers: readonly NodeNumber[], at: Instant): void {
    const target = this.membership.directory.target(source);
    if (target === undefined) {
      this.settle(numbers, at);
      return;
    }
    this.outbox.ask(
      target,
      { kind: 'facts', numbers },
      facts,
      answerMs,
      (outcome, later) => {
        if (outcome.ok) this.membership.merge(outcome.value, source, later);
        this.settle(numbers, later);
      },
      at,
    );
  }

  private settle(numbers: readonly NodeNumber[], at: Instant): void {
    for (const number of numbers) {
      const each = this.unknown.get(number);
      if (each !== undefined) each.isAsked = false;
      if (this.membership.directory.isComplete(number)) {
        this.unknown.delete(number);
        this.onKnown(number, at);
      } else if (each !== undefined && each.attempts >= attemptsMax) {
        this.unknown.delete(number);
      }
    }
    if (this.unknown.size > 0) this.fetchAt = Math.min(this.fetchAt, at.now + answerMs / 10);
  }
}
