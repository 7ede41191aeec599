import type { LocalTags } from '../src/node/local-api.ts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';

export function renderTags({ node, seq, tags }: LocalTags, paint: Paint): string {
  const rows = Object.entries(tags);
  if (rows.length === 0) return `${node} has no tags.`;
  return `${table(['TAG', 'VALUE'], rows, paint)}\n\nTags of ${node}, changed ${seq === 1 ? 'once' : `${seq} times`}.`;
}
