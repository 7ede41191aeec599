/**
 * Sessions: each command of a client of the log is applied exactly once, however often it is sent.
 *
 * A client that lost an answer sends the same turn of its session again, through any node. Whoever applied that turn
 * answers with its entry and changes nothing. Sessions are part of the replicated state and end by the log alone:
 * when more than `sessionsMax` are kept, the one whose newest entry is the oldest is forgotten.
 *
 * What was forgotten must not be applied anew. A session bears the log index that its client knew when it drew the
 * id; all its entries lie behind that. So a session that is not known here and says that it began before the newest
 * entry of any forgotten one may be a forgotten one, and is refused; any other is new.
 */
import { toHex } from '../bytes.ts';
import type { LogIndex } from '../identity.ts';
import type { Refusal } from './refusal.ts';

/** Sessions that are remembered; each takes some 100 bytes of a snapshot, up to 800 when its client sends ahead. */
export const sessionsMax = 4_096;
/** The newest turns of a session, whose entries are remembered: so many may be under way together, in any order. */
export const turnsKept = 64;
export const sessionIdBytes = 8;

/** One command of a session. */
export interface Turn {
  /** Drawn at random by the client. */
  readonly session: Uint8Array;
  /** The index of a committed entry that the client knew of when it drew the session's id; 0 when of none. */
  readonly since: LogIndex;
  /** Counts the commands of the session, from 1; one that was given up may be left out. */
  readonly sequence: number;
}

interface AppliedTurn {
  readonly sequence: number;
  readonly index: LogIndex;
}

export interface SessionRecord {
  readonly session: Uint8Array;
  /** By ascending sequence, 1 … `turnsKept`. */
  readonly turns: readonly AppliedTurn[];
  /** Its newest entry. */
  readonly usedAt: LogIndex;
}

/** The sessions that are remembered, by ascending `usedAt`. */
export interface SessionsKept {
  /** The newest entry of those that are forgotten. */
  readonly forgottenTo: LogIndex;
  readonly records: readonly SessionRecord[];
}

export const noSessions: SessionsKept = { forgottenTo: 0, records: [] };

export type TurnStanding =
  | { readonly kind: 'new' }
  | { readonly kind: 'repeated'; readonly index: LogIndex }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export class ClientSessions {
  /** By the id in hexadecimal; the one used last is the last. */
  private readonly records = new Map<string, SessionRecord>();
  private forgottenTo: LogIndex;

  constructor({ forgottenTo, records }: SessionsKept = noSessions) {
    this.forgottenTo = forgottenTo;
    for (const record of records) this.records.set(toHex(record.session), record);
  }

  get kept(): SessionsKept {
    return { forgottenTo: this.forgottenTo, records: [...this.records.values()] };
  }

  /** Whether `turn` may be applied by the entry `index`, or was applied already. */
  judge({ session, since, sequence }: Turn, index: LogIndex): TurnStanding {
    const record = this.records.get(toHex(session));
    if (record === undefined) {
      if (since >= index) return ahead();
      return since < this.forgottenTo ? expired() : { kind: 'new' };
    }
    if (sequence > newestOf(record)) return { kind: 'new' };
    const applied = record.turns.find((turn) => turn.sequence === sequence);
    if (applied !== undefined) return { kind: 'repeated', index: applied.index };
    return sequence > newestOf(record) - turnsKept ? { kind: 'new' } : expired();
  }

  /** The entry `index` applied `turn`, which was judged to be new. */
  settle({ session, sequence }: Turn, index: LogIndex): void {
    const id = toHex(session);
    const record = this.records.get(id) ?? { session: Uint8Array.from(session), turns: [] };
    const turns = [...record.turns, { sequence, index }];
    // As a rule it is the newest, and there is nothing to sort.
    if (sequence < newestOf(record)) turns.sort((a, b) => a.sequence - b.sequence);
    const newest = newestOf({ turns });
    while ((turns[0]?.sequence ?? newest) <= newest - turnsKept) turns.shift();
    this.records.delete(id);
    this.records.set(id, { session: record.session, turns, usedAt: index });
    if (this.records.size > sessionsMax) this.forgetOldest();
  }

  private forgetOldest(): void {
    for (const [id, { usedAt }] of this.records) {
      this.records.delete(id);
      this.forgottenTo = usedAt;
      return;
    }
  }
}

function newestOf({ turns }: Pick<SessionRecord, 'turns'>): number {
  return turns.at(-1)?.sequence ?? 0;
}

function expired(): TurnStanding {
  const sentence =
    'The session is too old for the control pane to know whether this was decided; look into `hivemind log`, and ' +
    'open a new session.';
  return { kind: 'refused', refusal: { code: 'session-expired', sentence } };
}

function ahead(): TurnStanding {
  const sentence = 'The session names an entry that the event log does not have; open a new session.';
  return { kind: 'refused', refusal: { code: 'session-expired', sentence } };
}
