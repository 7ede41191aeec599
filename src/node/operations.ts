/** What works, and what does not, while the control pane is degraded (HM-6): docs/control.md has the same table. */
import type { PaneState } from '../member/effect.ts';

/** What people and programs can want of a cluster. */
export type Operation =
  | 'join'
  | 'leave'
  | 'remove'
  | 'return'
  | 'token'
  | 'note'
  | 'epoch'
  | 'control-set'
  | 'conviction'
  | 'hints'
  | 'detection'
  | 'events'
  | 'configs'
  | 'roles'
  | 'read'
  | 'consistent-read'
  | 'log';

/** `later`: it is kept, and carried out when the control pane decides again. */
export type Works = 'yes' | 'later' | 'no';

export interface OperationStanding {
  readonly operation: Operation;
  readonly works: Works;
  /** What happens meanwhile, or instead; absent where there is nothing to say. */
  readonly how?: string;
}

interface Row {
  readonly noQuorum: Works;
  readonly noPane: Works;
  readonly how: string;
}

const refused = 'refused';

const degraded: Readonly<Record<Operation, Row>> = {
  join: { noQuorum: 'no', noPane: 'no', how: 'refused; with --patient it waits' },
  leave: { noQuorum: 'later', noPane: 'later', how: 'the wish is kept, also over a restart, and the node runs on' },
  remove: { noQuorum: 'no', noPane: 'no', how: refused },
  return: { noQuorum: 'later', noPane: 'later', how: 'whoever is down and answers asks again until it is decided' },
  token: { noQuorum: 'no', noPane: 'no', how: refused },
  note: { noQuorum: 'no', noPane: 'no', how: 'refused; sent again in its session it is taken once' },
  epoch: { noQuorum: 'no', noPane: 'no', how: refused },
  'control-set': { noQuorum: 'no', noPane: 'no', how: 'refused, and nothing is replaced by itself' },
  conviction: { noQuorum: 'no', noPane: 'no', how: 'nobody is published as down; hints take its place' },
  hints: { noQuorum: 'yes', noPane: 'yes', how: 'a majority of those who watch a member tell all that it is silent' },
  detection: { noQuorum: 'yes', noPane: 'yes', how: 'members probe and suspect each other' },
  events: { noQuorum: 'yes', noPane: 'yes', how: 'by gossip' },
  configs: { noQuorum: 'yes', noPane: 'yes', how: 'members publish and exchange them' },
  roles: { noQuorum: 'yes', noPane: 'yes', how: 'they serve by their own view, and heed hints' },
  read: { noQuorum: 'yes', noPane: 'yes', how: "from the node's own view, with its age" },
  'consistent-read': { noQuorum: 'no', noPane: 'no', how: refused },
  log: { noQuorum: 'yes', noPane: 'no', how: 'what was committed, from a control node that answers' },
};

/** All operations, in the order of the table, as they stand while the pane is in this state. */
export function standingsOf(state: PaneState): readonly OperationStanding[] {
  return (Object.keys(degraded) as Operation[]).map((operation) => {
    if (state === 'healthy') return { operation, ...healthy(operation) };
    const { noQuorum, noPane, how } = degraded[operation];
    // Of a pane that was not heard yet nothing is known to work that needs it.
    return { operation, works: state === 'no-quorum' ? noQuorum : noPane, how };
  });
}

function healthy(operation: Operation): Pick<OperationStanding, 'works' | 'how'> {
  return operation === 'hints' ? { works: 'no', how: 'the control pane convicts instead' } : { works: 'yes' };
}
