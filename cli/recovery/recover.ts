/** `hivemind control recover`: the one control node that is left goes on alone. Offline: its agent must be stopped. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../src/assert.ts';
import type { Genesis } from '../../src/certificate/genesis.ts';
import { signRecovery } from '../../src/certificate/recovery.ts';
import { parseRecoveryKey } from '../../src/certificate/recovery-key.ts';
import {
  type HeardCharter,
  heed,
  planRecovery,
  type RecoveryPlan,
  type RecoveryWish,
  recover,
} from '../../src/control/recovering.ts';
import type { SigningKey } from '../../src/crypto.ts';
import { HivemindError } from '../../src/error.ts';
import { type LogIndex, type Term, wallText } from '../../src/identity.ts';
import { Directory } from '../../src/member/directory.ts';
import { givenUp } from '../../src/member/membership.ts';
import { recoveredLog, type SurveyedLog, surveyLog } from '../../src/member/pane/log-recovery.ts';
import type { NodeSettings } from '../../src/settings/settings.ts';
import { lockFolder } from '../../src/store/folder-lock.ts';
import { localFileSystem } from '../../src/store/local-file-system.ts';
import { peekLog, replaceLog } from '../../src/store/log-replacement.ts';
import { systemClock } from '../../src/system/clock.ts';
import { advertisedEndpoints, resolveLocal } from '../agent/advertise.ts';
import { type Identity, identityIn, keepsLog } from '../agent/identity.ts';
import { NodeFolder, type NodeKeys } from '../agent/node-folder.ts';
import { printAnswer } from '../output.ts';
import { loadSettings } from '../settings-file.ts';
import { type RecoveryReport, renderRecovery, reportOf } from './report.ts';

export interface RecoverFlags {
  readonly config: string;
  readonly recoveryKey?: string;
  readonly keep?: string;
  readonly yes?: true;
  readonly json?: true;
}

export async function onRecover(flags: RecoverFlags): Promise<void> {
  const settings = await loadSettings(flags.config);
  if (!existsSync(join(settings.data, 'keys'))) {
    const sentence = `${settings.data} holds no node's data; name the settings of a control node with --config.`;
    throw new HivemindError('not-found', sentence);
  }
  const lock = lockFolder(settings.data);
  try {
    printAnswer(await recoverOn(settings, flags), flags.json === true, renderRecovery);
  } finally {
    lock.release();
  }
}

async function recoverOn(settings: NodeSettings, flags: RecoverFlags): Promise<RecoveryReport> {
  const survivor = await openSurvivor(settings);
  const { log, identity, keys, folder } = survivor;
  const recoveryKey = await readRecoveryKey(flags, identity.genesis);
  const bind = await resolveLocal(settings.bind);
  const plan = planned(log, {
    node: {
      name: log.state.members.get(identity.number)?.name ?? settings.name,
      signingKey: keys.signing.publicKey,
      exchangeKey: keys.exchange.publicKey,
      endpoints: await advertisedEndpoints(bind, settings.advertise),
    },
    keep: namesIn(flags.keep),
    lastIndex: log.lastIndex,
    lastChain: log.chain,
    at: systemClock.wallNow(),
  });
  const report = reportOf(log, plan, survivor);
  if (recoveryKey === undefined || flags.yes !== true) return report;
  const aside = carryOut(folder.logFolder, { log, plan, recoveryKey, node: keys.signing, term: survivor.term });
  return { ...report, done: true, ...(aside === undefined ? {} : { aside }) };
}

/** What the disk of the node that is left tells; nothing of it is changed. */
async function openSurvivor(settings: NodeSettings): Promise<{
  readonly folder: NodeFolder;
  readonly identity: Identity;
  readonly keys: NodeKeys;
  readonly log: SurveyedLog;
  readonly committed: LogIndex;
  /** The highest that it ever heard of. */
  readonly term: Term;
  readonly damage: string | undefined;
}> {
  const folder = new NodeFolder(settings.data);
  const memory = await folder.peekMemory(
    'use that version, or move the file away to recover without what this node heard of epochs and control nodes',
  );
  const identity = await identityIn(folder, memory);
  if (identity === undefined || !keepsLog(identity)) {
    const sentence = `${settings.name} is no control node and keeps no event log; recover on one that does.`;
    throw new HivemindError('refused', sentence);
  }
  const stored = peekLog(localFileSystem, folder.logFolder);
  const log = surveyLog(identity.genesis, stored);
  const missed = missedRecovery(identity, log);
  if (memory !== undefined) heed(log.state, memory.digest.charter);
  checkBelongs(identity, log);
  const remembered = memory?.commitIndex ?? 0;
  const committed = Math.min(Math.max(remembered, stored.snapshot?.index ?? 0), log.lastIndex);
  const term = Math.max(stored.hardState.term, log.lastTerm);
  const damage = stored.damage ?? missed ?? shortage(remembered, log.lastIndex);
  return { folder, identity, keys: await folder.keys(), log, committed, term, damage };
}

