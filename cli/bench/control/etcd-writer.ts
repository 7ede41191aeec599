/** A client of etcd that puts each value under a key of its own, as in an append-only log. */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { assert } from '../../../src/assert.ts';
import { putRequest } from './etcd-message.ts';
import { GrpcConnection } from './grpc-connection.ts';
import { type CommitClient, valueBytes, type Writer } from './writer.ts';

/** What the bench says of it beside its figures. */
export const etcdClientName = "the bench's own client of gRPC";

/** @param door `host:port` of a member */
export async function openEtcdWriter(door: string): Promise<Writer> {
  const connection = await connectEtcd(door);
  const value = randomBytes(valueBytes);
  return {
    client: (): CommitClient => {
      const prefix = randomBytes(4).toString('hex');
      let sequence = 0;
      return {
        async commit() {
          await connection.call('/etcdserverpb.KV/Put', putRequest(`${prefix}-${sequence++}`, value));
        },
      };
    },
    close: () => connection.close(),
  };
}

export async function connectEtcd(door: string): Promise<GrpcConnection> {
  const [host = '', port] = door.split(':');
  assert(isIP(host) === 4, 'a member of etcd is reached by its IPv4 address');
  return await GrpcConnection.open(host, Number(port));
}
