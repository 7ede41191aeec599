/** Logs as the history has them: from what nodes describe, and from the bytes that they hold. */
import { toBase64Url, toHex } from '../../../src/bytes.ts';
import { decodeGenesis, genesisHash } from '../../../src/certificate/genesis.ts';
import { applyCommand, applyNothing } from '../../../src/control/apply.ts';
import type { Command } from '../../../src/control/command.ts';
import { ControlState } from '../../../src/control/control-state.ts';
import type { LocalLogEntry, LocalLogExport } from '../../../src/node/local-api.ts';
import { chainHash, chainStart, type LogEntry } from '../../../src/seam/log-store.ts';
import { decodeCommand } from '../../../src/wire/command.ts';
import type { ChainedEntry, Entry, HeldLog } from '../../history/history.ts';

export function tokenValue(publicKey: Uint8Array): string {
  return `token ${toBase64Url(publicKey)}`;
}

export function admissionValue(number: number): string {
  return `admission ${number}`;
}

export function removalValue(number: number): string {
  return `removal ${number}`;
}

/** An entry as a node shows it. */
export function describedEntry({ index, term, kind, detail }: LocalLogEntry): Entry {
  return { index, term, kind, text: describedText(kind, detail) };
}

function describedText(kind: string, detail: LocalLogEntry['detail']): string {
  switch (kind) {
    case 'note':
      return firstWord(String(detail.text));
    case 'create-token':
      return `token ${detail.key}`;
    case 'complete-admission':
      return admissionValue(Number(detail.number));
    case 'begin-removal':
      return removalValue(Number(detail.number));
    default:
      return '';
  }
}

function textOf(command: Command): string {
  switch (command.kind) {
    case 'note':
      return firstWord(new TextDecoder().decode(command.text));
    case 'create-token':
      return tokenValue(command.publicKey);
    case 'complete-admission':
      return admissionValue(command.number);
    case 'begin-removal':
      return removalValue(command.number);
    default:
      return '';
  }
}

/** The rest of a note is padding. */
function firstWord(text: string): string {
  return text.split(' ', 1)[0] ?? '';
}

/** Copies a log page by page, from wherever its first page begins; pages may come from different nodes. */
export class LogCopy {
  private readonly node: string;
  private readonly wishes: (text: string) => boolean;
  private readonly entries: ChainedEntry[] = [];
  private readonly seen = new Set<string>();
  private first: number | undefined;
  private chainBefore: Uint8Array = chainStart;
  private chain: Uint8Array = chainStart;
  private state: ControlState | undefined;

  /** @param wishes whether a client knows that it asked for this; of notes it is always said */
  constructor(node: string, wishes: (text: string) => boolean) {
    this.node = node;
    this.wishes = wishes;
  }

  get next(): number {
    return (this.first ?? 1) + this.entries.length;
  }

  /** @throws Error when entries between are gone */
  take(page: LocalLogExport): void {
    if (this.first === undefined) this.begin(page);
    for (const entry of page.entries) {
      if (entry.index < this.next) continue;
      if (entry.index > this.next) throw new Error(`${this.node}: entries ${this.next} to ${entry.index} are gone.`);
      this.add(entry);
    }
  }

  get held(): HeldLog {
    const { node, entries, first = 1, chainBefore } = this;
    // A wish is known as such when its client was answered, which is later than its entry.
    const marked = entries.map((entry) => this.withWish(entry));
    this.seen.clear();
    return { node, first, chainBefore: toHex(chainBefore), entries: marked };
  }

  /** Whom the entries from 1 on admit and do not remove, by name. */
  get members(): readonly string[] {
    return [...(this.state?.members.values() ?? [])].map(({ name }) => name);
  }

  private begin({ genesis: bytes, first, chain }: LocalLogExport): void {
    this.first = first;
    this.chain = chain;
    this.chainBefore = chain;
    const genesis = decodeGenesis(bytes);
    if (first === 1 && genesis !== undefined) this.state = new ControlState(genesis, genesisHash(genesis));
  }

  private add(entry: LogEntry): void {
    const { index, term } = entry;
    this.chain = chainHash(this.chain, entry);
    const command = entry.kind === 'command' ? decodeCommand(entry.payload) : undefined;
    const kind = command?.kind ?? (entry.kind === 'configuration' ? 'voters' : 'leader-elected');
    const text = command === undefined ? '' : textOf(command);
    this.entries.push({ index, term, kind, text, chain: toHex(this.chain) });
    if (this.state === undefined) return;
    if (command === undefined) applyNothing(this.state, index);
    else applyCommand(this.state, index, command);
  }

  /** Other commands than notes may come again, for nothing: the first is the one that counts. */
  private withWish(entry: ChainedEntry): ChainedEntry {
    const { kind, text } = entry;
    if (kind === 'note') return { ...entry, value: text };
    if (text === '' || this.seen.has(text) || !this.wishes(text)) return entry;
    this.seen.add(text);
    return { ...entry, value: text };
  }
}
