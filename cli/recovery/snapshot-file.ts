/** `hivemind snapshot save` and `snapshot inspect`: the state of a cluster as a file, and what is in it. */
import { concatBytes, toHex } from '../../src/bytes.ts';
import { recoveryIn } from '../../src/certificate/recovery.ts';
import { HivemindError } from '../../src/error.ts';
import { wallText } from '../../src/identity.ts';
import { systemCode } from '../../src/seam/file-system.ts';
import { savedSnapshotBytesMax, writeSavedSnapshot } from '../../src/store/saved-snapshot.ts';
import { systemClock } from '../../src/system/clock.ts';
import { type AgentClient, withAgent } from '../agent-client.ts';
import type { AgentOptions } from '../agent-command.ts';
import { plural } from '../count.ts';
import { printAnswer } from '../output.ts';
import type { Paint } from '../paint.ts';
import { type Cell, facts, listed } from '../table.ts';
import { openSaved } from './open-saved.ts';

interface Saved {
  readonly file: string;
  readonly term: number;
  readonly index: number;
  readonly bytes: number;
}

export async function onSave(file: string, options: AgentOptions): Promise<void> {
  const saved = await withAgent(options, (agent) => save(file, agent));
  printAnswer(saved, options.json === true, ({ term, index, bytes }) => {
    return `Saved all that is decided up to term ${term}, index ${index} into ${file} (${bytes} bytes of state).`;
  });
}

async function save(file: string, agent: AgentClient): Promise<Saved> {
  const first = await agent.ask({ kind: 'snapshot', index: 0, offset: 0 });
  const { index, term, chain, configuration, genesis, totalBytes } = first;
  if (totalBytes > savedSnapshotBytesMax) throw tooLarge();
  const pieces = [first.bytes];
  for (let offset = first.bytes.length; offset < totalBytes; ) {
    const { bytes } = await agent.ask({ kind: 'snapshot', index, offset });
    if (bytes.length === 0) throw tooLarge();
    pieces.push(bytes);
    offset += bytes.length;
  }
  const state = concatBytes(...pieces);
  const snapshot = { index, term, chain, configuration, state };
  await writeSavedSnapshot(file, { genesis, savedAt: systemClock.wallNow(), snapshot }).catch((thrown: unknown) => {
    throw unusable(file, thrown);
  });
  return { file, term, index, bytes: state.length };
}

/** No agent has to be started again for this one, as it has where its own disk fails. */
function unusable(file: string, thrown: unknown): unknown {
  const isDisk = thrown instanceof HivemindError && thrown.code === 'disk-failed';
  const code = isDisk ? systemCode(thrown.cause) : undefined;
  if (code === undefined) return thrown;
  return new HivemindError('disk-failed', `${file} cannot be used (${code}); name a file that can.`, thrown);
}

function tooLarge(): HivemindError {
  return new HivemindError('frame-invalid', "The agent's snapshot cannot be read; use the agent's own release.");
}

interface Inspected {
  readonly file: string;
  readonly savedAt: string;
  readonly cluster: string;
  readonly genesisHash: string;
  readonly term: number;
  readonly index: number;
  /** The time of the newest entry. */
  readonly writtenAt: string;
  /** The hash chain up to the entry `index`. */
  readonly chain: string;
  readonly epoch: number;
  readonly controlNodes: readonly string[];
  readonly members: readonly { readonly number: number; readonly name: string; readonly status: 'alive' | 'down' }[];
  readonly tokens: number;
  /** Amendments, those among them that are recoveries, and the hash of the last one. */
  readonly charter: { readonly amendments: number; readonly recoveries: number; readonly head: string };
}

export async function onInspect(file: string, options: { readonly json?: true }): Promise<void> {
  const { genesis, savedAt, log } = await openSaved(file);
  const { state, lastTerm: term, lastIndex: index, lastAt } = log;
  const { charter } = state;
  const recoveries = charter.since(0, charter.length).filter((each) => recoveryIn(each) !== undefined).length;
  const inspected: Inspected = {
    file,
    savedAt: wallText(savedAt),
    cluster: toHex(genesis.cluster),
    genesisHash: toHex(state.genesisHash),
    ...{ term, index, writtenAt: wallText(lastAt), chain: toHex(log.chain), epoch: state.epoch },
    controlNodes: state.controlNumbers.map((number) => state.members.get(number)?.name ?? `#${number}`),
    members: [...state.members.values()].map(({ number, name, status }) => ({ number, name, status })),
    tokens: state.tokens.size,
    charter: { amendments: charter.length, recoveries, head: toHex(charter.head) },
  };
  printAnswer(inspected, options.json === true, renderInspected);
}

function renderInspected(inspected: Inspected, paint: Paint): string {
  const { members, charter, controlNodes, epoch, term, index } = inspected;
  const down = members.filter(({ status }) => status === 'down').length;
  const changes = `${plural(charter.amendments, 'amendment')}, ${charter.recoveries} of them recoveries`;
  const sheet: readonly (readonly [label: string, value: Cell])[] = [
    ['Saved', inspected.savedAt],
    ['Cluster', `${inspected.cluster}, genesis ${inspected.genesisHash}`],
    ['Event log', `up to term ${term}, index ${index}, written ${inspected.writtenAt}`],
    ['Its hash', inspected.chain],
    ['Epoch', epoch],
    ['Control nodes', listed(controlNodes)],
    ['Members', `${members.length}, ${down} of them down, each rightly certified`],
    ['Tokens', inspected.tokens],
    ['Charter', `${changes}, head ${charter.head}`],
  ];
  return facts(sheet, paint);
}
