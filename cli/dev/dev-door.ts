/** The dev cluster's own socket: a second terminal kills and starts nodes through it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HivemindError } from '../../src/error.ts';
import { connectLocal, type LocalListener, listenLocal } from '../../src/net/local-socket.ts';
import { pack, unpack } from '../../src/packed.ts';
import { silentLogger } from '../../src/seam/logger.ts';
import { socketPath } from '../../src/system/runtime-folder.ts';
import type { DevCluster } from './dev-cluster.ts';
import { nodeNames } from './plan.ts';

export type DevRequest =
  | { readonly kind: 'kill'; readonly name: string }
  | { readonly kind: 'start'; readonly name: string }
  | { readonly kind: 'list' };

export interface DevNode {
  readonly name: string;
  /** Absent while it does not run. */
  readonly pid?: number;
}

/** What each request brings: the nodes as they are after it. */
export interface DevAnswer {
  readonly nodes: readonly DevNode[];
}

const answerMs = 10_000;

function doorPath(folder: string): string {
  return socketPath(folder, 'dev.sock');
}

/** @throws HivemindError `address-in-use` when this cluster runs already */
export async function openDoor(cluster: DevCluster): Promise<LocalListener> {
  return await listenLocal({
    path: doorPath(cluster.folder),
    log: silentLogger,
    onRequest: async (body) => pack(await answer(cluster, unpack(body) as DevRequest)),
    onSubscribe: async () => {
      throw new HivemindError('frame-invalid', 'A dev cluster has nothing to follow; ask one of its agents.');
    },
  });
}

async function answer(cluster: DevCluster, request: DevRequest): Promise<DevAnswer> {
  if (request.kind === 'kill') await cluster.kill(request.name);
  if (request.kind === 'start') cluster.start(request.name);
  return {
    nodes: nodeNames.map((name) => {
      const pid = cluster.pidOf(name);
      return pid === undefined ? { name } : { name, pid };
    }),
  };
}

/** @throws HivemindError `agent-unreachable` when no dev cluster runs in this folder */
export async function askDoor(folder: string, request: DevRequest): Promise<DevAnswer> {
  const path = doorPath(folder);
  if (!existsSync(path)) throw noCluster(folder);
  const connection = await connectLocal(path).catch((cause) => {
    throw noCluster(folder, cause);
  });
  try {
    return unpack(await connection.request(pack(request), answerMs)) as DevAnswer;
  } finally {
    connection.close();
  }
}

export async function isDoorOpen(folder: string): Promise<boolean> {
  return await askDoor(folder, { kind: 'list' }).then(
    () => true,
    () => false,
  );
}

function noCluster(folder: string, cause?: unknown): HivemindError {
  const sentence = `No dev cluster runs in ${join(folder)}; start one there with \`hivemind dev\`.`;
  return new HivemindError('agent-unreachable', sentence, cause);
}
