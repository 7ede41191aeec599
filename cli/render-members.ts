import type { LocalMember, LocalMembers, LocalNode } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import type { Paint, Tone } from './paint.ts';
import { facts, listed, type TonedText, table } from './table.ts';

export type MemberStatus = LocalMember['status'];

const tones: Readonly<Record<MemberStatus, Tone>> = { alive: 'good', suspect: 'doubtful', down: 'bad' };

/** What an observer's word is worth while it does not hear from a healthy control pane. */
const reservations: Readonly<Record<LocalMembers['pane'], string>> = {
  healthy: '',
  'no-quorum': ' This is its own view: the control pane has no quorum.',
  'no-pane': ' This is its own view: it reaches no control node.',
  unknown: ' This is its own view: it has just started, and heard from no control node yet.',
};

export function renderMembers(answer: LocalMembers, withDown: boolean, paint: Paint): string {
  const { observer, members } = answer;
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
  lines.push(`As ${observer} sees it: ${plural(members.length, 'member')}.${reservations[answer.pane]}`);
  return lines.join('\n');
}

/** Names that are written out before they are only counted. */
const namesMax = 8;

function downLine(members: readonly LocalMember[]): string {
  const names = members.filter((member) => member.status === 'down').map((member) => member.name);
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more` : '';
  return `Down, and listed with --all: ${names.slice(0, namesMax).join(', ')}${more}.`;
}

export function statusCell(member: Pick<LocalMember, 'status' | 'hint'>): TonedText {
  const { status } = member;
  return { text: status === 'down' && member.hint ? 'down (hint)' : status, tone: tones[status] };
}

export function renderNode(node: LocalNode, paint: Paint): string {
  const status = statusCell(node);
  const sheet = facts(
    [
      ['Name', node.self ? `${node.name} (this node)` : node.name],
      ['Number', node.number],
      ['Status', { ...status, text: `${status.text} since ${node.since}` }],
      ['Incarnation', node.incarnation],
      ['Addresses', listed(node.addresses)],
      ['Roles', listed(node.roles)],
      ['Key', node.key],
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
