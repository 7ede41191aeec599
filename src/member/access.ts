/** Who may ask what: checked before any handler runs (HM-27). */
import { HivemindError } from '../error.ts';
import type { StreamPeer } from '../seam/streams.ts';
import type { PeerPost, PeerRequest } from '../wire/peer-message.ts';

type Access = 'anyone' | 'member' | 'control';

const requestAccess: Readonly<Record<PeerRequest['kind'], Access>> = {
  join: 'anyone',
  'ask-pane': 'member',
  digest: 'member',
  facts: 'member',
  log: 'member',
  'pane-status': 'member',
  'config-sync': 'member',
  role: 'member',
  reach: 'anyone',
  members: 'member',
  'role-members': 'member',
  config: 'member',
  charter: 'anyone',
  'read-index': 'member',
};

const postAccess: Readonly<Record<PeerPost['kind'], Access>> = {
  raft: 'control',
  share: 'control',
  configs: 'member',
  removal: 'control',
};

export type IsControl = (number: number) => boolean;

function holds(access: Access, from: StreamPeer, isControl: IsControl): boolean {
  if (access === 'anyone') return true;
  return from.kind === 'member' && (access === 'member' || isControl(from.number));
}

export function refuseRequest(
  request: PeerRequest['kind'],
  from: StreamPeer,
  isControl: IsControl,
): HivemindError | undefined {
  if (holds(requestAccess[request], from, isControl)) return undefined;
  return new HivemindError('not-admitted', 'Only members may ask this; join the cluster first.');
}

export function mayPost(post: PeerPost['kind'], from: StreamPeer, isControl: IsControl): boolean {
  return holds(postAccess[post], from, isControl);
}
