/**
 * Who takes part in consensus: entries of kind `configuration` say it, and each voter goes by the newest one in its
 * log, committed or not (Ongaro §4.1), and by the one before when that is taken back.
 *
 * A change of voters passes through *joint consensus* (§4.3): for as long as `outgoing` holds the old voters, nothing
 * is agreed without a majority of these **and** of the new ones, so that the two sets can never decide apart.
 */
import { ByteReader, ByteWriter } from '../bytes.ts';
import type { LogIndex, NodeNumber } from '../identity.ts';
import { nodeNumberMax } from '../identity.ts';

/** Each list ascends and holds nobody twice. */
export interface RaftConfiguration {
  /** At least one. During a change, those to come. */
  readonly voters: readonly NodeNumber[];
  /**
   * They get all entries, are asked for no vote and never counted. During a change a learner may be an outgoing voter
   * as well: it is counted among those until the change is complete.
   */
  readonly learners: readonly NodeNumber[];
  /** The voters so far, during a change; else empty. */
  readonly outgoing: readonly NodeNumber[];
}

/** Voters in one set: with more, each entry costs more than one more failure withstood is worth. */
export const votersMax = 9;
export const learnersMax = 16;

const formatVersion = 1;

/** Whether a number stands for election and is counted. */
export function isVoter({ voters, outgoing }: RaftConfiguration, number: NodeNumber): boolean {
  return voters.includes(number) || outgoing.includes(number);
}

/** Everybody whom a leader replicates to, itself too where it takes part; nobody twice. */
export function participants({ voters, learners, outgoing }: RaftConfiguration): ReadonlySet<NodeNumber> {
  return new Set([...voters, ...learners, ...outgoing]);
}

/** Whether two hold the same lists. */
export function sameNumbers(a: readonly NodeNumber[], b: readonly NodeNumber[]): boolean {
  return a.length === b.length && a.every((number, position) => number === b[position]);
}

/** As the payload of a `configuration` entry, and in a snapshot: one value, one encoding. */
export function encodeConfiguration({ voters, learners, outgoing }: RaftConfiguration): Uint8Array {
  const writer = new ByteWriter().u8(formatVersion);
  for (const numbers of [voters, learners, outgoing]) {
    writer.u8(numbers.length);
    for (const number of numbers) writer.u32(number);
  }
  return writer.finish();
}

/** The configuration in a peer's or a disk's bytes, or nothing when they hold none that can be. */
export function decodeConfiguration(bytes: Uint8Array): RaftConfiguration | undefined {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== formatVersion) return undefined;
  const list = (): readonly NodeNumber[] => Array.from({ length: reader.u8() }, () => reader.u32());
  const configuration = { voters: list(), learners: list(), outgoing: list() };
  return reader.done && flawOf(configuration) === undefined ? configuration : undefined;
}

/** Why this can be nobody's configuration, as the end of a sentence; nothing when it can. */
export function flawOf({ voters, learners, outgoing }: RaftConfiguration): string | undefined {
  if (voters.length === 0) return 'it would have no voter';
  if (Math.max(voters.length, outgoing.length) > votersMax) return `it would have more than ${votersMax} voters`;
  if (learners.length > learnersMax) return `it would have more than ${learnersMax} learners`;
  if (![voters, learners, outgoing].every(isAscending)) return 'its numbers do not ascend';
  const both = learners.find((number) => voters.includes(number));
  return both === undefined ? undefined : `number ${both} would be voter and learner at once`;
}

function isAscending(numbers: readonly NodeNumber[]): boolean {
  return numbers.every((number, position) => {
    const before = position === 0 ? 0 : (numbers[position - 1] as NodeNumber);
    return Number.isInteger(number) && number > before && number <= nodeNumberMax;
  });
}

interface Known {
  readonly index: LogIndex;
  readonly configuration: RaftConfiguration;
}

/** The configurations of one log: the one that it begins with, and those of its entries. */
export class ConfigurationHistory {
  /** Ascending, never empty: the first holds as of where the log begins. */
  private known: readonly [Known, ...Known[]];

  /** `configuration` holds as of `index`: that of a snapshot, or 0 for the genesis. */
  constructor(index: LogIndex, configuration: RaftConfiguration) {
    this.known = [{ index, configuration }];
  }

  get newest(): RaftConfiguration {
    return this.newestKnown.configuration;
  }

  /** Where the newest one stands in the log, or what the log began with. */
  get newestIndex(): LogIndex {
    return this.newestKnown.index;
  }

  /** What held as of `index`, which is not before the first one known. */
  at(index: LogIndex): RaftConfiguration {
    const [first] = this.known;
    return (this.known.findLast((known) => known.index <= index) ?? first).configuration;
  }

  adopt(index: LogIndex, configuration: RaftConfiguration): void {
    this.known = [...this.known, { index, configuration }];
  }

  /** The entries from `index` on are gone. */
  takeBackFrom(index: LogIndex): void {
    const [first, ...others] = this.known;
    this.known = [first, ...others.filter((known) => known.index < index)];
  }

  /** The log begins anew, behind a snapshot. */
  restart(index: LogIndex, configuration: RaftConfiguration): void {
    this.known = [{ index, configuration }];
  }

  /** Nobody will ask what held before `index`. */
  forgetBefore(index: LogIndex): void {
    const first = { index, configuration: this.at(index) };
    this.known = [first, ...this.known.filter((known) => known.index > index)];
  }

  private get newestKnown(): Known {
    return this.known.at(-1) as Known;
  }
}
