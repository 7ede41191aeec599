/** etcd as the bench runs it: three members on loopback, with its own defaults for all that is not named here. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../../../src/store/folder.ts';
import { type AgentPlace, agentPlaces, foundersCount, type Launch } from '../product.ts';
import { readStatus } from './etcd-message.ts';
import { connectEtcd } from './etcd-writer.ts';
import type { ControlProduct, Standing } from './product.ts';

const network = '127.0.76';
const firstGid = 76_001;
const clientPort = 2_379;
const peerPort = 2_380;

/** Of the `etcd` that is installed, or nothing. */
export async function etcdVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('etcd', ['--version']);
    return /^etcd Version: (\S+)/m.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

export class EtcdProduct implements ControlProduct {
  readonly name = 'etcd' as const;
  readonly places: readonly AgentPlace[] = agentPlaces(network, firstGid, foundersCount);
  readonly ports: readonly number[] = [clientPort, peerPort];
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async prepare(): Promise<void> {
    makeFolder(this.folder);
  }

  launch({ name, host }: AgentPlace): Launch {
    const [client, peer] = [`http://${host}:${clientPort}`, `http://${host}:${peerPort}`];
    const members = this.places.map((place) => `${place.name}=http://${place.host}:${peerPort}`).join(',');
    const words = {
      '--name': name,
      '--data-dir': join(this.folder, name),
      '--listen-client-urls': client,
      '--advertise-client-urls': client,
      '--listen-peer-urls': peer,
      '--initial-advertise-peer-urls': peer,
      '--initial-cluster': members,
    };
    return { program: 'etcd', words: Object.entries(words).flat(), endsWithParent: false };
  }

  doorOf({ host }: AgentPlace): string {
    return `${host}:${clientPort}`;
  }

  async standing(place: AgentPlace): Promise<Standing> {
    const connection = await connectEtcd(this.doorOf(place));
    try {
      return readStatus(await connection.call('/etcdserverpb.Maintenance/Status', new Uint8Array(0)));
    } finally {
      connection.close();
    }
  }
}
