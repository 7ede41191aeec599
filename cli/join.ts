/** `hivemind join`: makes this machine a member, and runs it as one. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join as joinPath } from 'node:path';
import type { Command } from 'commander';
import { HivemindError } from '../src/error.ts';
import { type Address, endpointText, isLabel, parseAddress, portDefault } from '../src/identity.ts';
import type { NodeSettings } from '../src/settings/settings.ts';
import { runAgent } from './agent/command.ts';

interface JoinFlags {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly role?: string;
  readonly name?: string;
  readonly folder?: string;
  readonly config?: string;
  readonly bind?: string;
  readonly advertise?: string;
  readonly socketFolder?: string;
  readonly patient?: boolean;
  readonly json?: boolean;
}

export function registerJoin(program: Command): void {
  program
    .command('join')
    .description('join a cluster through any of its members, and run as one until Ctrl-C')
    .argument('<address...>', 'members to ask, like 10.0.0.1:7100')
    .option('--token <token>', 'the join token; `hivemind token create` prints one')
    .option('--token-file <file>', 'a file that holds it')
    .option('--role <roles>', 'what this node does, like host or host,dns')
    .option('--name <name>', "this node's name; the machine's by default")
    .option('--folder <folder>', 'where its settings and data go; ./NAME by default')
    .option('-c, --config <file>', 'a settings file of your own, in place of --role, --name, --folder and --bind')
    .option('--bind <address>', `where it listens, 0.0.0.0:${portDefault} by default`)
    .option('--advertise <addresses>', 'where others reach it, when that differs')
    .option('--socket-folder <folder>', "where its unix socket goes, in place of this user's runtime folder")
    .option('--patient', 'go on asking while nobody answers or there is no quorum')
    .option('--json', 'print each stage as one line of JSON')
    .action(async (addresses: readonly string[], flags: JoinFlags) => {
      const members = addresses.map((text) => parseAddress(text));
      const settingsPath = flags.config ?? (await settleSettings(flags));
      const { loadSettings } = await import('./settings-file.ts');
      const settings = await loadSettings(settingsPath);
      checkSame(settings, settingsPath, flags);
      const wanted = withJoin(settings, members, flags);
      await runAgent({ ...flags, settings: wanted, settingsPath, patient: flags.patient === true });
    });
}

function withJoin(settings: NodeSettings, addresses: readonly Address[], flags: JoinFlags): NodeSettings {
  const { token, tokenFile } = flags;
  const secret = {
    ...(token === undefined ? {} : { token }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  };
  return { ...settings, join: { ...(settings.join ?? {}), addresses, ...secret } };
}

/** Writes the settings that the flags describe, so that `hivemind agent` finds them the next time. */
async function settleSettings(flags: JoinFlags): Promise<string> {
  const name = flags.name ?? hostname().split('.')[0]?.toLowerCase() ?? '';
  if (!isLabel(name)) {
    throw new HivemindError(
      'name-invalid',
      `"${name}" is not a lower-case DNS label; give a name like host-a with --name.`,
    );
  }
  const folder = flags.folder ?? name;
  const path = joinPath(folder, 'hivemind.yaml');
  if (existsSync(path)) return path;
  const roles = namesOf(flags.role);
  if (roles.length === 0) {
    throw new HivemindError('usage', 'Say what this node does with --role, like --role host or --role host,dns.');
  }
  const [{ writeSettings }, { makeFolder }, { writeFileAtomically }] = await Promise.all([
    import('../src/settings/draft.ts'),
    import('../src/store/folder.ts'),
    import('../src/store/atomic-file.ts'),
  ]);
  const { builtInRoles } = await import('./agent/role-catalog.ts');
  const unknown = roles.find((role) => !builtInRoles.includes(role));
  if (unknown !== undefined) throw unknownRole(unknown, builtInRoles);
  makeFolder(folder);
  const text = writeSettings({
    name,
    data: './data',
    bind: parseAddress(flags.bind ?? '0.0.0.0'),
    advertise: namesOf(flags.advertise).map((address) => parseAddress(address)),
    roles: Object.fromEntries(roles.map((role) => [role, null])),
  });
  await writeFileAtomically(path, Buffer.from(text), 0o644);
  return path;
}

function unknownRole(name: string, known: readonly string[]): HivemindError {
  const sentence = `There is no role ${name}; choose ${known.join(', ')}, or name your own role's file in settings `;
  return new HivemindError('role-unknown', `${sentence}and join with --config.`);
}

/** Flags beside settings that are there already must not silently lose. */
function checkSame(settings: NodeSettings, path: string, flags: JoinFlags): void {
  const { name, role, bind, advertise } = flags;
  const check = (word: string, asked: string | undefined, has: string): void => {
    if (asked === undefined || asked === has) return;
    throw new HivemindError(
      'usage',
      `${path} has ${word} ${has}, not ${asked}; change the file or leave out --${word}.`,
    );
  };
  const advertised = settings.advertise.map(endpointText).join(', ') || "the machine's own addresses";
  check('name', name, settings.name);
  check('role', role && sorted(namesOf(role)), sorted([...settings.roles.keys()]));
  check('bind', bind && placesOf(bind), endpointText(settings.bind));
  check('advertise', advertise && placesOf(advertise), advertised);
}

function sorted(names: readonly string[]): string {
  return [...names].sort().join(', ');
}

/** Addresses with their ports, as the settings file has them. */
function placesOf(text: string): string {
  return namesOf(text)
    .map((address) => endpointText(parseAddress(address)))
    .join(', ');
}

function namesOf(text: string | undefined): readonly string[] {
  return (text ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name.length > 0);
}
