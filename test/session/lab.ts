/** A few real sessions on a virtual network: in order, without loss, at once, unless a test says otherwise. */
import assert from 'node:assert/strict';
import { concatBytes, equalBytes, utf8 } from '../../src/bytes.ts';
import { type ExchangeKey, exchangeKeyFrom, sha256 } from '../../src/crypto.ts';
import { type Endpoint, endpointText, type NodeNumber } from '../../src/identity.ts';
import { seededRandom } from '../../src/seam/random.ts';
import type { DropReason } from '../../src/session/drop.ts';
import { decodeHeader, type PacketKind } from '../../src/session/header.ts';
import type { SessionEffect } from '../../src/session/session-effect.ts';
import { Sessions } from '../../src/session/sessions.ts';

export interface Flight {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

export const cluster: Uint8Array = sha256(utf8('cluster')).subarray(0, 16);

export function kindOf(bytes: Uint8Array): PacketKind {
  const header = decodeHeader(bytes);
  assert(typeof header !== 'string', `no packet: ${String(header)}`);
  return header.kind;
}

export function addressOf(number: NodeNumber): Endpoint {
  return { host: `10.0.0.${number}`, port: 7100 };
}

export function staticKeyOf(number: NodeNumber): ExchangeKey {
  return exchangeKeyFrom(sha256(utf8(`static ${number}`)));
}

/** A credential that anybody can check and nobody else has: enough for a directory of tests. */
export function credentialOf(number: NodeNumber): Uint8Array {
  return concatBytes(utf8(`member ${number} `), staticKeyOf(number).publicKey, new Uint8Array(900));
}

export interface LabNodeOptions {
  readonly number: NodeNumber;
  /** Counts this number's starts. */
  readonly start?: number;
  readonly epoch?: number;
  readonly cluster?: Uint8Array;
  /** Members whose certificate it has; the others it learns from their credential. */
  readonly knows?: readonly NodeNumber[];
}

export class LabNode {
  readonly number: NodeNumber;
  readonly address: Endpoint;
  readonly sessions: Sessions;
  readonly known: Set<NodeNumber>;
  readonly removed: Set<NodeNumber> = new Set();
  readonly effects: SessionEffect[] = [];

  constructor({ number, start = 1, epoch = 1, cluster: clusterId = cluster, knows = [] }: LabNodeOptions) {
    this.number = number;
    this.address = addressOf(number);
    this.known = new Set(knows);
    this.sessions = new Sessions({
      self: number,
      exchangeKey: staticKeyOf(number),
      bootSeed: sha256(utf8(`boot ${number} ${start}`)),
      cluster: clusterId,
      epoch,
      credential: () => credentialOf(number),
      random: seededRandom(number * 1000 + start),
      directory: {
        exchangeKeyOf: (other) => (this.known.has(other) ? staticKeyOf(other).publicKey : undefined),
        introduce: (other, credential) => {
          if (this.removed.has(other) || !equalBytes(credential, credentialOf(other))) return undefined;
          this.known.add(other);
          return staticKeyOf(other).publicKey;
        },
      },
    });
  }

  /** The bodies that arrived, as text. */
  heard(): string[] {
    return this.effects.flatMap((effect) => (effect.kind === 'body' ? [Buffer.from(effect.body).toString()] : []));
  }

  /** Whose boots were established, in order. */
  /** The epochs that it was told of, beside its own. */
  otherEpochs(): number[] {
    return this.effects.flatMap((effect) => (effect.kind === 'other-epoch' ? [effect.epoch] : []));
  }

  met(): NodeNumber[] {
    return this.effects.flatMap((effect) => (effect.kind === 'established' ? [effect.number] : []));
  }

  drops(reason: DropReason): number {
    return this.sessions.dropped()[reason];
  }
}

export class Lab {
  now = 1_000;
  /** Every packet that was sent, lost ones included. */
  readonly sent: Flight[] = [];
  /** What the network loses. */
  loses: (flight: Flight) => boolean = () => false;
  private readonly nodes = new Map<string, LabNode>();
  private readonly flying: Flight[] = [];

