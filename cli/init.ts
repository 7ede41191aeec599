/** `hivemind init`: makes the genesis of a new cluster, with a folder for each control node. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { toHex } from '../src/bytes.ts';
import { majorityOf } from '../src/certificate/certificate.ts';
import {
  type ControlNode,
  clusterIdBytes,
  controlNodesMax,
  type Genesis,
  genesisHash,
} from '../src/certificate/genesis.ts';
import { recoveryKeyText } from '../src/certificate/recovery-key.ts';
import { tokenText } from '../src/certificate/token.ts';
import { seedBytes, signingKeyFrom } from '../src/crypto.ts';
import { HivemindError } from '../src/error.ts';
import { type Address, type Endpoint, endpointText, isLabel, parseAddress, wallText } from '../src/identity.ts';
import { systemClock } from '../src/system/clock.ts';
import { systemRandom } from '../src/system/random.ts';
import { parseDuration } from './duration.ts';
import { canonicalHost, isWildcard } from './ip-address.ts';
import { printLine, printNote } from './output.ts';

interface InitFlags {
  readonly control: string;
  readonly out: string;
  readonly tokenTtl: string;
  readonly json?: boolean;
}

/** What `init` made, as `--json` shows it. */
export interface Founded {
  readonly cluster: string;
  readonly quorum: number;
  readonly control: readonly { readonly name: string; readonly address: string; readonly settings: string }[];
  readonly token: string;
  readonly tokenExpiresAt: string;
  readonly join: string;
  /** The file with the key that signs a recovery. */
  readonly recoveryKey: string;
}

interface PlannedNode {
  readonly name: string;
  readonly address: Address;
  readonly endpoint: Endpoint;
}

export function registerInit(program: Command): void {
  program
    .command('init')
    .description('make a new cluster: a folder with settings and keys for each control node, and a join token')
    .requiredOption('--control <nodes>', 'the control nodes, like c1=10.0.0.1,c2=10.0.0.2,c3=10.0.0.3')
    .option('--out <folder>', 'where their folders go', '.')
    .option('--token-ttl <time>', 'how long the first join token admits nodes, like 24h', '24h')
    .option('--json', 'print what was made as JSON')
    .action(async (flags: InitFlags) => {
      const founded = await found(flags.control, flags.out, parseDuration(flags.tokenTtl));
      if (founded.control.length < 3) {
        const count = founded.control.length === 1 ? '1 control node is' : '2 control nodes are';
        printNote(`Warning: ${count} enough for development only; three survive the loss of one.`);
      }
      printLine(flags.json ? JSON.stringify(founded, undefined, 2) : describe(founded));
    });
}

/** Its place below `--out`. */
const recoveryKeyName = 'recovery.key';

/**
 * Makes the folders `OUT/NAME` with `hivemind.yaml` and `data/`, each for one control node, and `OUT/recovery.key`.
 *
 * @throws HivemindError `usage`, `name-invalid`, `address-invalid`, `address-unreachable`, `already-initialised`
 */
export async function found(control: string, out: string, tokenTtlMs: number): Promise<Founded> {
  const planned = await Promise.all(parseControl(control).map(resolvePlanned));
  checkPlaces(planned);
  const taken = [...planned.map(({ name }) => name), recoveryKeyName].find((name) => existsSync(join(out, name)));
  if (taken !== undefined) {
    const sentence = `${join(out, taken)} exists already; remove it or choose another folder with --out.`;
    throw new HivemindError('already-initialised', sentence);
  }
  const { NodeFolder } = await import('./agent/node-folder.ts');
  const folders = planned.map((node) => new NodeFolder(join(out, node.name, 'data')));
  const keys = await Promise.all(folders.map((folder) => folder.keys()));
  const nodes = planned.map((node, position): ControlNode => {
    const { signing, exchange } = keys[position] as NonNullable<(typeof keys)[number]>;
    const { name, endpoint } = node;
    const own = { signingKey: signing.publicKey, exchangeKey: exchange.publicKey, endpoints: [endpoint] };
    return { number: position + 1, name, ...own };
  });
  const tokenSeed = systemRandom.bytes(seedBytes);
  const createdAt = systemClock.wallNow();
  const firstToken = { publicKey: signingKeyFrom(tokenSeed).publicKey, notAfter: createdAt + tokenTtlMs };
  const recoverySeed = systemRandom.bytes(seedBytes);
  const recoveryKey = signingKeyFrom(recoverySeed).publicKey;
  const cluster = systemRandom.bytes(clusterIdBytes);
  const genesis: Genesis = { cluster, createdAt, control: nodes, firstToken, recoveryKey };
  await createText(join(out, recoveryKeyName), recoveryKeyText(recoverySeed, genesis));
  await Promise.all(folders.map((folder, position) => folder.found({ genesis, number: position + 1 })));
  for (const node of planned) await writeNodeSettings(node, out);
  return foundedFrom(genesis, planned, out, tokenText(tokenSeed, genesis.cluster, genesisHash(genesis)));
}

