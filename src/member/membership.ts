/**
 * Who belongs and who is alive, in one place: it keeps the directory and the failure detector in step, whatever
 * brought the news (the log, a digest, gossip, a stranger's credential), and tells the floors above.
 */
import { ByteWriter } from '../bytes.ts';
import { isAdmission, verifyCertificate } from '../certificate/certificate.ts';
import { sha256 } from '../crypto.ts';
import type { Incarnation, LogIndex, NodeNumber } from '../identity.ts';
import type { Update } from '../swim/message.ts';
import type { Swim, SwimEffect } from '../swim/swim.ts';
import type { Digest, Facts, MemberFacts } from '../wire/peer-message.ts';
import { encodeRumour, type Rumour } from '../wire/rumour.ts';
import type { Directory, MemberRecord } from './directory.ts';
import type { Instant } from './instant.ts';
import type { Outbox } from './outbox.ts';

/** Carries out what the failure detector wants; given by the composition. */
export type SwimSink = (effects: readonly SwimEffect[], at: Instant) => void;

export class Membership {
  readonly directory: Directory;
  readonly swim: Swim;
  private readonly self: NodeNumber;
  private readonly outbox: Outbox;
  private readonly sink: SwimSink;
  private readonly onForgotten: (number: NodeNumber) => void;
  /** What the last digest, or the log on a control node, reached. */
  logIndex: LogIndex = 0;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly directory: Directory;
    readonly swim: Swim;
    readonly outbox: Outbox;
    readonly sink: SwimSink;
    readonly onForgotten: (number: NodeNumber) => void;
  }) {
    this.self = parts.self;
    this.directory = parts.directory;
    this.swim = parts.swim;
    this.outbox = parts.outbox;
    this.sink = parts.sink;
    this.onForgotten = parts.onForgotten;
  }

  /** Takes over a standing that the directory's record has, without spreading it: whoever told knows already. */
  learn(record: MemberRecord, status: Update['status'], incarnation: Incarnation, at: Instant): void {
    const { number, name, roles } = record;
    const isNew = this.swim.statusOf(number) === undefined;
    this.sink(this.swim.setMember(number, incarnation, status, at.now), at);
    if (isNew) this.outbox.event({ kind: 'joined', number, name, roles });
  }

  /** The pane decided this: apply it and spread it. */
  publish(update: Update, at: Instant): void {
    if (this.directory.get(update.number) === undefined) return;
    this.sink(this.swim.publish(update, at.now), at);
  }

  /** The pane's own word on a standing, which whoever else is concerned has heard already. */
  correct(update: Update, at: Instant): void {
    // A log that is replayed speaks of members whose removal is remembered already.
    if (this.directory.get(update.number) === undefined) return;
    this.sink(this.swim.correct(update, at.now), at);
  }

  /** Pings a member that is down. */
  callDown(number: NodeNumber, at: Instant): void {
    this.sink(this.swim.callDown(number), at);
  }

  spread(rumour: Rumour, at: Instant): void {
    this.swim.spread(encodeRumour(rumour), at.now);
  }

  /** Out for good. With its certificate the removal is passed on. */
  remove(number: NodeNumber, certificate: Uint8Array | undefined, at: Instant): void {
    if (certificate !== undefined) this.spread({ kind: 'removal', certificate }, at);
    if (this.directory.removed.has(number) || this.directory.isControl(number)) return;
    if (number === this.self) {
      this.outbox.event({ kind: 'removed-me' });
      return;
    }
    const record = this.directory.remove(number);
    this.swim.removeMember(number);
    this.onForgotten(number);
    if (record !== undefined) this.outbox.event({ kind: 'left', number, name: record.name });
  }

  /** A removal brought by gossip counts only with its certificate; whether it does. */
  onRemoval(certificate: Uint8Array, at: Instant): boolean {
    const verified = verifyCertificate(certificate, this.directory.controlSet);
    if (verified === undefined || isAdmission(verified)) return false;
    this.remove(verified.statement.number, undefined, at);
    return true;
  }

  /** Whether it was news. */
  onLocator(bytes: Uint8Array): boolean {
    const moved = this.directory.locate(bytes);
    if (moved !== undefined) this.outbox.event({ kind: 'moved', number: moved.number, endpoints: moved.endpoints });
    return moved !== undefined;
  }

  /**
   * Takes over facts that a peer sent. Certificates and locators are signed and count whoever sends them; what
   * roles declare, and who is down, is a control node's to say.
   */
  merge(facts: Facts, sender: NodeNumber, at: Instant): void {
    const isPane = this.directory.isControl(sender);
    if (isPane) this.directory.declare(facts.declarations);
    for (const each of facts.members) {
      const record = this.mergeMember(each, at);
      if (record !== undefined) this.learn(record, isPane ? each.status : 'alive', isPane ? each.incarnation : 0, at);
    }
  }

  /** A control node's digest corrects what gossip said, unless it is older than what is known already. */
  mergeDigest(digest: Digest, at: Instant): void {
    for (const number of digest.removed) if (number !== this.self) this.remove(number, undefined, at);
    this.directory.declare(digest.declarations);
    for (const each of digest.members) {
      const record = this.mergeMember(each, at);
      if (record === undefined) continue;
      this.learn(record, each.status, each.incarnation, at);
      if (digest.logIndex >= this.logIndex) this.correct(each, at);
    }
    this.logIndex = Math.max(this.logIndex, digest.logIndex);
  }

  private mergeMember(facts: MemberFacts, at: Instant): MemberRecord | undefined {
    if (facts.certificate !== undefined) this.directory.admit(facts.certificate, at.wall, facts.number);
    if (facts.locator !== undefined) this.onLocator(facts.locator);
    return this.directory.get(facts.number);
  }

  factsOf(number: NodeNumber): MemberFacts | undefined {
    const record = this.directory.get(number);
    if (record === undefined) return undefined;
    const { status, incarnation } = this.published(number);
    return { number, certificate: record.certificate, locator: record.locator?.bytes, status, incarnation };
  }

  facts(numbers: readonly NodeNumber[]): Facts {
    return {
      members: numbers.map((number) => this.factsOf(number)).filter((each) => each !== undefined),
      declarations: [...this.directory.declarations.values()],
    };
  }

  digest(epoch: number): Digest {
    return {
      genesis: this.directory.genesisBytes,
      epoch,
      logIndex: this.logIndex,
      members: this.facts(this.directory.list().map((record) => record.number)).members,
      removed: [...this.directory.removed],
      declarations: [...this.directory.declarations.values()],
    };
  }

  /** 16 bytes, equal wherever the same members are known at the same published states. */
  hash(): Uint8Array {
    const out = new ByteWriter();
    for (const { number } of this.directory.list()) {
      const { status, incarnation } = this.published(number);
      out
        .u32(number)
        .u32(incarnation)
        .u8(status === 'down' ? 1 : 0);
    }
    for (const number of [...this.directory.removed].sort((a, b) => a - b)) out.u32(number);
    return sha256(out.finish()).subarray(0, 16);
  }

  /** What the pane said last about a member, apart from what this node suspects. */
  private published(number: NodeNumber): Pick<Update, 'status' | 'incarnation'> {
    return this.swim.publishedOf(number) ?? { status: 'alive', incarnation: 0 };
  }
}
