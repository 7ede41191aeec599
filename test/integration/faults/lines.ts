/** One client's connections to agents: each opened when it is needed, and dropped when it failed or kept silent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentClient } from '../../../cli/agent-client.ts';
import { HivemindError } from '../../../src/error.ts';
import type { LocalAnswers, LocalRequest } from '../../../src/node/local-api.ts';

/** There was no agent to send it to: nothing can come of it. */
export class NotSent extends Error {}

export class Lines {
  private readonly socketOf: (name: string) => string;
  private readonly open = new Map<string, AgentClient>();

  constructor(socketOf: (name: string) => string) {
    this.socketOf = socketOf;
  }

  /** @throws NotSent, or HivemindError */
  async ask<Request extends LocalRequest>(
    name: string,
    request: Request,
    withinMs: number,
  ): Promise<LocalAnswers[Request['kind']]> {
    const client = await this.client(name);
    const answer = client.ask(request);
    try {
      return await within(answer, withinMs);
    } catch (thrown) {
      const isBroken = thrown instanceof HivemindError && ['time-out', 'agent-unreachable'].includes(thrown.code);
      if (isBroken) this.drop(name, client);
      throw thrown;
    }
  }

  close(): void {
    for (const [name, client] of this.open) this.drop(name, client);
  }

  private async client(name: string): Promise<AgentClient> {
    const known = this.open.get(name);
    if (known !== undefined) return known;
    try {
      const opened = await AgentClient.open({ socket: this.socketOf(name) });
      this.open.set(name, opened);
      return opened;
    } catch (thrown) {
      throw new NotSent(`${name} does not answer`, { cause: thrown });
    }
  }

  private drop(name: string, client: AgentClient): void {
    if (this.open.get(name) === client) this.open.delete(name);
    client.close();
  }
}

async function within<T>(answer: Promise<T>, withinMs: number): Promise<T> {
  const waiting = new AbortController();
  const late = sleep(withinMs, undefined, { signal: waiting.signal }).then(() => {
    throw new HivemindError('time-out', `No answer within ${withinMs} ms.`);
  });
  late.catch(() => {});
  // An answer that comes too late is nobody's.
  answer.catch(() => {});
  try {
    return await Promise.race([answer, late]);
  } finally {
    waiting.abort();
  }
}
