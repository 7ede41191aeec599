import { assert } from '../src/assert.ts';
import { type ExchangeKey, exchangeKeyFrom, seedBytes } from '../src/crypto.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../src/identity.ts';
import { type Random, seededRandom } from '../src/seam/random.ts';
import { bodyBytesMax } from '../src/session/packet.ts';
import type { SessionEffect } from '../src/session/session-effect.ts';
import { Sessions } from '../src/session/sessions.ts';
import { type Bench, type BenchTask, benchSeed } from './bench.ts';

const bodySizes = [300, bodyBytesMax];
const cluster: Uint8Array = new Uint8Array(16).fill(7);

interface End {
  readonly number: NodeNumber;
  readonly at: Endpoint;
  readonly sessions: Sessions;
}

/** Two members that know each other's certificates, and a network that takes no time. */
class Pair {
  private readonly ends: readonly [End, End];
  private readonly now: MonotonicMs = 0;
  private bodies = 0;

  constructor(random: Random) {
    const keys = [1, 2].map(() => exchangeKeyFrom(random.bytes(seedBytes)));
    this.ends = [newEnd(1, keys, random), newEnd(2, keys, random)];
  }

  /** Seals at one end, opens at the other, and shakes hands first where there is no session yet. */
  send(body: Uint8Array): void {
    const [from, to] = this.ends;
    const before = this.bodies;
    this.perform(from, from.sessions.send(to.number, to.at, body, this.now));
    assert(this.bodies === before + 1, 'a body arrives');
  }

  private perform(actor: End, effects: readonly SessionEffect[]): void {
    const other = actor === this.ends[0] ? this.ends[1] : this.ends[0];
    for (const effect of effects) {
      if (effect.kind === 'body') this.bodies++;
      if (effect.kind === 'datagram') this.perform(other, other.sessions.receive(actor.at, effect.bytes, this.now));
    }
  }
}

function newEnd(number: NodeNumber, keys: readonly ExchangeKey[], random: Random): End {
  const sessions = new Sessions({
    self: number,
    exchangeKey: keys[number - 1] as ExchangeKey,
    bootSeed: random.bytes(seedBytes),
    cluster,
    epoch: 1,
    credential: () => new Uint8Array(0),
    directory: { exchangeKeyOf: (peer) => keys[peer - 1]?.publicKey, introduce: () => undefined },
    random,
  });
  return { number, at: { host: `10.0.0.${number}`, port: 7100 }, sessions };
}

const bench: Bench = {
  name: 'session',
  about: 'one datagram sealed at one end and opened at the other, no network',
  tasks() {
    const random = seededRandom(benchSeed);
    const pair = new Pair(random);
    const sending = bodySizes.map((size): BenchTask => {
      const body = random.bytes(size);
      return { name: `send ${size} bytes`, run: () => pair.send(body) };
    });
    const first = random.bytes(bodySizes[0] as number);
    return [...sending, { name: 'boot, shake hands and send', run: () => new Pair(random).send(first) }];
  },
};

export default bench;
