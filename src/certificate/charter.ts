/**
 * The charter: the genesis and its amendments. It says who signs and which epoch it is, and whoever has missed
 * amendments walks through them from the set that it knows, because each is signed by the set that was in force before
 * it. It starts anew from the genesis at any time: there is nothing to trust but the genesis's hash.
 */
import { equalBytes } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { Epoch, NodeNumber } from '../identity.ts';
import { type Certificate, type ControlSet, controlSetOf, verifyBySet } from './certificate.ts';
import { type ControlNode, type Genesis, genesisHash } from './genesis.ts';
import { type RecoveryStatement, verifyRecovery } from './recovery.ts';
import {
  type AdmitStatement,
  type Amendment,
  type ControlKeys,
  type EpochStatement,
  encodeStatement,
} from './statement.ts';

/** One a week for ten years. All of them travel with a joiner's digest. */
export const amendmentsMax = 512;
/** With nine control nodes and all their signatures. */
export const amendmentBytesMax = 2_048;
/** The epoch of the genesis. */
export const firstEpoch: Epoch = 1;

/**
 * `known`: this very one stands already. `forked`: another one stands in its place, and both are signed as they must
 * be: whoever signs did so twice. `refused`: it is not the next one, or not signed as that must be.
 */
export type Amended = 'amended' | 'known' | 'forked' | 'refused';

/** Some amendment, and what is hashed of it. */
interface Verified {
  readonly statement: Amendment | RecoveryStatement;
  readonly hash: Uint8Array;
}

export class Charter {
  readonly genesis: Genesis;
  private readonly sets: ControlSet[];
  /** For each set but the last, the first number that it cannot admit any more. */
  private readonly ends: NodeNumber[] = [];
  private readonly amendments: Uint8Array[] = [];
  /** The hash of the genesis, and of each amendment's statement. */
  private readonly heads: Uint8Array[];
  private latest: EpochStatement | RecoveryStatement | undefined;
  private recovery: RecoveryStatement | undefined;
  private recovered = 0;
  /** The set that was in force when the present epoch began: those before it admit nobody in this one. */
  private epochSet = 0;
  private controlNodes: readonly ControlNode[];
  private forkedAt: number | undefined;

  constructor(genesis: Genesis) {
    this.genesis = genesis;
    this.controlNodes = genesis.control;
    this.sets = [controlSetOf(genesis)];
    this.heads = [genesisHash(genesis)];
  }

  /** The number of amendments. */
  get length(): number {
    return this.amendments.length;
  }

  /** Of the last amendment's statement, or of the genesis: equal heads are equal charters. */
  get head(): Uint8Array {
    return this.heads.at(-1) as Uint8Array;
  }

  get epoch(): Epoch {
    return this.latest?.epoch ?? firstEpoch;
  }

  /** What opened the present epoch; nothing in the first one. */
  get epochStatement(): EpochStatement | RecoveryStatement | undefined {
    return this.latest;
  }

  /** The last recovery, whatever was amended since; nothing when there was none. */
  get lastRecovery(): RecoveryStatement | undefined {
    return this.recovery;
  }

  /** How many of the amendments are recoveries. */
  get recoveries(): number {
    return this.recovered;
  }

  /** Every number below was given out, or left out, before the last amendment. */
  get nextNumber(): NodeNumber {
    return Math.max(this.ends.at(-1) ?? 0, this.latest?.nextNumber ?? 0, this.genesis.control.length + 1);
  }

  /** Whom the genesis or a recovery names, with keys and addresses: they need no certificate. */
  get founders(): readonly ControlNode[] {
    return this.controlNodes;
  }

  /** The first amendment of which this charter has seen another version that is signed as well; nothing as a rule. */
  get fork(): number | undefined {
    return this.forkedAt;
  }

  /** Who signs now. */
  get controlSet(): ControlSet {
    return this.sets.at(-1) as ControlSet;
  }

