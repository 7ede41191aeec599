/** A client of hivemind's event log: it asks an agent at its socket, as applications do. */
import { AgentClient } from '../../agent-client.ts';
import { type CommitClient, valueBytes, type Writer } from './writer.ts';

/** What the bench says of it beside its figures. */
export const hivemindClientName = "the CLI's client of the agent's socket";

/** @param door the path of an agent's socket */
export async function openHivemindWriter(door: string): Promise<Writer> {
  const agent = await AgentClient.open({ socket: door });
  return { client: () => new NoteClient(agent), close: () => agent.close() };
}

/** Writes notes in a session of its own, so that none is taken twice. */
class NoteClient implements CommitClient {
  private readonly agent: AgentClient;
  private readonly text = 'x'.repeat(valueBytes);
  private session: string | undefined;
  private sequence = 0;

  constructor(agent: AgentClient) {
    this.agent = agent;
  }

  async commit(): Promise<void> {
    this.session ??= (await this.agent.ask({ kind: 'open-session' })).session;
    this.sequence++;
    await this.agent.ask({ kind: 'note', text: this.text, session: this.session, sequence: this.sequence });
  }
}
