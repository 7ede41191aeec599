/** Who may talk to whom: what an `open` claims, and the verdict on it (EC-8 to EC-10). No sockets here. */
import { equalBytes } from '../bytes.ts';
import type { ErrorCode } from '../error.ts';
import type { Endpoint, Epoch, NodeNumber } from '../identity.ts';
import type { StreamPeer } from '../seam/streams.ts';
import { frameMagic, frameVersion, type Open } from './frame.ts';

/** What this node says of itself at the moment of a handshake. */
export interface StreamSelf {
  /** 0 until it is a member. */
  readonly number: NodeNumber;
  readonly epoch: Epoch;
  /** 16 bytes. */
  readonly cluster: Uint8Array;
  /** 32 bytes, drawn at each start of the process. */
  readonly boot: Uint8Array;
  /** What introduces this node to a peer that does not know it yet: at most 8,192 bytes, or none. */
  credential(): Uint8Array;
}

/** What a dialler says of itself. The key is proved by TLS; all else is a claim. */
export interface PeerClaim {
  readonly publicKey: Uint8Array;
  readonly number: NodeNumber;
  readonly epoch: Epoch;
  readonly credential: Uint8Array;
  readonly remote: Endpoint;
}

export type PeerVerdict =
  | { readonly kind: 'member'; readonly number: NodeNumber }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly sentence: string };

/** Decides about hostile bytes, so it must never throw. */
export type VerifyPeer = (claim: PeerClaim) => PeerVerdict;

export interface Proved {
  readonly publicKey: Uint8Array;
  readonly remote: Endpoint;
}

export type HandshakeVerdict =
  | { readonly kind: 'welcome'; readonly peer: StreamPeer }
  | Extract<PeerVerdict, { kind: 'refused' }>;

/** The answer to an `open` that arrived at the node `self` with the key `ownKey`. */
export function judgeOpen(
  open: Open,
  self: StreamSelf,
  ownKey: Uint8Array,
  proved: Proved,
  verifyPeer: VerifyPeer,
): HandshakeVerdict {
  const mismatch = mismatchOf(open, self, ownKey);
  if (mismatch) return mismatch;
  const { initiator: number, epoch, credential } = open;
  const verdict = verifyPeer({ ...proved, number, epoch, credential });
  return verdict.kind === 'refused' ? verdict : { kind: 'welcome', peer: { ...verdict, ...proved } };
}

/** Refuses other protocols and clusters, and whoever looks for somebody else: a reused port, an old address. */
function mismatchOf(open: Open, self: StreamSelf, ownKey: Uint8Array): HandshakeVerdict | undefined {
  if (open.magic !== frameMagic || open.version !== frameVersion) {
    return refused('frame-invalid', `This node speaks version ${frameVersion} of the stream protocol; use the same.`);
  }
  if (!equalBytes(open.cluster, self.cluster)) {
    return refused('cluster-mismatch', 'The node at this address belongs to another cluster; check the address.');
  }
  const isTarget = open.target === 0 || open.target === self.number;
  const holdsKey = open.targetKey.length === 0 || equalBytes(open.targetKey, ownKey);
  if (isTarget && holdsKey) return undefined;
  return refused(
    'address-unreachable',
    'Another node than the one asked for answers at this address; look it up again.',
  );
}

function refused(code: ErrorCode, sentence: string): HandshakeVerdict {
  return { kind: 'refused', code, sentence };
}
