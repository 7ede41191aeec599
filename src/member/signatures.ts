/**
 * How a majority signs what the log decided: each control node makes the statement anew from its own state,
 * signs it and posts its share to the leader, again and again until the certificate is committed. A new leader
 * simply starts to collect.
 */
import { majorityOf, type Share, signShare, verifyShare } from '../certificate/certificate.ts';
import type { MemberStatement } from '../certificate/statement.ts';
import type { Command } from '../control/command.ts';
import type { SigningKey } from '../crypto.ts';
import type { MonotonicMs, NodeNumber } from '../identity.ts';
import type { Directory } from './directory.ts';
import type { Instant } from './instant.ts';
import type { Outbox } from './outbox.ts';

/** How long a share may be on its way before it is posted again. */
export const shareRepeatMs = 500;

export class Signatures {
  private readonly key: SigningKey;
  private readonly self: NodeNumber;
  private readonly directory: Directory;
  private readonly outbox: Outbox;
  /** What is to be signed, by number; a number is never admitted and removed at once. */
  private readonly wanted = new Map<NodeNumber, MemberStatement>();
  private readonly shares = new Map<NodeNumber, Map<NodeNumber, Share>>();
  private readonly proposedAt = new Map<NodeNumber, MonotonicMs>();
  private repeatAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(parts: {
    readonly key: SigningKey;
    readonly self: NodeNumber;
    readonly directory: Directory;
    readonly outbox: Outbox;
  }) {
    this.key = parts.key;
    this.self = parts.self;
    this.directory = parts.directory;
    this.outbox = parts.outbox;
  }

  nextTickAt(): MonotonicMs {
    return this.wanted.size > 0 ? this.repeatAt : Number.POSITIVE_INFINITY;
  }

  want(statement: MemberStatement, leader: NodeNumber | undefined, at: Instant): void {
    this.wanted.set(statement.number, statement);
    this.offer(statement, leader);
    this.repeatAt = Math.min(this.repeatAt, at.now + shareRepeatMs);
  }

  /** The certificate stands, or was given up. */
  settle(number: NodeNumber): void {
    this.wanted.delete(number);
    this.shares.delete(number);
    this.proposedAt.delete(number);
  }

  tick(leader: NodeNumber | undefined, at: Instant): void {
    if (at.now < this.repeatAt) return;
    this.repeatAt = at.now + shareRepeatMs;
    for (const statement of this.wanted.values()) this.offer(statement, leader);
  }

  /** Takes a share if it is a right one. */
  onShare(number: NodeNumber, kind: MemberStatement['kind'], share: Share): void {
    const statement = this.wanted.get(number);
    if (statement?.kind !== kind || !verifyShare(share, statement, this.directory.controlSet)) return;
    this.keep(number, share);
  }

  /** What a leader may propose now: each certificate for which a majority is together, not again at once. */
  takeComplete(at: Instant): readonly Command[] {
    const commands: Command[] = [];
    for (const [number, collected] of this.shares) {
      const statement = this.wanted.get(number);
      if (statement === undefined || collected.size < this.majority) continue;
      if (at.now < (this.proposedAt.get(number) ?? Number.NEGATIVE_INFINITY) + shareRepeatMs) continue;
      this.proposedAt.set(number, at.now);
      const kind = statement.kind === 'admit' ? 'complete-admission' : 'complete-removal';
      commands.push({ kind, at: at.wall, number, shares: [...collected.values()].slice(0, this.majority) });
    }
    return commands;
  }

  private get majority(): number {
    return majorityOf(this.directory.controlSet.signingKeys.size);
  }

  private keep(number: NodeNumber, share: Share): void {
    const collected = this.shares.get(number) ?? new Map<NodeNumber, Share>();
    this.shares.set(number, collected.set(share.signer, share));
  }

  private offer(statement: MemberStatement, leader: NodeNumber | undefined): void {
    const share = signShare(this.key, this.self, statement);
    const { number, kind } = statement;
    if (leader === this.self) {
      this.keep(number, share);
      return;
    }
    const target = leader === undefined ? undefined : this.directory.target(leader);
    if (target !== undefined) this.outbox.post(target, { kind: 'share', number, statement: kind, share });
  }
}
