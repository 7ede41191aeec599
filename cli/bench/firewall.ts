/**
 * One nftables table of the bench's own. It drops all packets of one agent, as if its machine had vanished, and counts
 * what agents send. Packets are dropped where they arrive: a sender whose own system refuses to send would know.
 *
 * An agent's datagrams bear its address, but the kernel gives all connections on loopback the source 127.0.0.1.
 * So each agent has a group of its own, and a connection's first packet marks it as that group's.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HivemindError } from '../../src/error.ts';
import type { AgentPlace } from './product.ts';

const table = 'ip hivemind_bench';
/** IPv4 and UDP; IPv4 and TCP with its timestamps, as in all but a connection's first packets. */
const datagramHeaderBytes = 28;
const segmentHeaderBytes = 52;

const run = promisify(execFile);

/** What all agents sent so far. */
export interface Traffic {
  readonly datagrams: number;
  /** Without headers. */
  readonly datagramBytes: number;
  /** TCP packets, those without content included. Loopback takes large ones whole. */
  readonly segments: number;
  readonly segmentBytes: number;
}

interface Counter {
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

export class Firewall {
  /** @throws HivemindError `refused` where this user may not, or there is no nft */
  static async open(places: readonly AgentPlace[]): Promise<Firewall> {
    try {
      await tryGroup(places);
      await apply(rulesFor(places));
      return new Firewall();
    } catch (cause) {
      throw new HivemindError('refused', 'Packets can be dropped and counted by root with nft (nftables) only.', cause);
    }
  }

  /** From now on nothing reaches the agent and nothing that it sends arrives. */
  async cut({ host, gid }: AgentPlace): Promise<void> {
    const matches = [`ip saddr ${host}`, `ip daddr ${host}`, `ct mark ${gid}`];
    await apply(matches.map((match) => `add rule ${table} cut ${match} drop`));
  }

  async mend(): Promise<void> {
    await apply([`flush chain ${table} cut`]);
  }

  async traffic(): Promise<Traffic> {
    const { stdout } = await run('nft', ['-j', 'list', 'counters', 'table', ...table.split(' ')]);
    return trafficIn(stdout);
  }

  async close(): Promise<void> {
    await apply([`delete table ${table}`]);
  }
}

/** The traffic that the counters of `nft -j list counters` tell of. */
export function trafficIn(json: string): Traffic {
  const { nftables } = JSON.parse(json) as { readonly nftables: readonly { readonly counter?: Counter }[] };
  const counterOf = (name: string): Counter =>
    nftables.find(({ counter }) => counter?.name === name)?.counter ?? { name, packets: 0, bytes: 0 };
  const [datagrams, segments] = [counterOf('datagrams'), counterOf('segments')];
  return {
    datagrams: datagrams.packets,
    datagramBytes: datagrams.bytes - datagrams.packets * datagramHeaderBytes,
    segments: segments.packets,
    segmentBytes: segments.bytes - segments.packets * segmentHeaderBytes,
  };
}

/** A user namespace may let its root have tables, but no groups. */
async function tryGroup([place]: readonly AgentPlace[]): Promise<void> {
  if (place !== undefined) await run('true', [], { gid: place.gid });
}

/** A table that an earlier bench left behind, because it was killed, is replaced. */
function rulesFor(places: readonly AgentPlace[]): readonly string[] {
  const hosts = `{ ${places.map(({ host }) => host).join(', ')} }`;
  const marks = `{ ${places.map(({ gid }) => `${gid} : ${gid}`).join(', ')} }`;
  return [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    `add counter ${table} datagrams`,
    `add counter ${table} segments`,
    `add chain ${table} owners { type filter hook output priority -150; }`,
    `add rule ${table} owners ip daddr ${hosts} tcp flags syn / syn,ack ct mark set meta skgid map ${marks}`,
    `add chain ${table} traffic { type filter hook input priority 10; }`,
    `add rule ${table} traffic ip saddr ${hosts} meta l4proto udp counter name datagrams`,
    `add rule ${table} traffic ip saddr ${hosts} meta l4proto tcp counter name segments`,
    `add rule ${table} traffic ip daddr ${hosts} ip saddr != ${hosts} meta l4proto tcp counter name segments`,
    `add chain ${table} cut { type filter hook input priority 0; }`,
  ];
}

async function apply(commands: readonly string[]): Promise<void> {
  const nft = run('nft', ['-f', '-']);
  // Where there is no nft, its end is told by the promise.
  nft.child.stdin?.on('error', () => {});
  nft.child.stdin?.end(`${commands.join('\n')}\n`);
  await nft;
}
