/** Words that a node hangs on itself, like its rack: every member can read them. */
import type { Command } from 'commander';
import { HivemindError } from '../src/error.ts';
import { isLabel } from '../src/identity.ts';
import { type AgentOptions, agentCommand, parseLabel, showAnswer } from './agent-command.ts';
import { onlyAgent } from './agent-socket.ts';
import { renderTags } from './render-tags.ts';

type Tags = Readonly<Record<string, string>>;

interface SetOptions extends AgentOptions {
  readonly drop?: readonly string[];
}

export function registerTags(program: Command): void {
  const tags = agentCommand(program, 'tags', 'show the tags of a member, or change those of this node')
    .argument('[node]', 'the name of the member; this node by default', parseLabel, '')
    .action((name: string, options: AgentOptions) => showAnswer(options, { kind: 'tags', name }, renderTags));
  agentCommand(tags, 'set', 'set or drop tags of this node, 8192 bytes of them together')
    .argument('[tags...]', 'like rack=b2; a tag that exists is replaced', collectTag, {})
    .option(
      '--drop <tags...>',
      'tags to take away',
      (text, others: readonly string[]) => [...others, parseLabel(text)],
      [],
    )
    // The parent takes the options that both have, so they are read from there, too.
    .action((set: Tags, _own: SetOptions, command: Command) => onSet(set, command.optsWithGlobals()));
}

async function onSet(set: Tags, options: SetOptions): Promise<void> {
  const { drop = [] } = options;
  if (Object.keys(set).length + drop.length === 0) {
    throw new HivemindError('usage', 'Name a tag to set, like rack=b2, or one to take away with --drop.');
  }
  const both = drop.find((key) => Object.hasOwn(set, key));
  if (both !== undefined) throw new HivemindError('usage', `${both} is to be set and dropped at once; leave out one.`);
  await checkSize(set);
  await showAnswer(await onlyAgent(options), { kind: 'set-tags', set, drop }, renderTags);
}

/** The agent has the last word: it knows the tags that stay. @throws HivemindError `config-too-large` */
async function checkSize(set: Tags): Promise<void> {
  const { tagsBytesMax } = await import('../src/member/config-exchange.ts');
  const bytes = Buffer.byteLength(Object.entries(set).flat().join(''));
  if (bytes <= tagsBytesMax) return;
  throw new HivemindError('config-too-large', `These tags take ${bytes} bytes; ${tagsBytesMax} is the most of a node.`);
}

/** @throws HivemindError `usage` */
function collectTag(text: string, others: Tags): Tags {
  const at = text.indexOf('=');
  const key = text.slice(0, Math.max(0, at));
  if (!isLabel(key)) {
    throw new HivemindError('usage', `"${text}" is not a tag; write KEY=VALUE, like rack=b2, the key as a name.`);
  }
  return { ...others, [key]: text.slice(at + 1) };
}
