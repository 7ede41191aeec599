/** What the documents promise of a degraded cluster is what every node says (HM-6). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { standingsOf } from '../../src/node/operations.ts';

const page = readFileSync(new URL('../../docs/control.md', import.meta.url), 'utf8');

test('the table of operations in docs/control.md is the one that nodes show', () => {
  const [, table = ''] = page.split('| operation | no quorum | no pane | meanwhile |\n|---|---|---|---|\n');
  const rows = table.split('\n\n')[0]?.split('\n') ?? [];
  const noPane = standingsOf('no-pane');
  const shown = standingsOf('no-quorum').map(({ operation, works, how }, at) => {
    return `| ${operation} | ${works} | ${noPane[at]?.works} | ${how} |`;
  });
  assert.deepEqual(rows, shown);
});

test('with a healthy pane all works but hints, which only stand in for it', () => {
  const not = standingsOf('healthy').filter(({ works }) => works !== 'yes');
  assert.deepEqual(
    not.map(({ operation }) => operation),
    ['hints'],
  );
});
