/** The event log for programs on this machine: read it, follow it, export it, add notes to it. */
import { utf8 } from '../bytes.ts';
import { sessionIdBytes } from '../control/client-sessions.ts';
import { noteBytesMax } from '../control/command.ts';
import { HivemindError, toHivemindError } from '../error.ts';
import type { LogIndex } from '../identity.ts';
import type { Clock } from '../seam/clock.ts';
import type { Random } from '../seam/random.ts';
import { type LogPage, logPageEntriesMax } from '../wire/peer-message.ts';
import { describeEntry } from './describe.ts';
import type { LocalDecided, LocalLog, LocalLogExport, LocalRequest, LocalSession } from './local-api.ts';
import { type LocalSessionId, localSessionText, parseLocalSession } from './local-session.ts';
import { LogNews } from './log-news.ts';
import type { Node } from './node.ts';

type Of<K extends LocalRequest['kind']> = Extract<LocalRequest, { readonly kind: K }>;

export interface LogDeskParts {
  readonly node: Node;
  readonly clock: Clock;
  readonly random: Random;
}

export class LogDesk {
  private readonly parts: LogDeskParts;
  private readonly node: Node;

  constructor(parts: LogDeskParts) {
    this.parts = parts;
    this.node = parts.node;
  }

  /** Committed entries for people. */
  async read({ from, most, consistent = false }: Omit<Of<'log'>, 'kind'>): Promise<LocalLog> {
    const index = consistent ? await this.node.readIndex() : 0;
    const { entries, commitIndex, first } = await this.logPage(from, most, index);
    const described = entries.map((entry) => describeEntry(this.node.member, entry));
    return { entries: described, commitIndex, first, ...(consistent ? { consistent, index } : {}) };
  }

  /** The same entries as bytes. */
  async export(from: LogIndex, most: number): Promise<LocalLogExport> {
    return { genesis: this.node.member.directory.genesisBytes, ...(await this.logPage(from, most)) };
  }

  private async logPage(from: LogIndex, most: number, atLeast: LogIndex = 0): Promise<LogPage> {
    const wish = { from, most: Math.min(most, logPageEntriesMax), atLeast };
    return await this.node.ask<LogPage>((asked, then, at) => asked.reads.log(wish, then, at));
  }

  /**
   * Gives the pages of the log from `from` on, and new entries as they come, until `signal` aborts. On a control node
   * each entry is given once it is applied; others ask a control node in turn.
   *
   * @throws HivemindError `busy` when `give` does not keep up and says so
   */
  async follow(from: LogIndex, give: (page: LocalLog) => boolean, signal: AbortSignal): Promise<void> {
    const news = new LogNews(this.node, this.parts.clock, signal);
    try {
      for (let next = Math.max(1, from); !signal.aborted; ) {
        news.expect();
        const page = await this.pageIfReachable(next);
        const reached = page?.entries.at(-1)?.index ?? next - 1;
        if (page !== undefined && page.entries.length > 0 && !give(page)) throw tooSlow(next);
        next = reached + 1;
        if (page === undefined || page.entries.length === 0 || next > page.commitIndex) await news.come();
      }
    } finally {
      news.end();
    }
  }

  /** While the pane is out of reach nothing new is decided for this node: it waits. */
  private async pageIfReachable(from: LogIndex): Promise<LocalLog | undefined> {
    try {
      return await this.read({ from, most: logPageEntriesMax });
    } catch (thrown) {
      if (toHivemindError(thrown).code === 'no-quorum') return undefined;
      throw thrown;
    }
  }

  // — notes —

  /** @throws HivemindError for want of a quorum */
  async openSession(): Promise<LocalSession> {
    return { session: localSessionText(await this.newSession()) };
  }

  /** Of an index as old as the last keep-alive a session could seem to be a forgotten one, where many are opened. */
  private async newSession(): Promise<LocalSessionId> {
    const { pane } = this.node.member;
    const since = pane === undefined ? await this.node.readIndex() : pane.state.appliedIndex;
    return { session: this.parts.random.bytes(sessionIdBytes), since };
  }

  /** @throws HivemindError `usage`, `session-expired`, `busy`, or for want of a quorum */
  async note({ text, session, sequence }: Of<'note'>): Promise<LocalDecided> {
    const bytes = utf8(text);
    if (bytes.length > noteBytesMax) {
      const sentence = `The note takes ${bytes.length} bytes, an entry carries ${noteBytesMax}; note a name for it.`;
      throw new HivemindError('usage', sentence);
    }
    const of = session === '' ? await this.newSession() : parseLocalSession(session);
    const turn = session === '' ? 1 : sequence;
    const ask = { kind: 'note', text: bytes, session: of.session, since: of.since, sequence: turn } as const;
    const decide = (): Promise<LogIndex> => this.node.ask<LogIndex>((member, then, at) => member.ask(ask, then, at));
    try {
      return { index: await decide() };
    } catch (thrown) {
      // This node lost the lead before it was decided, or while; as the same turn it may be asked for again.
      const { code } = toHivemindError(thrown);
      if (code === 'not-leader') return { index: await decide() };
      if (code !== 'unknown-outcome') throw thrown;
      // A refusal of the second time, for want of a quorum say, is none of the first.
      return { index: await decide().catch(() => Promise.reject(thrown)) };
    }
  }
}

function tooSlow(next: LogIndex): HivemindError {
  return new HivemindError('busy', `The log grows faster than it is read here; follow it again from entry ${next}.`);
}
