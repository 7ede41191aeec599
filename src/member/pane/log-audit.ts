/**
 * Verifies an exported event log: that it is one unbroken chain, and that a majority of control nodes signed what
 * must be signed. It needs no cluster: from the genesis on it applies each entry, as every control node does. Of a log
 * whose beginning is no longer kept the chain is verified, and the joiners' own signatures.
 */
import { equalBytes, toHex } from '../../bytes.ts';
import { genesisHash } from '../../certificate/genesis.ts';
import { verifyJoinRequest } from '../../certificate/join-request.ts';
import { applyCommand, applyNothing } from '../../control/apply.ts';
import type { Command } from '../../control/command.ts';
import { ControlState } from '../../control/control-state.ts';
import type { LogIndex, Term } from '../../identity.ts';
import { chainHash, chainStart, type LogEntry } from '../../seam/log-store.ts';
import { decodeCommand } from '../../wire/command.ts';
import type { ExportRecord } from '../../wire/exported-log.ts';

export interface AuditReport {
  /**
   * In hexadecimal. Everything else is worth as much as these are the right ones: `hivemind snapshot inspect` shows
   * both of a snapshot that one saved oneself, and each join token holds them.
   */
  readonly cluster: string;
  readonly genesisHash: string;
  readonly first: LogIndex;
  readonly last: LogIndex;
  /** The hash of the last entry, in hexadecimal: it stands for all entries before it. */
  readonly chain: string;
  /** Certificates that a majority of control nodes signed. */
  readonly signed: number;
  /** Entries whose signatures cannot be verified, because what they sign stands in entries that are not kept. */
  readonly unverifiable: number;
}

export class LogAudit {
  private state: ControlState | undefined;
  private first: LogIndex = 0;
  private next: LogIndex = 0;
  private term: Term = 0;
  private chain: Uint8Array = chainStart;
  private signed = 0;
  private unverifiable = 0;
  private isOver = false;

  /** The first thing that is wrong, as a sentence; nothing as long as all is right. Nothing counts after it. */
  take(record: ExportRecord): string | undefined {
    if (this.isOver) return 'The file goes on behind its end; export the log again.';
    if (record.kind === 'head') return this.onHead(record);
    if (this.state === undefined) return 'The file does not begin with a genesis; export the log again.';
    if (record.kind === 'entry') return this.onEntry(record.entry, this.state);
    this.isOver = true;
    if (equalBytes(record.chain, this.chain)) return undefined;
    return `The hash at the end is not that of entry ${this.next - 1}; something was changed or left out.`;
  }

  /** What was verified, or why it does not count. */
  finish(): AuditReport | string {
    const { state, first, next, signed, unverifiable } = this;
    if (state === undefined || !this.isOver) return 'The file is cut short; export the log again.';
    return {
      cluster: toHex(state.genesis.cluster),
      genesisHash: toHex(state.genesisHash),
      first,
      last: next - 1,
      chain: toHex(this.chain),
      signed,
      unverifiable,
    };
  }

  private onHead({ genesis, first, chain }: Extract<ExportRecord, { kind: 'head' }>): string | undefined {
    if (this.state !== undefined) return 'The file has a second beginning; export the log again.';
    this.state = new ControlState(genesis, genesisHash(genesis));
    this.first = first;
    this.next = first;
    this.chain = chain;
    const isBeginning = first === 1;
    if (first < 1 || (isBeginning && !equalBytes(chain, chainStart))) {
      return 'The hash before entry 1 is not that of an empty log; the file was changed.';
    }
    return undefined;
  }

  private onEntry(entry: LogEntry, state: ControlState): string | undefined {
    const { index, term } = entry;
    if (index !== this.next) return `Entry ${this.next} is missing: entry ${index} stands in its place.`;
    if (term < this.term) return `Entry ${index} is of term ${term}, behind one of term ${this.term}; it was changed.`;
    this.next++;
    this.term = term;
    this.chain = chainHash(this.chain, entry);
    if (entry.kind === 'command') return this.onCommand(entry, state);
    applyNothing(state, index);
    return undefined;
  }

  private onCommand({ index, payload }: LogEntry, state: ControlState): string | undefined {
    const command = decodeCommand(payload);
    if (command === undefined) {
      return `Entry ${index} is of a kind that this version does not know; verify with the cluster's own release.`;
    }
    if (command.kind === 'begin-admission') {
      const request = verifyJoinRequest(command.request, state.genesis.cluster, state.genesisHash);
      if (request === undefined) return `The join request of entry ${index} is not signed by its node and its token.`;
    }
    return this.first === 1 ? this.apply(index, command, state) : this.passOver(command);
  }

  private apply(index: LogIndex, command: Command, state: ControlState): string | undefined {
    const applied = applyCommand(state, index, command);
    if (!('shares' in command)) return undefined;
    if (applied.kind === 'changed') this.signed++;
    // What was signed already, or given up, is completed for nothing; wrong signatures are another thing.
    if (applied.kind !== 'ignored' || applied.refusal.code === 'not-found') return undefined;
    return `What entry ${index} completes (${command.kind}) is not signed by a majority of the control nodes.`;
  }

  private passOver(command: Command): undefined {
    if ('shares' in command) this.unverifiable++;
  }
}
