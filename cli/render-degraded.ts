/** Why the control pane is degraded, and what works all the same (HM-6). */
import type { LocalControlContact, LocalSilentControlNode, LocalStatus } from '../src/node/local-api.ts';
import { type Cell, listed } from './table.ts';

type Fact = readonly [label: string, value: Cell];

/** One line for each control node: whether it answers this node, and whom it does not hear itself. */
export function contactFacts(contacts: readonly LocalControlContact[]): readonly Fact[] {
  return contacts.map((contact, at) => [at === 0 ? 'Because' : '', `${contact.name} ${contactText(contact)}`]);
}

export function operationFacts(operations: LocalStatus['operations']): readonly Fact[] {
  const those = (works: string): string =>
    listed(operations.filter((each) => each.works === works).map(({ operation }) => operation));
  return [
    ['Works', those('yes')],
    ['Works later', those('later')],
    ['Does not', those('no')],
  ];
}

function contactText(contact: LocalControlContact): string {
  const { since = 'its start', triedAt, voting, silent = [] } = contact;
  const tried = triedAt === undefined ? '' : `, tried ${triedAt}`;
  const own = [votingText(voting), silentText(silent)].filter((each) => each !== undefined).join(', and ');
  switch (contact.contact) {
    case 'self':
      return own === '' ? 'is this node' : `is this node; it ${own}`;
    case 'answers':
      return own === '' ? 'answers' : `answers; it ${own}`;
    case 'silent':
      return `is silent since ${since}${tried}`;
    case 'streams-only':
      return `answers by TCP and not by UDP since ${since}${tried}; open its UDP port, or this node's`;
    case 'refused':
      return `refuses connections since ${since}${tried}: nothing listens at its address`;
    case 'not-admitted':
      return `says that this node is no member since ${since}${tried}`;
    case 'untried':
      return 'was not asked since the start';
  }
}

/** Why a control node does not vote as it should; nothing when it does. */
export function votingText(voting: LocalControlContact['voting']): string | undefined {
  switch (voting) {
    case undefined:
    case 'votes':
      return undefined;
    case 'log-damaged':
      return 'does not vote until its event log, which was damaged, is repaired from the others';
    case 'disk-full':
      return 'does not vote: its disk is full';
    case 'disk-slow':
      return 'votes late: its disk is slow';
  }
}

export function silentText(silent: readonly LocalSilentControlNode[]): string | undefined {
  if (silent.length === 0) return undefined;
  return `does not hear ${silent.map(({ name, since }) => `${name} since ${since}`).join(', ')}`;
}
