/** A client of hivemind's event log: it asks an agent at its socket, as applications do. */
import { AgentClient } from '../../agent-client.ts';
import type { CommitClient, Writer } from './writer.ts';

/** What the bench says of it beside its figures. */
export const hivemindClientName = "the CLI's client of the agent's socket";

/** @param door the path of an agent's socket */
export async function openHivemindWriter(door: string): Promise<Writer> {
  const agent = await AgentClient.open({ socket: door });
  return { client: () => clientOf(agent), close: () => agent.close() };
}

function clientOf(agent: AgentClient): CommitClient {
  return {
    async commit() {
      await agent.ask({ kind: 'release-brake', forMs: 1 });
    },
  };
}
