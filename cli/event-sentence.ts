/** What a node saw, in words; `hivemind events` and the agent's log say it alike. */
import type { MemberEvent } from '../src/member/effect.ts';
import type { LocalEvent } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import { detailText } from './detail.ts';
import { firstOf, listed, textsIn } from './table.ts';

type Sentence = (detail: LocalEvent['detail'], node: string) => string;

const sentences: Readonly<Partial<Record<MemberEvent['kind'], Sentence>>> = {
  'user-event': ({ event, payload }, node) => `${event} from ${node}${payload === '' ? '' : `: ${payload}`}`,
  view: ({ members, size }) =>
    members === size ? `complete, ${plural(Number(size), 'member')}` : `${members} of ${size} members`,
  brake: ({ on, accused }) =>
    on === true
      ? `too many are accused at once to be convicted: ${firstOf(textsIn(accused))}; see \`hivemind brake status\``
      : 'convictions go on',
  'control-replaced': ({ since, by }, node) =>
    `${node} is down since ${since}, and ${by} takes its place among the control nodes`,
  amended: ({ epoch, control }) => `epoch ${epoch}; control nodes are ${listed(textsIn(control))}`,
  'charter-forked': ({ amendment }) =>
    `the cluster was parted: somebody goes by another amendment ${amendment} of the charter, signed as well; ` +
    'only one part may go on (docs/recovery.md)',
  'datagrams-blocked': ({ endpoints, isOwn }, node) =>
    isOwn === true
      ? `nobody answers this node by UDP, and they do by TCP: open UDP ${listed(textsIn(endpoints))} on this machine`
      : `${node} answers by TCP, not by UDP: open UDP ${listed(textsIn(endpoints))} between it and this node`,
  'log-disk': ({ state, since }) => diskSentences[String(state)]?.(String(since)) ?? String(state),
  'memory-disk': ({ state, since }) =>
    state === 'full'
      ? `the disk is full since ${since}, what this node remembers waits: free some space`
      : 'the disk has room again for what this node remembers',
  clock: ({ offByMs }) => clockSentence(Number(offByMs)),
  'datagrams-open': (_detail, node) => `${node} answers by UDP again`,
};

function clockSentence(offByMs: number): string {
  if (offByMs === 0) return "this machine's clock agrees with the other control nodes' again";
  const by = `${Math.round(Math.abs(offByMs) / 1_000)} s ${offByMs > 0 ? 'ahead of' : 'behind'}`;
  return `this machine's clock is ${by} the other control nodes': set it; until then it does not lead`;
}

const diskSentences: Readonly<Record<string, (since: string) => string>> = {
  full: (since) =>
    `the disk of the event log is full since ${since}; free some space, until then this control node does not vote`,
  slow: (since) => `the disk of the event log keeps a write waiting since ${since}`,
  fine: () => 'the disk of the event log keeps up again',
};

/** Kinds without a sentence of their own are named values, less those that the name of the node says already. */
export function eventSentence(event: LocalEvent): string {
  const { kind, node = 'an unknown member', detail } = event;
  const sentence = Object.hasOwn(sentences, kind) ? sentences[kind as MemberEvent['kind']] : undefined;
  return sentence === undefined ? detailText(besideNode(event)) : sentence(detail, node);
}

function besideNode({ node, detail }: LocalEvent): LocalEvent['detail'] {
  return Object.fromEntries(Object.entries(detail).filter(([, value]) => value !== node));
}
