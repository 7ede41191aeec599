/** `hivemind snapshot restore`: a new control node out of a saved snapshot, when all control nodes are lost. */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { equalBytes } from '../../src/bytes.ts';
import { encodeGenesis, type Genesis } from '../../src/certificate/genesis.ts';
import { type HeardCharter, heed, type RecoveryPlan } from '../../src/control/recovering.ts';
import { exchangeKeyFrom, seedBytes, signingKeyFrom } from '../../src/crypto.ts';
import { HivemindError } from '../../src/error.ts';
import { type Address, isLabel, parseAddress } from '../../src/identity.ts';
import { writeSettings } from '../../src/settings/draft.ts';
import { writeFileAtomically } from '../../src/store/atomic-file.ts';
import { syncFolder } from '../../src/store/folder.ts';
import { systemClock } from '../../src/system/clock.ts';
import { systemRandom } from '../../src/system/random.ts';
import { advertisedEndpoints, resolveLocal } from '../agent/advertise.ts';
import { NodeFolder, type NodeKeys } from '../agent/node-folder.ts';
import { printAnswer, printNote } from '../output.ts';
import { listed } from '../table.ts';
import { openSaved } from './open-saved.ts';
import { carryOut, planned, readRecoveryKey } from './recover.ts';
import { type RecoveryReport, renderRecovery, reportOf } from './report.ts';

export interface RestoreFlags {
  readonly recoveryKey?: string;
  readonly out: string;
  readonly name: string;
  readonly bind: string;
  readonly advertise?: string;
  readonly memberData?: string;
  readonly yes?: true;
  readonly json?: true;
}

export async function onRestore(file: string, flags: RestoreFlags): Promise<void> {
  const report = await restore(file, flags);
  printAnswer(report, flags.json === true, renderRecovery);
  const known = report.givenUp.flatMap(({ addresses }) => addresses);
  if (report.node.addresses.some((address) => known.includes(address))) return;
  const itself = 'it finds them itself, where they were when they joined, and that takes a little longer.';
  printNote(
    known.length === 0
      ? `The snapshot does not tell where members look for control nodes: ${itself}`
      : `Members look for it where control nodes were: ${listed(known)}. None of these is its address: ${itself}`,
  );
}

async function restore(file: string, flags: RestoreFlags): Promise<RecoveryReport> {
  const out = resolve(flags.out);
  if (existsSync(out)) {
    throw new HivemindError('already-initialised', `${flags.out} exists already; choose another folder with --out.`);
  }
  if (!isLabel(flags.name)) {
    const sentence = `"${flags.name}" is not a lower-case DNS label; choose a name like c1.`;
    throw new HivemindError('name-invalid', sentence);
  }
  const { genesis, log } = await openSaved(file);
  if (flags.memberData !== undefined) heed(log.state, await heardBy(flags.memberData, genesis));
  const recoveryKey = await readRecoveryKey(flags, genesis);
  const bind = parseAddress(flags.bind);
  const advertise = (flags.advertise ?? '').split(',').filter((text) => text.trim() !== '');
  const places = { bind, advertise: advertise.map((text) => parseAddress(text)) };
  const endpoints = await advertisedEndpoints(await resolveLocal(bind), places.advertise);
  const at = systemClock.wallNow();
  const planFor = ({ signing, exchange }: Pick<NodeKeys, 'signing' | 'exchange'>): RecoveryPlan =>
    planned(log, {
      node: { name: flags.name, signingKey: signing.publicKey, exchangeKey: exchange.publicKey, endpoints },
      keep: [],
      lastIndex: log.lastIndex,
      lastChain: log.chain,
      at,
    });
  // What is refused is refused before there are keys on the disk.
  const report = reportOf(log, planFor(keysOfNobody()), { committed: log.lastIndex });
  if (recoveryKey === undefined || flags.yes !== true) return report;
  await wholeOrNot(out, async (unfinished) => {
    const folder = new NodeFolder(join(unfinished, 'data'));
    const keys = await folder.keys();
    const plan = planFor(keys);
    carryOut(folder.logFolder, { log, plan, recoveryKey, node: keys.signing, term: log.lastTerm });
    await folder.found({ genesis, number: plan.statement.node.number });
    await writeNodeSettings(unfinished, flags.name, places);
  });
  return { ...report, done: true };
}

/** Makes a folder that is whole or not there: one that was cut short would hold keys of nobody. */
async function wholeOrNot(out: string, fill: (unfinished: string) => Promise<void>): Promise<void> {
  const unfinished = `${out}.unfinished`;
  const clear = (): void => rmSync(unfinished, { recursive: true, force: true });
  clear();
  try {
    await fill(unfinished);
    renameSync(unfinished, out);
  } catch (thrown) {
    clear();
    throw thrown;
  }
  syncFolder(dirname(out));
}

/** What of the charter the member with this data folder, or with the one that it was copied from, knew. */
async function heardBy(folder: string, genesis: Genesis): Promise<HeardCharter> {
  const advice = 'name the data folder of another member with --member-data';
  const memory = existsSync(folder) ? await new NodeFolder(folder).peekMemory(advice) : undefined;
  if (memory === undefined) {
    const sentence = `${folder} holds nothing that a member remembers; name a member's data folder with --member-data.`;
    throw new HivemindError('not-found', sentence);
  }
  const { digest } = memory;
  if (equalBytes(digest.genesis, encodeGenesis(genesis))) return digest.charter;
  const sentence = `${folder} is of another cluster than the snapshot; name the data folder of a member of this one.`;
  throw new HivemindError('cluster-mismatch', sentence);
}

/** A dry run makes no folder, and what it shows does not depend on its keys. */
function keysOfNobody(): Pick<NodeKeys, 'signing' | 'exchange'> {
  return {
    signing: signingKeyFrom(systemRandom.bytes(seedBytes)),
    exchange: exchangeKeyFrom(systemRandom.bytes(seedBytes)),
  };
}

async function writeNodeSettings(
  folder: string,
  name: string,
  places: { readonly bind: Address; readonly advertise: readonly Address[] },
): Promise<void> {
  const text = writeSettings({ name, data: './data', ...places, roles: {} });
  await writeFileAtomically(join(folder, 'hivemind.yaml'), Buffer.from(text), 0o644);
}