/** Says so when this disk was set back: it once had more. */
function shortage(remembered: LogIndex, lastIndex: LogIndex): string | undefined {
  if (remembered <= lastIndex) return undefined;
  return `This log has lost entries: ${remembered} were committed here, and it ends at ${lastIndex}.`;
}

interface Heard {
  readonly digest: { readonly charter: HeardCharter };
}

/**
 * What a log lacks that is from before a recovery which kept this node: it follows that one as soon as it runs, and
 * goes on with what it has only where that one is lost as well.
 *
 * @throws HivemindError `refused` when it was given up, or may have been
 */
export function missedRecovery(
  { genesis, number, memory }: Pick<Identity, 'genesis' | 'number'> & { readonly memory: Heard | undefined },
  { state }: Pick<SurveyedLog, 'state'>,
): string | undefined {
  if (memory === undefined) return undefined;
  const directory = new Directory(genesis, memory.digest.charter);
  const { lastRecovery } = directory.charter;
  if (lastRecovery === undefined || lastRecovery.amendment <= state.charter.length) return undefined;
  const by = directory.givenUpBy(number);
  if (by !== undefined) throw givenUp(by);
  const { node, at } = lastRecovery;
  const since = `the recovery on ${node.name} at ${wallText(at)}`;
  if (directory.knowsSurvivors) return `This log lacks all that was decided since ${since}.`;
  const sentence = `This node has heard of ${since}, and not yet whether that kept it; start it, and it is told.`;
  throw new HivemindError('refused', sentence);
}

/** Neither by its log nor by what it heard since is it out. */
function checkBelongs({ number }: Identity, { state }: SurveyedLog): void {
  if (state.members.has(number)) return;
  const sentence = 'By what it knows itself this node is no member any more; recover on another control node.';
  throw new HivemindError('refused', sentence);
}

/** @throws HivemindError with the reason why it cannot be */
export function planned({ state }: SurveyedLog, wish: RecoveryWish): RecoveryPlan {
  const plan = planRecovery(state, wish);
  if ('code' in plan) throw new HivemindError(plan.code, plan.sentence);
  return plan;
}

/** The point of no return; gives where the files of the old log are kept. */
export function carryOut(
  logFolder: string,
  parts: {
    readonly log: SurveyedLog;
    readonly plan: RecoveryPlan;
    readonly recoveryKey: SigningKey;
    readonly node: SigningKey;
    readonly term: Term;
  },
): string | undefined {
  const { log, plan, recoveryKey, node, term } = parts;
  const isDone = recover(log.state, plan, signRecovery(plan.statement, recoveryKey, node));
  assert(isDone, 'a recovery that was planned for a state fits it');
  const snapshot = recoveredLog(log.state, term);
  return replaceLog(localFileSystem, logFolder, { hardState: { term: snapshot.term, votedFor: 0 }, snapshot });
}

/** A dry run does without the key. */
export async function readRecoveryKey(
  { recoveryKey: path, yes }: Pick<RecoverFlags, 'recoveryKey' | 'yes'>,
  genesis: Genesis,
): Promise<SigningKey | undefined> {
  if (path === undefined && yes !== true) return undefined;
  if (path === undefined) {
    const sentence = 'Name the file with the recovery key that `hivemind init` wrote with --recovery-key.';
    throw new HivemindError('usage', sentence);
  }
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new HivemindError('key-invalid', `The recovery key ${path} cannot be read; check --recovery-key.`, cause);
  });
  return parseRecoveryKey(text, genesis);
}

function namesIn(text = ''): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '');
}
