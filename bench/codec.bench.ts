import { deepStrictEqual } from 'node:assert';
import { seededRandom } from '../src/seam/random.ts';
import { type DatagramMessage, decodeDatagramBody, encodeDatagramBody } from '../src/wire/datagram.ts';
import { type Bench, benchSeed } from './bench.ts';

const numbersBelow = 100_000;

function pingWithSixUpdates(): readonly DatagramMessage[] {
  const random = seededRandom(benchSeed);
  const updates = Array.from({ length: 6 }, () => ({
    number: 1 + random.below(numbersBelow),
    incarnation: random.below(8),
    status: random.below(2) === 0 ? ('alive' as const) : ('down' as const),
  }));
  return [
    { kind: 'ping', nonce: random.below(0xffff_ffff) },
    { kind: 'gossip', updates, rumours: [] },
  ];
}

/** HM-32: the wire format against the same messages as JSON. */
const bench: Bench = {
  name: 'codec',
  about: 'the body of a datagram with a ping and six updates',
  tasks() {
    const messages = pingWithSixUpdates();
    const json = JSON.stringify(messages);
    const packed = encodeDatagramBody(messages);
    deepStrictEqual(decodeDatagramBody(packed), messages);
    return [
      { name: 'encode JSON', bytes: Buffer.byteLength(json), run: () => Buffer.from(JSON.stringify(messages)) },
      { name: 'encode', bytes: packed.length, against: 'encode JSON', run: () => encodeDatagramBody(messages) },
      { name: 'decode JSON', run: () => JSON.parse(json) as unknown },
      { name: 'decode and check', against: 'decode JSON', run: () => decodeDatagramBody(packed) },
    ];
  },
};

export default bench;