  /** Starts a node; one with the same number is replaced, as by a restart. */
  start(options: LabNodeOptions): LabNode {
    const node = new LabNode(options);
    this.nodes.set(endpointText(node.address), node);
    return node;
  }

  pair(): [LabNode, LabNode] {
    return [this.start({ number: 1, knows: [2] }), this.start({ number: 2 })];
  }

  /** Queues what this node does; `deliver` lets it fly. */
  send(from: LabNode, to: LabNode | NodeNumber, text: string): void {
    const number = typeof to === 'number' ? to : to.number;
    this.take(from, from.sessions.send(number, addressOf(number), utf8(text), this.now));
  }

  say(from: LabNode, to: LabNode | NodeNumber, text: string): void {
    this.send(from, to, text);
    this.deliver();
  }

  inject(to: LabNode, from: Endpoint, bytes: Uint8Array): readonly SessionEffect[] {
    const effects = to.sessions.receive(from, bytes, this.now);
    this.take(to, effects);
    return effects;
  }

  deliver(): void {
    for (let flight = this.flying.shift(); flight !== undefined; flight = this.flying.shift()) {
      const node = this.nodes.get(endpointText(flight.to));
      if (node !== undefined && !this.loses(flight)) this.inject(node, flight.from, flight.bytes);
    }
  }

  /** Takes away what is about to fly. */
  intercept(): Flight[] {
    return this.flying.splice(0);
  }

  /** Lets time pass, with every tick in its place. */
  elapse(durationMs: number): void {
    const end = this.now + durationMs;
    for (;;) {
      const ticks = [...this.nodes.values()].map((node) => node.sessions.nextTickAt() ?? Number.POSITIVE_INFINITY);
      const next = Math.min(...ticks);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      for (const node of this.nodes.values()) this.take(node, node.sessions.tick(this.now));
      this.deliver();
    }
    this.now = end;
  }

  sentOf(kind: PacketKind): Flight[] {
    return this.sent.filter(({ bytes }) => kindOf(bytes) === kind);
  }

  private take(node: LabNode, effects: readonly SessionEffect[]): void {
    node.effects.push(...effects);
    for (const effect of effects) {
      if (effect.kind !== 'datagram') continue;
      const flight = { from: node.address, to: effect.to, bytes: effect.bytes };
      this.sent.push(flight);
      this.flying.push(flight);
    }
  }
}

/** Where nobody of ours lives. */
export const elsewhere: Endpoint = { host: '192.0.2.66', port: 666 };

/** Two nodes that have exchanged a body each way, and what flew. */
export function acquainted(): { lab: Lab; one: LabNode; two: LabNode } {
  const lab = new Lab();
  const [one, two] = lab.pair();
  lab.say(one, two, 'hello');
  lab.say(two, one, 'hello back');
  assert.deepEqual([one.heard(), two.heard()], [['hello back'], ['hello']]);
  return { lab, one, two };
}

/** Sends until both have heard something new, as probing each second does. */
export function assertHeals(lab: Lab, one: LabNode, two: LabNode): void {
  for (let second = 0; second < 10; second++) {
    lab.say(one, two, 'ping');
    lab.say(two, one, 'ping');
    lab.elapse(1_000);
  }
  assert.equal(one.heard().at(-1), 'ping');
  assert.equal(two.heard().at(-1), 'ping');
  assert(one.heard().filter((text) => text === 'ping').length >= 8);
  assert(two.heard().filter((text) => text === 'ping').length >= 8);
  assert.equal(lab.intercept().length, 0);
  assert(equalBytes(one.sessions.bootOf(two.number) ?? utf8(''), two.sessions.boot));
  assert(equalBytes(two.sessions.bootOf(one.number) ?? utf8(''), one.sessions.boot));
}

export function lastOf(lab: Lab, kind: PacketKind): Flight {
  const flight = lab.sentOf(kind).at(-1);
  assert(flight !== undefined, `no ${kind} was sent`);
  return flight;
}
