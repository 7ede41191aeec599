import { type Command, Option } from 'commander';
import { toBase64Url } from '../src/bytes.ts';
import { parseToken, tokenPrefix } from '../src/certificate/token.ts';
import type { LocalToken } from '../src/node/local-api.ts';
import { withAgent } from './agent-client.ts';
import { type AgentOptions, agentCommand, parseCount, parseLabel } from './agent-command.ts';
import { plural } from './count.ts';
import { parseDuration } from './duration.ts';
import { printAnswer, printNote } from './output.ts';

interface TokenOptions extends AgentOptions {
  readonly role: readonly string[];
  readonly ttl: number;
  readonly uses: number;
}

/** Nodes that a token admits unless told otherwise. */
const usesDefault = 1;
const ttlDefault = '24h';

export function registerToken(program: Command): void {
  const token = program.command('token').description('make tokens with which nodes join, and end them');
  agentCommand(token, 'create', 'make a token: it alone goes to stdout, the rest to stderr')
    .requiredOption('--role <roles>', 'roles that it admits, separated by commas', parseRoles)
    .addOption(
      new Option('--ttl <duration>', 'how long it is good, like 30m, 24h or 7d')
        .argParser(parseDuration)
        .default(parseDuration(ttlDefault), ttlDefault),
    )
    .option('--uses <count>', 'how many nodes it admits; 0 for any number', parseCount(0), usesDefault)
    .action(onCreate);
  agentCommand(token, 'revoke', 'end a token: it admits nobody from then on')
    .argument('<token>', 'the token, or its key as `hivemind log --json` shows it')
    .action(onRevoke);
}

/** The token itself stays here: the pane knows its public key alone. */
async function onRevoke(text: string, options: AgentOptions): Promise<void> {
  const key = text.startsWith(tokenPrefix) ? toBase64Url(parseToken(text).key.publicKey) : text;
  const revoked = await withAgent(options, (agent) => agent.ask({ kind: 'revoke-token', key }));
  printAnswer(revoked, options.json === true, ({ index }) => `The token is void as of log entry ${index}.`);
}

async function onCreate(options: TokenOptions): Promise<void> {
  const { role: roles, ttl: ttlMs, uses: usesMax } = options;
  const made = await withAgent(options, (agent) => agent.ask({ kind: 'create-token', roles, ttlMs, usesMax }));
  printAnswer(made, options.json === true, ({ token }) => token);
  if (!options.json) printNote(tokenNote(made, roles, usesMax));
}

function tokenNote(made: LocalToken, roles: readonly string[], usesMax: number): string {
  const whom = usesMax === 0 ? 'any number of nodes' : plural(usesMax, 'node');
  const terms = `It admits ${whom} with the roles ${roles.join(', ')} until ${made.expiresAt}`;
  return `${terms} (log entry ${made.index}); keep it secret, for whoever has it may join.`;
}

function parseRoles(text: string): readonly string[] {
  return text.split(',').map(parseLabel);
}
