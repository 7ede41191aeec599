/** hivemind as the bench runs it: three control nodes, and members that join by a token. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromUtf8 } from '../../src/bytes.ts';
import { endpointText, portDefault } from '../../src/identity.ts';
import type { LocalEvent } from '../../src/node/local-api.ts';
import { makeFolder } from '../../src/store/folder.ts';
import { socketPath } from '../../src/system/runtime-folder.ts';
import { AgentClient } from '../agent-client.ts';
import { found } from '../init.ts';
import {
  type AgentEvent,
  type AgentLink,
  type AgentPlace,
  agentPlaces,
  foundersCount,
  type Launch,
  type Product,
} from './product.ts';

const networkDefault = '127.0.71';
const firstGid = 71_001;
/** The role with the least to do: a host without services. */
const memberRole = 'host';
/** Longer than any bench takes. */
const tokenLifeMs = 86_400_000;

export class HivemindProduct implements Product {
  readonly name = 'hivemind' as const;
  readonly port: number = portDefault;
  readonly places: readonly AgentPlace[];
  private readonly folder: string;
  private readonly program: readonly string[];

  /**
   * @param program the words after `node` that run `hivemind`
   * @param network 24 bits of loopback that nobody else uses
   */
  constructor(folder: string, nodes: number, program: readonly string[], network: string = networkDefault) {
    this.folder = folder;
    this.program = program;
    this.places = agentPlaces(network, firstGid, nodes);
  }

  async prepare(): Promise<void> {
    const control = this.founders.map((place) => `${place.name}=${this.addressOf(place)}`).join(',');
    const { token } = await found(control, this.folder, tokenLifeMs);
    await writeFile(this.tokenFile, token, { mode: 0o600 });
    makeFolder(this.socketFolder);
  }

  launch(place: AgentPlace, isFirst: boolean): Launch {
    const words = isFirst && !this.founders.includes(place) ? this.joinWords(place) : this.agentWords(place);
    const all = [...this.program, ...words, '--socket-folder', this.socketFolder, '--json'];
    return { program: process.execPath, words: all, endsWithParent: true };
  }

  async connect(place: AgentPlace, onEvent: (event: AgentEvent) => void): Promise<AgentLink> {
    const client = await AgentClient.open({ socket: this.socketOf(place) });
    return new HivemindLink(client, onEvent);
  }

  /** The path of an agent's socket. */
  socketOf({ name }: AgentPlace): string {
    return socketPath(this.socketFolder, `${name}.sock`);
  }

  private get founders(): readonly AgentPlace[] {
    return this.places.slice(0, foundersCount);
  }

  private get tokenFile(): string {
    return join(this.folder, 'token');
  }

  private get socketFolder(): string {
    return join(this.folder, 'run');
  }

  private agentWords({ name }: AgentPlace): readonly string[] {
    return ['agent', '--config', join(this.folder, name, 'hivemind.yaml')];
  }

  private joinWords(place: AgentPlace): readonly string[] {
    const { name } = place;
    const self = ['--name', name, '--folder', join(this.folder, name), '--bind', this.addressOf(place)];
    return ['join', ...this.doors(place), '--token-file', this.tokenFile, '--role', memberRole, ...self, '--patient'];
  }

  /** All control nodes, each joiner with another one first. */
  private doors(place: AgentPlace): readonly string[] {
    const first = this.places.indexOf(place) % foundersCount;
    return [...this.founders.slice(first), ...this.founders.slice(0, first)].map((door) => this.addressOf(door));
  }

  private addressOf({ host }: AgentPlace): string {
    return endpointText({ host, port: this.port });
  }
}

class HivemindLink implements AgentLink {
  private readonly client: AgentClient;

  constructor(client: AgentClient, onEvent: (event: AgentEvent) => void) {
    this.client = client;
    const onItem = (item: LocalEvent): void => {
      const event = agentEventOf(item);
      if (event !== undefined) onEvent(event);
    };
    const forGood = new AbortController().signal;
    // It ends with its agent, and whoever asks the agent next is told.
    client.follow({ kind: 'events', most: 0, follow: true }, forGood, onItem).catch(() => {});
  }

  async isHealthy(): Promise<boolean> {
    const { pane } = await this.client.ask({ kind: 'status' });
    return pane.state === 'healthy' && pane.leader !== undefined;
  }

  async listUp(): Promise<readonly string[]> {
    const { members } = await this.client.ask({ kind: 'members' });
    return members.filter(({ status }) => status !== 'down').map(({ name }) => name);
  }

  async send(name: string, payload: string): Promise<void> {
    await this.client.ask({ kind: 'send-event', name, payload });
  }

  close(): void {
    this.client.close();
  }
}

/** What the event says to the bench, or nothing. */
export function agentEventOf({ kind, node, detail }: LocalEvent): AgentEvent | undefined {
  switch (kind) {
    case 'joined':
    case 'back':
      return node === undefined ? undefined : { kind: 'up', node };
    case 'down':
    case 'left':
      return node === undefined ? undefined : { kind: 'down', node };
    case 'user-event':
      return { kind: 'message', payload: textOf(detail.payload) };
    default:
      return undefined;
  }
}

function textOf(payload: unknown): string {
  return payload instanceof Uint8Array ? (fromUtf8(payload) ?? '') : String(payload);
}