  /** Who signed as the set of this index; nothing when there has been none yet. */
  setAt(index: number): ControlSet | undefined {
    return this.sets[index];
  }

  /** The amendments behind the first `length`, at most `most`. */
  since(length: number, most: number): readonly Uint8Array[] {
    return this.amendments.slice(length, length + most);
  }

  /** The certificate in a peer's bytes, or nothing unless a majority of the set that it names signed it. */
  verify(bytes: Uint8Array): Certificate | undefined {
    return verifyBySet(bytes, (index) => this.sets[index]);
  }

  /**
   * Whether a verified admission counts now: its set signed while it was in force, which shows in the number that it
   * gave out and in the epoch, and the member was not dropped when a later epoch began.
   */
  counts({ controlSet, epoch, number }: AdmitStatement, isSurvivor: (number: NodeNumber) => boolean): boolean {
    if (number >= (this.ends[controlSet] ?? Number.POSITIVE_INFINITY)) return false;
    if (epoch === this.epoch) return controlSet >= this.epochSet;
    return epoch < this.epoch && isSurvivor(number);
  }

  /** Where the next amendment stands, and who signs it. */
  next(): Pick<Amendment, 'cluster' | 'controlSet' | 'amendment' | 'previous'> {
    const { index, cluster } = this.controlSet;
    return { cluster, controlSet: index, amendment: this.length + 1, previous: this.head };
  }

  amend(bytes: Uint8Array): Amended {
    const verified = this.verifyAmendment(bytes);
    if (verified === undefined) return 'refused';
    const { statement, hash } = verified;
    const known = this.heads[statement.amendment];
    if (known !== undefined) return equalBytes(hash, known) ? 'known' : this.onOther(statement);
    if (this.length >= amendmentsMax || !this.follows(statement)) return 'refused';
    this.take(statement);
    this.amendments.push(bytes);
    this.heads.push(hash);
    return 'amended';
  }

  private verifyAmendment(bytes: Uint8Array): Verified | undefined {
    const recovery = verifyRecovery(bytes, this.genesis);
    if (recovery !== undefined) return recovery;
    const statement = this.verify(bytes)?.statement;
    if (statement?.kind !== 'control-set' && statement?.kind !== 'epoch') return undefined;
    return { statement, hash: sha256(encodeStatement(statement)) };
  }

  /** Signed by those who may, for a place that is taken: what stood first stands, here. */
  private onOther({ amendment, previous }: Verified['statement']): Amended {
    const before = this.heads[amendment - 1];
    if (before === undefined || !equalBytes(before, previous)) return 'refused';
    this.forkedAt = Math.min(amendment, this.forkedAt ?? amendment);
    return 'forked';
  }

  /** An epoch is one higher, or after a disaster more; a new set changes no epoch. */
  private follows(statement: Verified['statement']): boolean {
    const { controlSet, amendment, previous } = this.next();
    const isNext = statement.amendment === amendment && equalBytes(statement.previous, previous);
    if (!isNext || statement.controlSet !== controlSet) return false;
    return statement.kind === 'control-set' ? statement.epoch === this.epoch : statement.epoch > this.epoch;
  }

  private take(statement: Verified['statement']): void {
    if (statement.kind === 'control-set') this.succeed(statement, statement.nodes);
    if (statement.kind === 'recovery') {
      const { node } = statement;
      this.recovery = statement;
      this.recovered++;
      this.succeed(statement, [node]);
      const others = this.controlNodes.filter(({ number }) => number !== node.number);
      this.controlNodes = [...others, node];
    }
    if (statement.kind === 'control-set') return;
    this.latest = statement;
    this.epochSet = this.controlSet.index;
  }

  private succeed({ cluster, controlSet, nextNumber }: Verified['statement'], nodes: readonly ControlKeys[]): void {
    this.ends.push(nextNumber);
    const signingKeys = new Map(nodes.map(({ number, signingKey }) => [number, signingKey]));
    this.sets.push({ index: controlSet + 1, cluster, signingKeys });
  }
}
