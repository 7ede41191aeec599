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
    const signature = signer.sign(statement);
    return [
      ...sealing,
      { name: 'sign', run: () => signer.sign(statement) },
      { name: 'verify', run: () => verifySignature(signer.publicKey, statement, signature) },
    ];
  },
};

export default bench;
