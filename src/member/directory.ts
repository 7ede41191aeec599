/**
 * Who the members are: certified names, keys and roles, and where each says it is. Nothing enters it that the
 * genesis or a majority of control nodes did not sign.
 */
import { ByteReader, ByteWriter, equalBytes, toHex } from '../bytes.ts';
import { type ControlSet, isAdmission } from '../certificate/certificate.ts';
import { amendmentsMax, Charter } from '../certificate/charter.ts';
import { type ControlNode, encodeGenesis, type Genesis, genesisHash } from '../certificate/genesis.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import { type Locator, verifyLocator } from '../certificate/locator.ts';
import type { RecoveryStatement } from '../certificate/recovery.ts';
import { clockSkewMs, declarationsMax, membersMax } from '../control/admission-policy.ts';
import { controlRole } from '../control/control-state.ts';
import { decodeNumbers, numbersMax } from '../control/number-set.ts';
import { sha256 } from '../crypto.ts';
import type { Endpoint, NodeNumber, WallMs } from '../identity.ts';
import type { StreamTarget } from '../seam/streams.ts';
import { viewHashBytes } from '../wire/datagram.ts';
import type { CharterPage } from '../wire/peer-message.ts';

export interface MemberRecord {
  readonly number: NodeNumber;
  readonly name: string;
  readonly roles: readonly string[];
  readonly signingKey: Uint8Array;
  readonly exchangeKey: Uint8Array;
  /** Nothing for the genesis's control nodes. */
  readonly certificate: Uint8Array | undefined;
  readonly locator: Locator | undefined;
  /** Where to reach it, the best first. */
  readonly endpoints: readonly Endpoint[];
}

/** The charter as a digest tells it, as far as it is signed rightly. */
export function charterOf(genesis: Genesis, { amendments }: CharterPage): Charter {
  const charter = new Charter(genesis);
  for (const amendment of amendments) charter.amend(amendment);
  return charter;
}

export class Directory {
  readonly genesis: Genesis;
  readonly genesisBytes: Uint8Array;
  readonly genesisHash: Uint8Array;
  /** Who signs, and which epoch it is. */
  readonly charter: Charter;
  readonly removed: Set<NodeNumber> = new Set();
  readonly declarations: Map<string, RoleDeclaration> = new Map();
  private readonly records = new Map<NodeNumber, MemberRecord>();
  private readonly numbersByKey = new Map<string, NodeNumber>();
  /** More than one while a name has gone over to another node. */
  private readonly numbersByName = new Map<string, readonly NodeNumber[]>();
  /** Equal wherever the same numbers are known to be removed, in whatever order that was learnt. */
  readonly removedHash: Uint8Array = new Uint8Array(viewHashBytes);
  private sorted: readonly MemberRecord[] | undefined;
  /** The numbers that went on belonging when the present epoch began; nothing until this node was told. */
  private survivors: { readonly bytes: Uint8Array; readonly numbers: ReadonlySet<NodeNumber> } | undefined;

  /** `page`: what this node remembers of the charter. */
  constructor(genesis: Genesis, page?: CharterPage) {
    this.genesis = genesis;
    this.genesisBytes = encodeGenesis(genesis);
    this.genesisHash = genesisHash(genesis);
    this.charter = new Charter(genesis);
    for (const node of genesis.control) this.found(node);
    if (page === undefined) return;
    this.amend(page);
    for (const number of this.dropped) this.drop(number);
  }

  private found(node: ControlNode): void {
    this.keep({ ...node, roles: [controlRole], certificate: undefined, locator: undefined });
  }

  /** The control nodes that sign now. */
  get controlSet(): ControlSet {
    return this.charter.controlSet;
  }

  get cluster(): Uint8Array {
    return this.genesis.cluster;
  }

  get(number: NodeNumber): MemberRecord | undefined {
    return this.records.get(number);
  }

  /** All members, by number: the same array until one of them changes. */
  list(): readonly MemberRecord[] {
    this.sorted ??= [...this.records.values()].sort((a, b) => a.number - b.number);
    return this.sorted;
  }

  /** Whether a member is known, and what each of its roles declares: its certificate names them only. */
  isComplete(number: NodeNumber): boolean {
    const record = this.records.get(number);
    return record?.roles.every((role) => role === controlRole || this.declarations.has(role)) === true;
  }

  numberOf(signingKey: Uint8Array): NodeNumber | undefined {
    return this.numbersByKey.get(toHex(signingKey));
  }

