/**
 * How hints travel: signed by the observer whose word they are, so that anybody may pass them on and nobody else can
 * make them. A node with a healthy pane has no use for them, and passes none on.
 */
import { ByteWriter } from '../bytes.ts';
import { clockSkewMs } from '../control/admission-policy.ts';
import { type SigningKey, verifySignature } from '../crypto.ts';
import type { NodeNumber, WallMs } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import { hintedMax, hintersMax } from '../swim/hints.ts';
import type { Hint } from '../swim/swim.ts';
import type { Rumour } from '../wire/rumour.ts';
import type { PaneClient } from './client/pane-client.ts';
import type { Directory } from './directory.ts';
import type { Membership } from './membership.ts';

/** Pairs of observer and subject whose last hint is remembered; beyond, the longest silent one is forgotten. */
export const hintPairsMax: number = hintedMax * hintersMax;

type HintRumour = Extract<Rumour, { kind: 'hint' }>;

/** The parts of a member that hints concern. */
export interface HintParts {
  readonly number: NodeNumber;
  readonly signingKey: SigningKey;
  readonly directory: Directory;
  readonly membership: Membership;
  readonly client: PaneClient;
}

export class HintCourier {
  private readonly parts: HintParts;
  private toldAt: WallMs = 0;
  /** When the last hint of each pair was made, by its observer's clock. */
  private readonly heardAt = new Map<string, WallMs>();

  constructor(parts: HintParts) {
    this.parts = parts;
  }

  /** Spreads what this node found out about its subject. */
  tell({ number, incarnation, isDown }: Hint, at: Instant): void {
    const { signingKey, directory, membership, number: by } = this.parts;
    // Later than the last in any case, or taking one back at once would be taken for old.
    this.toldAt = Math.max(this.toldAt + 1, Math.floor(at.wall));
    const unsigned = { number, incarnation, by, at: this.toldAt, isDown };
    const signature = signingKey.sign(signedBytes(directory.cluster, unsigned));
    membership.spread({ kind: 'hint', ...unsigned, signature }, at);
  }

  /** Whether it counts and is passed on: it is signed by one who may say so, and the newest of that pair. */
  isRight(hint: HintRumour, at: Instant): boolean {
    if (!this.isWanted || !this.mayHint(hint.by, hint.number) || !this.isNews(hint, at)) return false;
    const { directory } = this.parts;
    const key = directory.get(hint.by)?.signingKey;
    if (key === undefined || !verifySignature(key, signedBytes(directory.cluster, hint), hint.signature)) return false;
    this.remember(hint);
    return true;
  }

  private get isWanted(): boolean {
    const { state } = this.parts.client.pane;
    return state === 'no-quorum' || state === 'no-pane';
  }

  /** In a full view the rings tell who observes whom; in a slice any known member may. */
  private mayHint(by: NodeNumber, subject: NodeNumber): boolean {
    const { membership, directory, number } = this.parts;
    if (by === number || by === subject) return false;
    if (!membership.isComplete) return true;
    return directory.get(subject) !== undefined && membership.swim.rings.observersOf(subject).includes(by);
  }

  /** An old hint says nothing about now, also where its pair was forgotten, or this process heard nothing before. */
  private isNews(hint: HintRumour, { wall }: Instant): boolean {
    return hint.at > (this.heardAt.get(pairOf(hint)) ?? 0) && Math.abs(hint.at - wall) <= clockSkewMs;
  }

  private remember(hint: HintRumour): void {
    const pair = pairOf(hint);
    this.heardAt.delete(pair);
    const [oldest] = this.heardAt.size >= hintPairsMax ? this.heardAt.keys() : [];
    if (oldest !== undefined) this.heardAt.delete(oldest);
    this.heardAt.set(pair, hint.at);
  }
}

function pairOf({ by, number }: HintRumour): string {
  return `${by} ${number}`;
}

function signedBytes(cluster: Uint8Array, hint: Omit<HintRumour, 'kind' | 'signature'>): Uint8Array {
  const out = new ByteWriter('hivemind/hint/1').raw(cluster).u32(hint.number).u32(hint.incarnation).u32(hint.by);
  return out
    .u48(hint.at)
    .u8(hint.isDown ? 1 : 0)
    .finish();
}
