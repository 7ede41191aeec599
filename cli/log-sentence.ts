/** What an entry of the event log decided, as a sentence. */
import type { RemovalReason } from '../src/certificate/statement.ts';
import type { Command } from '../src/control/command.ts';
import type { LocalLogEntry } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import { detailText } from './detail.ts';
import { listed, nothing, textsIn } from './table.ts';

type Detail = LocalLogEntry['detail'];

const sentences: Readonly<Record<Command['kind'], (detail: Detail) => string>> = {
  'raise-feature-level': ({ level }) => `entries up to feature level ${level} may be applied`,
  'create-token': (detail) => `${tokenOf(detail)} admits ${admittedBy(detail)} until ${detail.notAfter}`,
  'revoke-token': (detail) => `${tokenOf(detail)} is void`,
  'begin-admission': ({ name, roles }) => `${name} may join as ${namesIn(roles)} once a majority has signed`,
  'complete-admission': (detail) => `${whoIn(detail)} belongs, signed by ${namesIn(detail.signedBy)}`,
  'withdraw-admission': ({ number }) => `number ${number} was not signed in time and stays unused`,
  'begin-removal': (detail) => `${whoIn(detail)} no longer belongs (${reasonIn(detail)})`,
  'complete-removal': (detail) => `the removal of ${whoIn(detail)} is signed by ${namesIn(detail.signedBy)}`,
  convict: ({ nodes }) => `down: ${namesIn(nodes)}`,
  return: (detail) => `${whoIn(detail)} is back at incarnation ${detail.incarnation}`,
  'begin-amendment': (detail) => `${changeIn(detail)} once a majority has signed`,
  'complete-amendment': (detail) => `the charter is amended, signed by ${namesIn(detail.signedBy)}`,
  'withdraw-amendment': () => 'the amendment was not signed in time; the charter stays as it is',
  note: ({ by, text }) => `${by}: ${text}`,
  'release-brake': ({ until }) => `whoever is accused may be convicted, however many they are, until ${until}`,
};

const reasons: Readonly<Record<RemovalReason, string>> = {
  left: 'it left',
  removed: 'an operator removed it',
  reaped: 'it was down for too long',
};

/** Kinds that this version does not know are shown as they are. */
export function logSentence(entry: LocalLogEntry): string {
  const { kind, detail } = entry;
  if (kind === 'voters') return votersSentence(detail);
  if (entry.at === undefined) return `a leader opens term ${entry.term}`;
  if (Object.hasOwn(sentences, kind)) return sentences[kind as Command['kind']](detail);
  return detailText(detail) || nothing;
}

function votersSentence({ voters, learners, outgoing }: Detail): string {
  const follow = textsIn(learners).length > 0 ? `; ${namesIn(learners)} follow` : '';
  const before = textsIn(outgoing).length > 0 ? `, and still ${namesIn(outgoing)}` : '';
  return `${namesIn(voters)} vote${before}${follow}`;
}

/** Characters of a key that tell it from others. */
const keyCharacters = 8;

function tokenOf({ key }: Detail): string {
  return `token ${String(key).slice(0, keyCharacters)}…`;
}

function admittedBy({ roles, usesMax }: Detail): string {
  const whom = usesMax === 0 ? 'any number of nodes' : plural(Number(usesMax), 'node');
  return Array.isArray(roles) && roles.length > 0
    ? `${whom} as ${namesIn(roles)}`
    : `${whom} with any roles but control`;
}

function reasonIn({ reason }: Detail): string {
  return Object.hasOwn(reasons, String(reason)) ? reasons[reason as RemovalReason] : String(reason);
}

function whoIn({ name, number }: Detail): string {
  return `${name} (number ${number})`;
}

function changeIn({ change, nodes }: Detail): string {
  return change === 'epoch' ? 'the next epoch begins' : `the control nodes are ${namesIn(nodes)}`;
}

function namesIn(value: unknown): string {
  return listed(textsIn(value));
}