  byName(name: string): MemberRecord | undefined {
    const [number] = this.numbersByName.get(name) ?? [];
    return number === undefined ? undefined : this.records.get(number);
  }

  /** Lower numbers that have the name of this one: it replaces them. */
  olderNamesakes(number: NodeNumber): readonly NodeNumber[] {
    const name = this.records.get(number)?.name ?? '';
    return this.numbersByName.get(name)?.filter((each) => each < number) ?? [];
  }

  nameOf(number: NodeNumber): string {
    return this.records.get(number)?.name ?? `#${number}`;
  }

  isControl(number: NodeNumber): boolean {
    return this.controlSet.signingKeys.has(number);
  }

  /** Whether it keeps the event log: a control node, or one that may become one. */
  keepsLog(number: NodeNumber): boolean {
    return this.isControl(number) || this.records.get(number)?.roles.includes(controlRole) === true;
  }

  controlNumbers(): readonly NodeNumber[] {
    return [...this.controlSet.signingKeys.keys()];
  }

  /** Keeps the member that a majority certified as `claimed`; nothing when that is not so, or it was removed. */
  admit(certificate: Uint8Array, wall: WallMs, claimed: NodeNumber): MemberRecord | undefined {
    const verified = this.charter.verify(certificate);
    if (!isAdmission(verified) || !this.charter.counts(verified.statement, (each) => this.survives(each))) {
      return undefined;
    }
    const { number, notBefore, notAfter, name, roles, signingKey, exchangeKey } = verified.statement;
    if (wall < notBefore - clockSkewMs || wall > notAfter + clockSkewMs) return undefined;
    if (number !== claimed || this.removed.has(number)) return undefined;
    const known = this.records.get(number);
    if (known !== undefined) return known;
    if (this.records.size >= membersMax) return undefined;
    return this.keep({
      number,
      name,
      roles,
      signingKey,
      exchangeKey,
      certificate: verified.bytes,
      locator: undefined,
      endpoints: [],
    });
  }

  // — the charter —

  /**
   * Takes over amendments, in order, as far as they are right. Those that the present epoch does not know any more are
   * forgotten with it. Whether anything was news.
   */
  amend({ amendments, members }: CharterPage): boolean {
    const { epoch } = this.charter;
    const isAmended = amendments.filter((each) => this.charter.amend(each) === 'amended').length > 0;
    if (this.charter.epoch !== epoch) this.survivors = undefined;
    const isTold = this.survivors === undefined && this.continueWith(members);
    if (this.charter.epoch !== epoch || isTold) this.forgetRemoved();
    if (isAmended) this.findFounders();
    return isAmended || isTold;
  }

  /** Whether this node knows who went on belonging when the present epoch began. */
  get knowsSurvivors(): boolean {
    return this.charter.epochStatement === undefined || this.survivors !== undefined;
  }

  charterPage(length: number): CharterPage {
    const amendments = this.charter.since(length, amendmentsMax);
    return { amendments, members: this.survivors?.bytes ?? new Uint8Array(0) };
  }

  /** Whom the present epoch does not know though their number was given out before it: they were removed. */
  get dropped(): readonly NodeNumber[] {
    return [...this.records.keys()].filter((number) => this.isForgotten(number));
  }

  /** Whom a recovery names is known by that, as the control nodes of the genesis are. */
  private findFounders(): void {
    for (const node of this.charter.founders) {
      const isOut = this.removed.has(node.number) || this.isForgotten(node.number);
      if (!isOut && !this.records.has(node.number)) this.found(node);
    }
  }

  /** Whether its number was given out before the present epoch, which does not know it. */
  isForgotten(number: NodeNumber): boolean {
    const { epochStatement } = this.charter;
    if (epochStatement === undefined || this.survivors === undefined) return false;
    return number < epochStatement.nextNumber && !this.survives(number);
  }

  /** The recovery since which this number does not belong, also when other epochs were opened after it. */
  givenUpBy(number: NodeNumber): RecoveryStatement | undefined {
    const { lastRecovery } = this.charter;
    return lastRecovery !== undefined && number < lastRecovery.nextNumber && this.isForgotten(number)
      ? lastRecovery
      : undefined;
  }

  private continueWith(bytes: Uint8Array): boolean {
    const { epochStatement } = this.charter;
    if (epochStatement === undefined || !equalBytes(sha256(bytes), epochStatement.membersHash)) return false;
    const numbers = decodeNumbers(bytes, numbersMax);
    if (numbers !== undefined) this.survivors = { bytes, numbers: new Set(numbers) };
    return numbers !== undefined;
  }

