/** Reads a saved snapshot and holds it against all that it promises, so that nothing is built on a wrong one. */
import { isAdmission } from '../../src/certificate/certificate.ts';
import { decodeGenesis, type Genesis } from '../../src/certificate/genesis.ts';
import { HivemindError } from '../../src/error.ts';
import type { WallMs } from '../../src/identity.ts';
import { type SurveyedLog, surveyLog } from '../../src/member/pane/log-recovery.ts';
import { readSavedSnapshot } from '../../src/store/saved-snapshot.ts';

export interface OpenedSnapshot {
  readonly genesis: Genesis;
  readonly savedAt: WallMs;
  readonly log: SurveyedLog;
}

/**
 * Checksums, the genesis and its hash in the state, each amendment of the charter and each certificate.
 *
 * @throws HivemindError `not-found`, `data-format`, `data-corrupt`, `disk-failed`
 */
export async function openSaved(file: string): Promise<OpenedSnapshot> {
  const saved = await readSavedSnapshot(file);
  const genesis = decodeGenesis(saved.genesis);
  if (genesis === undefined) {
    throw new HivemindError('data-format', `The genesis in ${file} is of another version of hivemind; use that one.`);
  }
  const log = surveyLog(genesis, { snapshot: saved.snapshot, entries: [] });
  const wrong = wrongIn(log);
  if (wrong !== undefined) throw new HivemindError('data-corrupt', `${file} is not right: ${wrong}; use another copy.`);
  return { genesis, savedAt: saved.savedAt, log };
}

function wrongIn({ state }: SurveyedLog): string | undefined {
  const { charter } = state;
  for (const { number, name, certificate } of state.members.values()) {
    const isFounder = charter.founders.some((founder) => founder.number === number);
    const verified = certificate === undefined ? undefined : charter.verify(certificate);
    const isRight = isAdmission(verified)
      ? verified.statement.number === number
      : certificate === undefined && isFounder;
    if (!isRight) return `no majority of control nodes signed the certificate of ${name} (#${number})`;
  }
  return undefined;
}
