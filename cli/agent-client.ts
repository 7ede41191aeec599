/** The CLI's end of the agent's unix socket: requests and answers as objects. */
import { HivemindError } from '../src/error.ts';
import type { LocalConnection } from '../src/net/local-socket.ts';
import type { LocalAnswers, LocalRequest } from '../src/node/local-api.ts';
import { pack, unpack } from '../src/packed.ts';
import { type AgentChoice, connectAgent } from './agent-socket.ts';

/** Long enough for an agent that has to ask other nodes first, or to wait for the election of a leader. */
const answerTimeoutMs = 15_000;

export class AgentClient {
  private readonly connection: LocalConnection;

  private constructor(connection: LocalConnection) {
    this.connection = connection;
  }

  /** @throws HivemindError as `connectAgent` */
  static async open(choice: AgentChoice): Promise<AgentClient> {
    return new AgentClient(await connectAgent(choice));
  }

  /** @throws HivemindError `time-out`, `agent-unreachable`, or whatever the agent refused with */
  async ask<Request extends LocalRequest>(request: Request): Promise<LocalAnswers[Request['kind']]> {
    return read(await this.connection.request(pack(request), answerTimeoutMs)) as LocalAnswers[Request['kind']];
  }

  /** Calls back with each item until the agent ends it, or `signal` aborts. */
  async follow<Item>(request: LocalRequest, signal: AbortSignal, onItem: (item: Item) => void): Promise<void> {
    // What a callback throws would be lost in the socket's own.
    let onBroken: (thrown: unknown) => void = () => {};
    const broken = new Promise<never>((_resolve, reject) => {
      onBroken = reject;
    });
    const subscription = this.connection.subscribe(pack(request), (body) => {
      try {
        onItem(read(body) as Item);
      } catch (thrown) {
        onBroken(thrown);
      }
    });
    signal.addEventListener('abort', () => subscription.cancel(), { once: true });
    if (signal.aborted) subscription.cancel();
    await Promise.race([subscription.ended, broken]);
  }

  close(): void {
    this.connection.close();
  }
}

/** Opens a connection for `use` and closes it, however that ends. */
export async function withAgent<Result>(
  choice: AgentChoice,
  use: (agent: AgentClient) => Promise<Result>,
): Promise<Result> {
  const agent = await AgentClient.open(choice);
  try {
    return await use(agent);
  } finally {
    agent.close();
  }
}

function read(body: Uint8Array): unknown {
  const value = unpack(body);
  if (value !== undefined) return value;
  throw new HivemindError(
    'frame-invalid',
    "The agent's answer cannot be read; use the agent's own release of hivemind.",
  );
}
