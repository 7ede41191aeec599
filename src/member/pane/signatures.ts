/**
 * How a majority signs what the log decided: each control node makes the statement anew from its own state,
 * signs it and posts its share to the leader, again and again until the certificate is committed. A new leader
 * simply starts to collect.
 */
import { unreachable } from '../../assert.ts';
import { equalBytes } from '../../bytes.ts';
import { type ControlSet, majorityOf, type Share, signShare, verifyShare } from '../../certificate/certificate.ts';
import type { ControlSetStatement, Statement } from '../../certificate/statement.ts';
import type { Command } from '../../control/command.ts';
import type { SigningKey } from '../../crypto.ts';
import type { MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Directory } from '../directory.ts';
import type { Outbox } from '../outbox.ts';

/** How long a share may be on its way before it is posted again. */
export const shareRepeatMs = 500;
/** In the place of a member's number, where the charter is what a statement is about. */
export const charterSubject: NodeNumber = 0;

export class Signatures {
  private readonly key: SigningKey;
  private readonly self: NodeNumber;
  private readonly directory: Directory;
  private readonly outbox: Outbox;
  /** What is to be signed, by its subject. */
  private readonly wanted = new Map<NodeNumber, Statement>();
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

  want(statement: Statement, leader: NodeNumber | undefined, at: Instant): void {
    this.wanted.set(subjectOf(statement), statement);
    this.offer(statement, leader);
    this.repeatAt = Math.min(this.repeatAt, at.now + shareRepeatMs);
  }

  /** The state was replaced: exactly these are still to be signed. */
  restart(statements: readonly Statement[], leader: NodeNumber | undefined, at: Instant): void {
    for (const open of [this.wanted, this.shares, this.proposedAt]) open.clear();
    for (const statement of statements) this.want(statement, leader, at);
  }

  /** The certificate about this subject stands, or was given up. */
  settle(subject: NodeNumber): void {
    this.wanted.delete(subject);
    this.shares.delete(subject);
    this.proposedAt.delete(subject);
  }

  tick(leader: NodeNumber | undefined, at: Instant): void {
    if (at.now < this.repeatAt) return;
    this.repeatAt = at.now + shareRepeatMs;
    for (const statement of this.wanted.values()) this.offer(statement, leader);
  }

  /** Takes a share if it is a right one. */
  onShare(subject: NodeNumber, kind: Statement['kind'], share: Share): void {
    const statement = this.wanted.get(subject);
    if (statement?.kind !== kind) return;
    const set = this.setFor(statement);
    if (set !== undefined && verifyShare(share, statement, set)) this.keep(subject, share);
  }

  /** What a leader may propose now: each certificate for which a majority is together, not again at once. */
  takeComplete(at: Instant): readonly Command[] {
    const commands: Command[] = [];
    for (const [subject, collected] of this.shares) {
      const statement = this.wanted.get(subject);
      const set = statement === undefined ? undefined : this.setFor(statement);
      if (statement === undefined || set === undefined) continue;
      const majority = majorityOf(set.signingKeys.size);
      if (collected.size < majority) continue;
      if (at.now < (this.proposedAt.get(subject) ?? Number.NEGATIVE_INFINITY) + shareRepeatMs) continue;
      this.proposedAt.set(subject, at.now);
      commands.push(completionOf(statement, [...collected.values()].slice(0, majority), at));
    }
    return commands;
  }

  /** Who is to sign it: when the control set changes meanwhile, those before. */
  private setFor({ controlSet }: Statement): ControlSet | undefined {
    return this.directory.charter.setAt(controlSet);
  }

  private keep(subject: NodeNumber, share: Share): void {
    const collected = this.shares.get(subject) ?? new Map<NodeNumber, Share>();
    this.shares.set(subject, collected.set(share.signer, share));
  }

  /** A snapshot is one control node's word: who is to sign from now on has a certificate that a majority signed. */
  private areMembers({ nodes }: ControlSetStatement): boolean {
    return nodes.every(({ number, signingKey, exchangeKey }) => {
      const known = this.directory.get(number);
      if (known === undefined) return false;
      return equalBytes(known.signingKey, signingKey) && equalBytes(known.exchangeKey, exchangeKey);
    });
  }

  private offer(statement: Statement, leader: NodeNumber | undefined): void {
    if (this.setFor(statement)?.signingKeys.has(this.self) !== true) return;
    if (statement.kind === 'control-set' && !this.areMembers(statement)) return;
    const target = leader === undefined ? undefined : this.directory.target(leader);
    if (leader !== this.self && target === undefined) return;
    const share = signShare(this.key, this.self, statement);
    const subject = subjectOf(statement);
    if (leader === this.self) this.keep(subject, share);
    else if (target !== undefined)
      this.outbox.post(target, { kind: 'share', number: subject, statement: statement.kind, share });
  }
}

/** The member whom it is about: nobody is admitted and removed at once. The charter is amended once at a time. */
function subjectOf(statement: Statement): NodeNumber {
  return 'number' in statement ? statement.number : charterSubject;
}

function completionOf(statement: Statement, shares: readonly Share[], at: Instant): Command {
  switch (statement.kind) {
    case 'admit':
      return { kind: 'complete-admission', at: at.wall, number: statement.number, shares };
    case 'remove':
      return { kind: 'complete-removal', at: at.wall, number: statement.number, shares };
    case 'control-set':
    case 'epoch':
      return { kind: 'complete-amendment', at: at.wall, shares };
    default:
      return unreachable(statement);
  }
}
