/** serf (HashiCorp) as the bench runs it: its LAN profile and its defaults, with a snapshot file for each agent. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endpointText } from '../../src/identity.ts';
import { makeFolder } from '../../src/store/folder.ts';
import {
  type AgentEvent,
  type AgentLink,
  type AgentPlace,
  agentPlaces,
  foundersCount,
  type Launch,
  type Product,
} from './product.ts';
import { SerfClient } from './serf-client.ts';

const network = '127.0.79';
const firstGid = 79_001;
/** Questions to agents go to addresses beside those that they gossip at, and are neither counted nor cut. */
const rpcNetwork = '127.0.80';
const rpcPort = 7373;

/** What `serf version` says first, or nothing where there is no serf. */
export async function serfVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('serf', ['version']);
    return stdout.split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

export class SerfProduct implements Product {
  readonly name = 'serf' as const;
  readonly port = 7946;
  readonly places: readonly AgentPlace[];
  private readonly folder: string;

  constructor(folder: string, nodes: number) {
    this.folder = folder;
    this.places = agentPlaces(network, firstGid, nodes);
  }

  async prepare(): Promise<void> {
    for (const { name } of this.places) makeFolder(join(this.folder, name));
  }

  launch(place: AgentPlace): Launch {
    const { name, host } = place;
    const founders = this.places.slice(0, foundersCount).filter((founder) => founder !== place);
    const words = [
      'agent',
      ...['-node', name, '-profile', 'lan'],
      ...['-bind', endpointText({ host, port: this.port })],
      ...['-rpc-addr', endpointText(this.rpcOf(place))],
      ...['-snapshot', join(this.folder, name, 'serf.snapshot')],
      ...founders.flatMap((founder) => ['-retry-join', endpointText({ host: founder.host, port: this.port })]),
    ];
    return { program: 'serf', words, endsWithParent: false };
  }

  async connect(place: AgentPlace, onEvent: (event: AgentEvent) => void): Promise<AgentLink> {
    const { host, port } = this.rpcOf(place);
    const client = await SerfClient.open(host, port);
    await client.followUserEvents(({ Payload }) => onEvent(messageOf(Payload)));
    await client.followLog(({ Log }) => {
      const event = agentEventIn(Log);
      if (event !== undefined) onEvent(event);
    });
    return new SerfLink(client);
  }

  private rpcOf(place: AgentPlace): { readonly host: string; readonly port: number } {
    return { host: `${rpcNetwork}.${this.places.indexOf(place) + 1}`, port: rpcPort };
  }
}

class SerfLink implements AgentLink {
  private readonly client: SerfClient;

  constructor(client: SerfClient) {
    this.client = client;
  }

  /** An agent of serf asks nobody before it takes another in. */
  async isHealthy(): Promise<boolean> {
    return true;
  }

  async listUp(): Promise<readonly string[]> {
    const members = await this.client.members();
    return members.filter(({ Status }) => Status === 'alive').map(({ Name }) => Name);
  }

  async send(event: string, payload: string): Promise<void> {
    await this.client.event(event, payload);
  }

  close(): void {
    this.client.close();
  }
}

function messageOf(payload: Uint8Array | string): AgentEvent {
  return { kind: 'message', payload: Buffer.from(payload).toString('utf8') };
}

const memberLine = / serf: EventMember(Join|Failed|Leave|Reap): (\S+)/;

/**
 * What a line of the log says about a member, or nothing. The log tells of each change at once; the events of a stream
 * are held for a second or more, to be merged with others.
 */
export function agentEventIn(line: string): AgentEvent | undefined {
  const [, change, node] = memberLine.exec(line) ?? [];
  if (node === undefined) return undefined;
  return { kind: change === 'Join' ? 'up' : 'down', node };
}
