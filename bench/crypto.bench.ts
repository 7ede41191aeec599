import { aeadKeyBytes, aeadNonceBytes, open, seal, signingKeyFrom, verifySignature } from '../src/crypto.ts';
import { seededRandom } from '../src/seam/random.ts';
import { type Bench, type BenchTask, benchSeed } from './bench.ts';

/** A usual datagram, and the largest. */
const bodySizes = [300, 1_400];
const headerBytes = 20;

const bench: Bench = {
  name: 'crypto',
  about: 'AES-256-GCM over one datagram, Ed25519 over one statement',
  tasks() {
    const random = seededRandom(benchSeed);
    const [key, nonce, header] = [random.bytes(aeadKeyBytes), random.bytes(aeadNonceBytes), random.bytes(headerBytes)];
    const sealing = bodySizes.flatMap((size): readonly BenchTask[] => {
      const body = random.bytes(size);
      const sealed = seal(key, nonce, header, body);
      return [
        { name: `seal ${size} bytes`, run: () => seal(key, nonce, header, body) },
        { name: `open ${size} bytes`, run: () => open(key, nonce, header, sealed) },
      ];
    });
    const signer = signingKeyFrom(random.bytes(32));
    const statement = random.bytes(200);
    // More than are remembered as right, so that each comes round as if it were new.
    const statements = Array.from({ length: 5_000 }, () => random.bytes(200));
    const signatures = statements.map((each) => signer.sign(each));
    let turn = 0;
    const verifyNext = (): boolean => {
      turn = (turn + 1) % statements.length;
      return verifySignature(signer.publicKey, statements[turn] as Uint8Array, signatures[turn] as Uint8Array);
    };
    const known = signatures[0] as Uint8Array;
    return [
      ...sealing,
      { name: 'sign', run: () => signer.sign(statement) },
      { name: 'verify, new', run: verifyNext },
      { name: 'verify, seen before', run: () => verifySignature(signer.publicKey, statements[0] as Uint8Array, known) },
    ];
  },
};

export default bench;
