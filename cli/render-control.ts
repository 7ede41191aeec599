import type { LocalPane, LocalPaneNode } from '../src/node/local-api.ts';
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
