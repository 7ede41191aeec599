/** Finds the agent on this machine that a command is meant for. */
import { readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { HivemindError } from '../src/error.ts';
import { connectLocal, type LocalConnection } from '../src/net/local-socket.ts';
import { runtimeFolder, socketPath } from '../src/system/runtime-folder.ts';

export interface AgentChoice {
  /** The path of its socket; default: the environment variable `HIVEMIND_SOCKET`, unless a node is named. */
  readonly socket?: string;
  /** The name of its node; default: whichever agent answers first, by name. */
  readonly node?: string;
}

/** Where the agents of a dev cluster have their sockets, below the current folder. */
export const devSocketFolder: string = join('.hivemind', 'dev', 'run');

const socketSuffix = '.sock';
/** What `socketPath` calls a socket whose own path would be too long. */
const hashedName = /^[0-9a-f]{24}$/;

/**
 * Connects to the agent: the one chosen, else one of a dev cluster below the current folder, else one of this user.
 *
 * @throws HivemindError `agent-unreachable`, `address-invalid`, or `refused` for an unusable runtime folder
 */
export async function connectAgent(choice: AgentChoice): Promise<LocalConnection> {
  const { node } = choice;
  const chosen = chosenSocket(choice);
  if (chosen) return connectLocal(chosen);
  // The folder of this user is looked at last, since looking makes it.
  const candidates = node === undefined ? anyOf : (folder: string) => [socketPath(folder, `${node}${socketSuffix}`)];
  const found =
    (await firstAnswering(candidates(resolve(devSocketFolder)))) ?? (await firstAnswering(candidates(runtimeFolder())));
  if (found !== undefined) return found;
  if (node !== undefined) return connectLocal(socketPath(runtimeFolder(), `${node}${socketSuffix}`));
  throw new HivemindError(
    'agent-unreachable',
    `No agent answers in ${runtimeFolder()}; start one with \`hivemind agent -c hivemind.yaml\` or name its socket ` +
      'with --socket.',
  );
}

/**
 * For commands that do something to the agent's own node: nobody is to lose a node because it comes first by name.
 *
 * @throws HivemindError `usage` with the names of all that answer, when there are several and none is chosen
 */
export async function onlyAgent<Choice extends AgentChoice>(choice: Choice): Promise<Choice> {
  if (choice.node !== undefined || chosenSocket(choice)) return choice;
  const paths = [...anyOf(resolve(devSocketFolder)), ...anyOf(runtimeFolder())];
  const areAlive = await Promise.all(paths.map(isAnswering));
  const [only, ...others] = paths.filter((_path, at) => areAlive[at]);
  // Of none that answers the command itself says so.
  if (only === undefined) return choice;
  if (others.length === 0) return { ...choice, socket: only };
  const names = [only, ...others].map((path) => (path.endsWith(socketSuffix) ? basename(path, socketSuffix) : path));
  throw new HivemindError(
    'usage',
    `Several agents run on this machine: ${names.join(', ')}; say which with --node, or its socket with --socket.`,
  );
}

function chosenSocket({ socket, node }: AgentChoice): string | undefined {
  return socket ?? (node === undefined ? process.env.HIVEMIND_SOCKET : undefined);
}

async function firstAnswering(paths: readonly string[]): Promise<LocalConnection | undefined> {
  for (const path of paths) {
    const connection = await connectIfAlive(path);
    if (connection !== undefined) return connection;
  }
  return undefined;
}

async function isAnswering(path: string): Promise<boolean> {
  const connection = await connectIfAlive(path);
  connection?.close();
  return connection !== undefined;
}

/** A process that was killed leaves its socket behind: nothing for that. */
async function connectIfAlive(path: string): Promise<LocalConnection | undefined> {
  try {
    return await connectLocal(path);
  } catch (thrown) {
    if (!(thrown instanceof HivemindError) || thrown.code !== 'agent-unreachable') throw thrown;
    return undefined;
  }
}

/** All sockets in a folder by name; those that were given a hashed name come last. */
function anyOf(folder: string): readonly string[] {
  const names = namesIn(folder).sort();
  const plain = names.filter((name) => name.endsWith(socketSuffix));
  return [...plain, ...names.filter((name) => hashedName.test(name))].map((name) => join(folder, name));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
