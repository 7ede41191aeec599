import type { LocalMember, LocalMembers, LocalNode, LocalTags } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import type { Paint, Tone } from './paint.ts';
import { facts, firstOf, listed, type TonedText, table } from './table.ts';

export type MemberStatus = LocalMember['status'];

const tones: Readonly<Record<MemberStatus, Tone>> = { alive: 'good', suspect: 'doubtful', down: 'bad' };

/** What an observer's word is worth while it does not hear from a healthy control pane. */
const reservations: Readonly<Record<LocalMembers['pane'], string>> = {
  healthy: '',
  'no-quorum': ' This is its own view: the control pane has no quorum.',
  'no-pane': ' This is its own view: it reaches no control node.',
  unknown: ' This is its own view: it has just started, and heard from no control node yet.',
};

/** Which of the answer's members are wanted. */
export interface MemberChoice {
  readonly role: string | undefined;
  readonly withDown: boolean;
}

export function membersWith(role: string | undefined, members: readonly LocalMember[]): readonly LocalMember[] {
  return role === undefined ? members : members.filter((member) => member.roles.includes(role));
}

export function renderMembers(answer: LocalMembers, { role, withDown }: MemberChoice, paint: Paint): string {
  const members = membersWith(role, answer.members);
  const shown = withDown ? members : members.filter((member) => member.status !== 'down');
  const rows = shown.map((member) => [
    member.name,
    member.number,
    listed(member.roles),
    statusCell(member),
    member.incarnation,
    listed(member.addresses),
  ]);
  const headings = ['NAME', 'NUMBER', 'ROLES', 'STATUS', 'INCARNATION', 'ADDRESSES'];
  const lines = [table(headings, rows, paint), ''];
  if (shown.length < members.length) lines.push(downLine(members));
  lines.push(closing(answer, members.length));
  return lines.join('\n');
}

/** Whose word the list is, and what it is worth (CS-13). */
function closing(answer: LocalMembers, listed: number): string {
  const { source, observer, size, pane, index } = answer;
  const known = answer.members.length;
  const count = plural(listed, 'member');
  if (index !== undefined) return `As decided up to log entry ${index}, seen by ${observer}: ${count}.`;
  if (source === 'pane') {
    const reservation = pane === 'no-quorum' ? ' That was decided last: it has no quorum.' : '';
    return `As the control pane lists them for ${observer}: ${count}.${reservation}`;
  }
  const part = `It knows ${known} of the cluster's ${size}; the control pane, which knows all, did not answer.`;
  return `As ${observer} sees it: ${count}.${known < size ? ` ${part}` : reservations[pane]}`;
}

function downLine(members: readonly LocalMember[]): string {
  const names = members.filter((member) => member.status === 'down').map((member) => member.name);
  return `Down, and listed with --all: ${firstOf(names)}.`;
}

export function statusCell(member: Pick<LocalMember, 'status' | 'hint'>): TonedText {
  const { status } = member;
  return { text: status === 'down' && member.hint ? 'down (hint)' : status, tone: tones[status] };
}

/** A member with the tags that it has set, as far as anybody could be asked for them. */
export interface TaggedNode extends LocalNode {
  readonly tags: LocalTags['tags'];
}

export function renderNode(node: TaggedNode, paint: Paint): string {
  const status = statusCell(node);
  const sheet = facts(
    [
      ['Name', node.self ? `${node.name} (this node)` : node.name],
      ['Number', node.number],
      ['Status', { ...status, text: `${status.text} since ${node.since}` }],
      ['Incarnation', node.incarnation],
      ['Addresses', listed(node.addresses)],
      ['Roles', listed(node.roles)],
      ['Tags', listed(Object.entries(node.tags).map(([key, value]) => `${key}=${value}`))],
      ['Key', node.key],
      ...(node.index === undefined ? [] : ([['As of', `log entry ${node.index}`]] as const)),
    ],
    paint,
  );
  if (node.declarations.length === 0) return sheet;
  const rows = node.declarations.map(({ name, requires, bootstrapFrom, consumes }) => [
    name,
    listed(requires),
    listed(bootstrapFrom),
    listed(consumes),
  ]);
  return `${sheet}\n\n${table(['ROLE', 'REQUIRES', 'BOOTSTRAPS FROM', 'CONSUMES'], rows, paint)}`;
}
