import type { LocalPane, LocalPaneNode, LocalReplacement } from '../src/node/local-api.ts';
import type { LogCheck } from '../src/store/log-check.ts';
import { plural } from './count.ts';
import type { Paint } from './paint.ts';
import { silentText, votingText } from './render-degraded.ts';
import { type Cell, nothing, table } from './table.ts';

export function renderPane(pane: LocalPane, paint: Paint): string {
  const { nodes, replacement } = pane;
  const remarks = nodes.flatMap((node) => remarkOf(node) ?? []);
  if (replacement !== undefined) remarks.push(replacementSentence(replacement));
  return [table(['NAME', 'ROLE', 'TERM', 'COMMIT', 'LAST', 'ERROR'], nodes.map(paneRow), paint), ...remarks].join('\n');
}

function paneRow(node: LocalPaneNode): readonly Cell[] {
  return [
    node.name,
    roleCell(node),
    node.term ?? nothing,
    node.commitIndex ?? nothing,
    node.lastIndex ?? nothing,
    node.error === undefined ? nothing : { text: node.error, tone: 'bad' },
  ];
}

function roleCell({ role, votes }: LocalPaneNode): Cell {
  if (!votes) return 'standby';
  return role === 'leader' ? { text: role, tone: 'good' } : (role ?? nothing);
}

function remarkOf({ name, voting, silent = [] }: LocalPaneNode): string | undefined {
  const remarks = [votingText(voting), silentText(silent)].filter((each) => each !== undefined);
  return remarks.length === 0 ? undefined : `${name} ${remarks.join(', and ')}.`;
}

const obstacleSentences: Readonly<Record<LocalReplacement['obstacle'], string>> = {
  none: '',
  'no-standby': 'no standby control node; `hivemind join --role control` gives one',
  'standby-unfit': 'who stands by does not follow the event log closely enough yet',
  'change-under-way': 'the control nodes, or the epoch, are being changed',
  brake: 'the brake holds convictions back; see `hivemind brake status`',
  back: 'it is heard, or was a moment ago',
  'turned-off': 'membership.replaceControlAfter is 0; `hivemind control remove` takes it out',
};

function replacementSentence({ node, since, dueAt, by, obstacle }: LocalReplacement): string {
  const head = `${node} is down since ${since}`;
  if (by !== undefined && dueAt !== undefined) return `${head}; its vote goes to ${by}, not before ${dueAt}.`;
  const due = dueAt === undefined ? '' : `; it is to be replaced from ${dueAt} on`;
  return `${head}${due}, and is not: ${obstacleSentences[obstacle]}.`;
}

export function renderLogCheck(check: LogCheck): string {
  const { entries, firstIndex, lastIndex, lastTerm, segments, snapshots, snapshotIndex, hardState, repairs } = check;
  const range = entries === 0 ? '' : ` (${firstIndex} to ${lastIndex})`;
  const counts = [`${entries === 1 ? '1 entry' : `${entries} entries`}${range}`, plural(segments, 'segment')];
  const line = [...counts, plural(snapshots, 'snapshot'), `term ${hardState.term}`, 'chain OK'].join(', ');
  const end = `Ends at term ${lastTerm}, index ${Math.max(lastIndex, snapshotIndex)}.`;
  return [line, end, ...repairs.map((repair) => `At the next start: ${repair}`)].join('\n');
}
