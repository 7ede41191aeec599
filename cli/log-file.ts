/** `hivemind log export` and `log verify`: the event log as a file, and what it proves on another machine. */
import { link, open, rm } from 'node:fs/promises';
import { toHex } from '../src/bytes.ts';
import { decodeGenesis } from '../src/certificate/genesis.ts';
import { HivemindError } from '../src/error.ts';
import { type AuditReport, LogAudit } from '../src/member/pane/log-audit.ts';
import type { LocalLogExport } from '../src/node/local-api.ts';
import { chainHash } from '../src/seam/log-store.ts';
import { ExportSplitter, encodeExportRecord, exportPreface } from '../src/wire/exported-log.ts';
import { type AgentClient, withAgent } from './agent-client.ts';
import type { AgentOptions } from './agent-command.ts';
import { plural } from './count.ts';
import { printAnswer } from './output.ts';

const entriesPerAnswerMax = 1_000;
const pieceBytes = 262_144;

interface Exported {
  readonly file: string;
  readonly first: number;
  readonly last: number;
  readonly chain: string;
}

export async function onLogExport(file: string, options: AgentOptions): Promise<void> {
  const exported = await withAgent(options, (agent) => exportTo(file, agent));
  printAnswer(exported, options.json === true, exportedSentence);
}

export async function onLogVerify(file: string, options: Pick<AgentOptions, 'json'>): Promise<void> {
  printAnswer(await verifyFile(file), options.json === true, (report) => verifiedText(file, report));
}

function exportedSentence({ file, first, last, chain }: Exported): string {
  return `${file} holds entries ${first} to ${last}, up to hash ${chain}.`;
}

export function verifiedText(file: string, report: AuditReport): string {
  const { first, last, chain, signed, unverifiable, cluster, genesisHash } = report;
  const signatures =
    unverifiable === 0
      ? `a majority of control nodes signed ${plural(signed, 'decision')}`
      : `the signatures of ${plural(unverifiable, 'decision')} cannot be verified: its beginning is missing`;
  return [
    `${file} is right: entries ${first} to ${last} are one chain, and ${signatures}.`,
    `It ends at hash ${chain}.`,
    `It is of cluster ${cluster} with genesis ${genesisHash}; compare these with what you trust.`,
  ].join('\n');
}

// — export —

/** The file is whole or not there: an entry may be lost to nobody who believes to have it. */
async function exportTo(path: string, agent: AgentClient): Promise<Exported> {
  const unfinished = `${path}.unfinished`;
  try {
    const exported = await writeExport(unfinished, agent);
    await link(unfinished, path);
    return { file: path, ...exported };
  } catch (thrown) {
    throw fileFailure(path, thrown);
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function writeExport(path: string, agent: AgentClient): Promise<Omit<Exported, 'file'>> {
  const file = await open(path, 'w', 0o600);
  try {
    let page = await askPage(agent, 1);
    const genesis = decodeGenesis(page.genesis);
    if (genesis === undefined) throw unreadable();
    const { first, commitIndex: last } = page;
    let chain = page.chain;
    await file.write(exportPreface());
    await file.write(encodeExportRecord({ kind: 'head', genesis, first, chain }));
    for (let next = first; ; page = await askPage(agent, next)) {
      for (const entry of page.entries.slice(0, last - next + 1)) {
        if (entry.index !== next) throw forgotten(next);
        chain = chainHash(chain, entry);
        await file.write(encodeExportRecord({ kind: 'entry', entry }));
        next++;
      }
      if (next > last) break;
      if (page.entries.length === 0) throw forgotten(next);
    }
    await file.write(encodeExportRecord({ kind: 'end', chain }));
    await file.sync();
    return { first, last, chain: toHex(chain) };
  } finally {
    await file.close();
  }
}

function askPage(agent: AgentClient, from: number): Promise<LocalLogExport> {
  return agent.ask({ kind: 'export-log', from, most: entriesPerAnswerMax });
}

function unreadable(): HivemindError {
  return new HivemindError('frame-invalid', "The agent's genesis cannot be read; use the agent's own release.");
}

function forgotten(index: number): HivemindError {
  return new HivemindError('not-found', `Entry ${index} was forgotten while the log was exported; export it again.`);
}

// — verify —

/** @throws HivemindError `data-corrupt` with the first thing that is wrong */
async function verifyFile(path: string): Promise<AuditReport> {
  const [audit, splitter] = [new LogAudit(), new ExportSplitter()];
  await feed(path, splitter, audit);
  const report = audit.finish();
  if (typeof report === 'string' || !splitter.isBetweenRecords) {
    throw wrong(typeof report === 'string' ? report : 'The file goes on behind its end; export the log again.');
  }
  return report;
}

async function feed(path: string, splitter: ExportSplitter, audit: LogAudit): Promise<void> {
  const file = await open(path, 'r').catch((thrown: unknown) => {
    throw fileFailure(path, thrown);
  });
  try {
    const piece = Buffer.alloc(pieceBytes);
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, pieceBytes);
      if (bytesRead === 0) return;
      for (const record of splitter.take(piece.subarray(0, bytesRead))) {
        if (record === undefined) throw wrong('The file is no exported log, or is damaged; export the log again.');
        const sentence = audit.take(record);
        if (sentence !== undefined) throw wrong(sentence);
      }
    }
  } finally {
    await file.close();
  }
}

function wrong(sentence: string): HivemindError {
  return new HivemindError('data-corrupt', sentence);
}

function fileFailure(path: string, thrown: unknown): unknown {
  if (thrown instanceof HivemindError) return thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === 'EEXIST') {
    return new HivemindError('already-initialised', `${path} exists already; name another file, or move it away.`);
  }
  return new HivemindError('disk-failed', `${path} cannot be used (${code}); name a file that can.`, thrown);
}
