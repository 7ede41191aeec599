/** What the scenarios of whole simulated clusters share. */
import assert from 'node:assert/strict';
import { toHex } from '../../src/bytes.ts';
import type { RoleDeclaration } from '../../src/certificate/join-request.ts';
import { encode } from '../../src/codec.ts';
import { stateHash } from '../../src/control/state-snapshot.ts';
import { SimCluster, type SimClusterOptions, simRoles } from '../../src/sim/sim-cluster.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { digest } from '../../src/wire/peer-message.ts';

const [hostRole, dnsRole] = simRoles as readonly [RoleDeclaration, RoleDeclaration];
export const host: RoleDeclaration = hostRole;
export const dns: RoleDeclaration = dnsRole;

/** A cluster of three control nodes and `members` others that has come together. */
export function wholeCluster(options: Partial<SimClusterOptions> = {}): SimCluster {
  const cluster = new SimCluster({ seed: 1, controlNodes: 3, members: 3, ...options });
  cluster.start();
  becomesWhole(cluster);
  return cluster;
}

export function becomesWhole(cluster: SimCluster, withinMs = 30_000): void {
  assert(
    cluster.runUntil(() => cluster.hasConverged(), withinMs),
    `not whole within ${withinMs} ms`,
  );
}

export function nodeOf(cluster: SimCluster, name: string): SimNode {
  const node = cluster.nodes.find((each) => each.name === name);
  assert(node !== undefined, `there is no ${name}`);
  return node;
}

export function membersOf(cluster: SimCluster): readonly SimNode[] {
  return cluster.nodes.filter((node) => node.member !== undefined);
}

/** Whom this node holds for members, by name. */
export function seenBy(node: SimNode): readonly string[] {
  return node.member?.directory.list().map(({ name }) => name) ?? [];
}

/** `name@seq` for each config of hosts that this node holds. */
export function configsAt(node: SimNode): readonly string[] {
  const { exchange, directory } = node.member ?? {};
  return exchange?.configs.list('host').map(({ owner, seq }) => `${directory?.nameOf(owner)}@${seq}`) ?? [];
}

/** All that a member knows of the cluster, and on a control node the whole replicated state with its log's length. */
export function knowledgeOf({ member }: SimNode): string {
  if (member === undefined) return 'not running';
  const { membership, exchange, directory, pane } = member;
  const statuses = membership.swim.members().map(({ number, status, incarnation }) => [number, status, incarnation]);
  return JSON.stringify({
    digest: toHex(encode(digest, membership.digest())),
    statuses,
    declared: [...directory.declarations.keys()],
    configs: exchange.configs.roles().map((role) => [role, exchange.configs.held(role)]),
    state: pane === undefined ? '' : toHex(stateHash(pane.state)),
    log: pane?.engine.raft.lastIndex,
  });
}
