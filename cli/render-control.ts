import type { LocalPane, LocalPaneNode } from '../src/node/local-api.ts';
import type { LogCheck } from '../src/store/log-check.ts';
import { plural } from './count.ts';
import type { Paint } from './paint.ts';
import { type Cell, nothing, table } from './table.ts';

export function renderPane(pane: LocalPane, paint: Paint): string {
  return table(['NAME', 'ROLE', 'TERM', 'COMMIT', 'LAST', 'ERROR'], pane.nodes.map(paneRow), paint);
}

function paneRow(node: LocalPaneNode): readonly Cell[] {
  return [
    node.name,
    node.role === 'leader' ? { text: node.role, tone: 'good' } : (node.role ?? nothing),
    node.term ?? nothing,
    node.commitIndex ?? nothing,
    node.lastIndex ?? nothing,
    node.error === undefined ? nothing : { text: node.error, tone: 'bad' },
  ];
}

export function renderLogCheck(check: LogCheck): string {
  const { entries, firstIndex, lastIndex, lastTerm, segments, snapshots, snapshotIndex, hardState, repairs } = check;
  const range = entries === 0 ? '' : ` (${firstIndex} to ${lastIndex})`;
  const counts = [`${entries === 1 ? '1 entry' : `${entries} entries`}${range}`, plural(segments, 'segment')];
  const line = [...counts, plural(snapshots, 'snapshot'), `term ${hardState.term}`, 'chain OK'].join(', ');
  const end = `Ends at term ${lastTerm}, index ${Math.max(lastIndex, snapshotIndex)}.`;
  return [line, end, ...repairs.map((repair) => `At the next start: ${repair}`)].join('\n');
}
