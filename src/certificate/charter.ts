/**
 * The charter: the genesis and its amendments. It says who signs and which epoch it is, and whoever has missed
 * amendments walks through them from the set that it knows, because each is signed by the set that was in force before
 * it. It starts anew from the genesis at any time: there is nothing to trust but the genesis's hash.
 */
import { equalBytes } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import type { Epoch, NodeNumber } from '../identity.ts';
import { type Certificate, type ControlSet, controlSetOf, verifyBySet } from './certificate.ts';
import { type Genesis, genesisHash } from './genesis.ts';
import {
  type AdmitStatement,
  type Amendment,
  type ControlSetStatement,
  type EpochStatement,
  encodeStatement,
} from './statement.ts';

/** One a week for ten years. All of them travel with a joiner's digest. */
export const amendmentsMax = 512;
/** With nine control nodes and all their signatures. */
export const amendmentBytesMax = 2_048;
/** The epoch of the genesis. */
export const firstEpoch: Epoch = 1;

/** `known`: this very one stands already. `refused`: it is not the next one, or not signed as that must be. */
export type Amended = 'amended' | 'known' | 'refused';

export class Charter {
  readonly genesis: Genesis;
  private readonly sets: ControlSet[];
  /** For each set but the last, the first number that it cannot admit any more. */
  private readonly ends: NodeNumber[] = [];
  private readonly amendments: Uint8Array[] = [];
  /** The hash of the genesis, and of each amendment's statement. */
  private readonly heads: Uint8Array[];
  private latest: EpochStatement | undefined;

  constructor(genesis: Genesis) {
    this.genesis = genesis;
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
  get epochStatement(): EpochStatement | undefined {
    return this.latest;
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
   * gave out, and the member was not dropped when a later epoch began.
   */
  counts({ controlSet, epoch, number }: AdmitStatement, isSurvivor: (number: NodeNumber) => boolean): boolean {
    if (number >= (this.ends[controlSet] ?? Number.POSITIVE_INFINITY)) return false;
    return epoch === this.epoch || (epoch < this.epoch && isSurvivor(number));
  }

  /** Where the next amendment stands, and who signs it. */
  next(): Pick<Amendment, 'cluster' | 'controlSet' | 'amendment' | 'previous'> {
    const { index, cluster } = this.controlSet;
    return { cluster, controlSet: index, amendment: this.length + 1, previous: this.head };
  }

  amend(bytes: Uint8Array): Amended {
    const verified = this.verify(bytes)?.statement;
    if (verified?.kind !== 'control-set' && verified?.kind !== 'epoch') return 'refused';
    const head = sha256(encodeStatement(verified));
    const known = this.heads[verified.amendment];
    if (known !== undefined && equalBytes(head, known)) return 'known';
    if (this.length >= amendmentsMax || !this.follows(verified)) return 'refused';
    if (verified.kind === 'epoch') this.latest = verified;
    else this.succeed(verified);
    this.amendments.push(bytes);
    this.heads.push(head);
    return 'amended';
  }

  /** An epoch is one higher, or after a disaster more; a new set changes no epoch. */
  private follows(statement: Amendment): boolean {
    const { controlSet, amendment, previous } = this.next();
    const isNext = statement.amendment === amendment && equalBytes(statement.previous, previous);
    if (!isNext || statement.controlSet !== controlSet) return false;
    return statement.kind === 'epoch' ? statement.epoch > this.epoch : statement.epoch === this.epoch;
  }

  private succeed(statement: ControlSetStatement): void {
    this.ends.push(statement.nextNumber);
    this.sets.push(setOf(statement));
  }
}

function setOf({ cluster, controlSet, nodes }: ControlSetStatement): ControlSet {
  const signingKeys = new Map(nodes.map(({ number, signingKey }) => [number, signingKey]));
  return { index: controlSet + 1, cluster, signingKeys };
}