function parseControl(text: string): readonly { readonly name: string; readonly address: Address }[] {
  const nodes = text.split(',').map((part) => {
    const [name = '', address = '', ...rest] = part.trim().split('=');
    if (address === '' || rest.length > 0) {
      throw new HivemindError(
        'usage',
        `"${part}" does not name a control node; write NAME=ADDRESS, like c1=10.0.0.1:7100.`,
      );
    }
    if (!isLabel(name)) {
      throw new HivemindError('name-invalid', `"${name}" is not a lower-case DNS label; choose a name like c1.`);
    }
    return { name, address: parseAddress(address) };
  });
  const twice = nodes.find((node, position) => nodes.findIndex((each) => each.name === node.name) < position);
  if (twice !== undefined)
    throw new HivemindError('usage', `${twice.name} is named twice; each control node needs a name of its own.`);
  if (nodes.length > controlNodesMax) {
    throw new HivemindError('usage', `${controlNodesMax} control nodes are the most; 3 or 5 are usual.`);
  }
  return nodes;
}

async function resolvePlanned(node: { readonly name: string; readonly address: Address }): Promise<PlannedNode> {
  const { resolveAddress } = await import('../src/net/resolve.ts');
  const [endpoint] = await resolveAddress(node.address);
  if (endpoint !== undefined) return { ...node, endpoint };
  throw new HivemindError(
    'address-unreachable',
    `${node.address.host} has no address; write an IP address for ${node.name}.`,
  );
}

/** Each must be one place, and another than the others'. */
function checkPlaces(planned: readonly PlannedNode[]): void {
  const takenBy = new Map<string, string>();
  for (const { name, endpoint } of planned) {
    if (isWildcard(endpoint.host)) {
      const sentence = `${name} cannot be reached at ${endpoint.host}, which stands for all addresses of a machine; `;
      throw new HivemindError('address-invalid', `${sentence}write the one by which the others reach it.`);
    }
    const place = endpointText({ ...endpoint, host: canonicalHost(endpoint.host) });
    const other = takenBy.get(place);
    if (other !== undefined) {
      const sentence = `${other} and ${name} have the same address ${place}; `;
      throw new HivemindError('address-invalid', `${sentence}each control node needs one of its own, or another port.`);
    }
    takenBy.set(place, name);
  }
}

async function createText(path: string, text: string): Promise<void> {
  const { createFileAtomically } = await import('../src/store/atomic-file.ts');
  await createFileAtomically(path, Buffer.from(`${text}\n`));
}

async function writeNodeSettings(node: PlannedNode, out: string): Promise<void> {
  const [{ writeSettings }, { writeFileAtomically }] = await Promise.all([
    import('../src/settings/draft.ts'),
    import('../src/store/atomic-file.ts'),
  ]);
  const isName = node.address.host !== node.endpoint.host;
  const bind = isName
    ? { host: node.endpoint.host.includes(':') ? '::' : '0.0.0.0', port: node.endpoint.port }
    : node.endpoint;
  const text = writeSettings({
    name: node.name,
    data: './data',
    bind,
    advertise: isName ? [node.address] : [],
    roles: {},
  });
  await writeFileAtomically(join(out, node.name, 'hivemind.yaml'), Buffer.from(text), 0o644);
}

function foundedFrom(genesis: Genesis, planned: readonly PlannedNode[], out: string, token: string): Founded {
  const control = planned.map((node) => ({
    name: node.name,
    address: endpointText(node.address),
    settings: join(out, node.name, 'hivemind.yaml'),
  }));
  return {
    cluster: toHex(genesis.cluster),
    quorum: majorityOf(control.length),
    control,
    token,
    tokenExpiresAt: wallText(genesis.firstToken.notAfter),
    join: `hivemind join ${control[0]?.address} --token ${token} --role host`,
    recoveryKey: join(out, recoveryKeyName),
  };
}

function describe(founded: Founded): string {
  const { control, quorum, recoveryKey } = founded;
  const nodes = control.length === 1 ? '1 control node' : `${control.length} control nodes`;
  return [
    `Cluster ${founded.cluster.slice(0, 8)}: ${nodes}, of which ${quorum} must be in touch to decide anything.`,
    '',
    'Copy each folder to its machine once, delete it here (it holds secret keys), and start it there:',
    ...control.map((node) => `  hivemind agent -c ${node.settings}    # ${node.name}, ${node.address}`),
    'Never copy it a second time, to a new disk say: remove that control node, and let a new one join.',
    '',
    'Then let others join, through any member:',
    `  ${founded.join}`,
    '',
    `The token admits any number of nodes until ${founded.tokenExpiresAt}; keep it secret.`,
    `Move ${recoveryKey} away from these machines, to where you keep passwords: it is what brings the cluster back`,
    'when most control nodes are lost for good, and nothing else does.',
  ].join('\n');
}
