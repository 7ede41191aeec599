/**
 * Configs: one value for each node and role, signed by its owner with a seq, so that anyone may relay it and
 * nobody can forge it. An older seq never replaces a newer one. Pure.
 */
import { ByteWriter, u48Max } from '../bytes.ts';
import { type SigningKey, sha256, verifySignature } from '../crypto.ts';
import type { NodeNumber, Seq } from '../identity.ts';

/** One value may take this many bytes; the role contract promises the same. */
export const configValueBytesMax = 65_536;
/** Configs of one role that a node keeps: one for each member of the largest cluster that we are built for. */
export const configsPerRoleMax = 10_000;
/** What a config takes beside its value: signature, role, numbers. */
const configOverheadBytes = 150;

export interface Config {
  readonly owner: NodeNumber;
  readonly role: string;
  readonly seq: Seq;
  /** msgpack of whatever the role published. */
  readonly value: Uint8Array;
  readonly signature: Uint8Array;
}

/** Which version of whose config somebody holds. */
export interface HeldSeq {
  readonly owner: NodeNumber;
  readonly seq: Seq;
}

export type PutOutcome = 'newer' | 'known' | 'older' | 'forged' | 'full';

function signedBytes(cluster: Uint8Array, config: Omit<Config, 'signature'>): Uint8Array {
  const out = new ByteWriter('hivemind/config/1').raw(cluster).u32(config.owner).text(config.role);
  return out.u48(config.seq).blob(config.value).finish();
}

export function signConfig(key: SigningKey, cluster: Uint8Array, config: Omit<Config, 'signature'>): Config {
  return { ...config, signature: key.sign(signedBytes(cluster, config)) };
}

export class Configs {
  private readonly cluster: Uint8Array;
  private readonly byRole = new Map<string, Map<NodeNumber, Config>>();
  private readonly sorted = new Map<string, readonly Config[]>();

  constructor(cluster: Uint8Array) {
    this.cluster = cluster;
  }

  /** Keeps `config` when it is newer than what is held and `ownerKey` signed it. */
  put(config: Config, ownerKey: Uint8Array | undefined): PutOutcome {
    const held = this.get(config.role, config.owner);
    if (held !== undefined && held.seq >= config.seq) return held.seq === config.seq ? 'known' : 'older';
    if (ownerKey === undefined || !this.isSigned(config, ownerKey)) return 'forged';
    const owners = this.byRole.get(config.role) ?? new Map<NodeNumber, Config>();
    if (held === undefined && owners.size >= configsPerRoleMax) return 'full';
    owners.set(config.owner, config);
    this.byRole.set(config.role, owners);
    this.sorted.delete(config.role);
    return 'newer';
  }

  /** Seqs count from 1: a config at 0 would be held, and never offered to anybody. */
  private isSigned(config: Config, ownerKey: Uint8Array): boolean {
    if (config.seq < 1 || config.seq > u48Max) return false;
    return verifySignature(ownerKey, signedBytes(this.cluster, config), config.signature);
  }

  get(role: string, owner: NodeNumber): Config | undefined {
    return this.byRole.get(role)?.get(owner);
  }

  holdsAnyOf(owner: NodeNumber): boolean {
    for (const owners of this.byRole.values()) if (owners.has(owner)) return true;
    return false;
  }

  /** All configs of a role, by owner's number: the same array until one of them changes. */
  list(role: string): readonly Config[] {
    const sorted = this.sorted.get(role);
    const owners = this.byRole.get(role);
    if (sorted !== undefined || owners === undefined) return sorted ?? [];
    const listed = [...owners.values()].sort((a, b) => a.owner - b.owner);
    this.sorted.set(role, listed);
    return listed;
  }

  roles(): readonly string[] {
    return [...this.byRole.keys()].sort();
  }

  held(role: string): readonly HeldSeq[] {
    return this.list(role).map(({ owner, seq }) => ({ owner, seq }));
  }

  /** Equal wherever the same owners are held at the same seqs. */
  hash(role: string): Uint8Array {
    const out = new ByteWriter();
    for (const { owner, seq } of this.held(role)) out.u32(owner).u48(seq);
    return sha256(out.finish()).subarray(0, 16);
  }

  /** What a holder of `theirs` lacks of mine, at least one and up to `bytesMax`; the rest comes with the next page. */
  newerThan(role: string, theirs: readonly HeldSeq[], bytesMax: number): readonly Config[] {
    const known = new Map(theirs.map(({ owner, seq }) => [owner, seq]));
    const page: Config[] = [];
    let bytes = 0;
    for (const config of this.list(role)) {
      if (config.seq <= (known.get(config.owner) ?? 0)) continue;
      bytes += config.value.length + configOverheadBytes;
      if (page.length > 0 && bytes > bytesMax) break;
      page.push(config);
    }
    return page;
  }

  /** Owners of whom `theirs` holds something newer than I do. */
  olderThan(role: string, theirs: readonly HeldSeq[]): readonly NodeNumber[] {
    return theirs.filter(({ owner, seq }) => seq > (this.get(role, owner)?.seq ?? 0)).map(({ owner }) => owner);
  }

  /** The owner was removed from the cluster: all its configs go. */
  forget(owner: NodeNumber): readonly Config[] {
    const gone: Config[] = [];
    for (const [role, owners] of this.byRole) {
      const config = owners.get(owner);
      if (config !== undefined) gone.push(config);
      owners.delete(owner);
      this.sorted.delete(role);
      if (owners.size === 0) this.byRole.delete(role);
    }
    return gone;
  }
}