  private survives(number: NodeNumber): boolean {
    return this.survivors?.numbers.has(number) === true;
  }

  /** A removed number of an earlier epoch needs no remembering: its certificate does not count any more. */
  private forgetRemoved(): void {
    const kept = [...this.removed].filter((number) => !this.isForgotten(number));
    this.removed.clear();
    this.removedHash.fill(0);
    for (const number of kept) this.remember(number);
  }

  // — what members say and what the pane says of them —

  /** Follows a member's own word of where it is; the record when that was news. */
  locate(bytes: Uint8Array): MemberRecord | undefined {
    const locator = verifyLocator(bytes, this.cluster);
    const number = locator === undefined ? undefined : this.numberOf(locator.signingKey);
    const known = number === undefined ? undefined : this.records.get(number);
    if (locator === undefined || known === undefined) return undefined;
    if (known.locator !== undefined && known.locator.version >= locator.version) return undefined;
    return this.keep({ ...known, locator, endpoints: locator.endpoints });
  }

  declare(declarations: readonly RoleDeclaration[]): void {
    for (const declaration of declarations) {
      if (this.declarations.size < declarationsMax) this.declarations.set(declaration.name, declaration);
    }
  }

  /** Out for good: whoever still presents its certificate is refused. */
  remove(number: NodeNumber): MemberRecord | undefined {
    const record = this.records.get(number);
    if (this.isControl(number)) return undefined;
    this.remember(number);
    this.drop(number);
    return record;
  }

  /** Not in this node's view any more, though it belongs: its certificate is fetched again when it is wanted. */
  drop(number: NodeNumber): void {
    const record = this.records.get(number);
    this.records.delete(number);
    this.sorted = undefined;
    if (record === undefined) return;
    const others = this.numbersByName.get(record.name)?.filter((each) => each !== number) ?? [];
    if (others.length > 0) this.numbersByName.set(record.name, others);
    else this.numbersByName.delete(record.name);
    const key = toHex(record.signingKey);
    // Who joined anew with the same key has it under its new number.
    if (this.numbersByKey.get(key) === number) this.numbersByKey.delete(key);
  }

  private remember(removed: NodeNumber): void {
    if (this.removed.has(removed) || this.isForgotten(removed)) return;
    this.removed.add(removed);
    const hash = sha256(new ByteWriter().u32(removed).finish());
    for (let at = 0; at < viewHashBytes; at++) this.removedHash[at] = (this.removedHash[at] ?? 0) ^ (hash[at] ?? 0);
  }

  /** Whom to dial for a member; nothing when no address is known. */
  target(number: NodeNumber): StreamTarget | undefined {
    const record = this.records.get(number);
    if (record === undefined || record.endpoints.length === 0) return undefined;
    return { endpoints: record.endpoints, number, publicKey: record.signingKey };
  }

  private keep(record: MemberRecord): MemberRecord {
    if (!this.records.has(record.number)) {
      const namesakes = this.numbersByName.get(record.name) ?? [];
      this.numbersByName.set(record.name, [...namesakes, record.number]);
    }
    this.records.set(record.number, record);
    this.sorted = undefined;
    this.numbersByKey.set(toHex(record.signingKey), record.number);
    return record;
  }
}

/** What a member shows to one that may not know it yet: its certificate (empty for a control node) and locator. */
export function writeCredential(certificate: Uint8Array | undefined, locator: Locator): Uint8Array {
  return new ByteWriter()
    .bytes(certificate ?? new Uint8Array(0))
    .bytes(locator.bytes)
    .finish();
}

/** Takes a credential at its word as far as it is signed, and gives the member of that number, if there is one. */
export function acceptCredential(
  directory: Directory,
  number: NodeNumber,
  credential: Uint8Array,
  wall: WallMs,
): MemberRecord | undefined {
  const input = new ByteReader(credential);
  const [certificate, locator] = [input.bytes(), input.bytes()];
  if (!input.done) return undefined;
  if (certificate.length > 0 && directory.get(number) === undefined) directory.admit(certificate, wall, number);
  const known = directory.get(number)?.locator?.bytes;
  // Every connection brings it along: what is held already is not verified again.
  if (known === undefined || !equalBytes(known, locator)) directory.locate(locator);
  return directory.get(number);
}
