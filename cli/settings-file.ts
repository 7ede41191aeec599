/** A node's settings from its file. */
import { readFile } from 'node:fs/promises';
import { isAlias, LineCounter, parseDocument, visit } from 'yaml';
import { HivemindError } from '../src/error.ts';
import { type NodeSettings, parseSettings, settingsBytesMax } from '../src/settings/settings.ts';

/** @throws HivemindError `settings-invalid`: the file cannot be read, or holds a mistake at this line and column */
export async function loadSettings(path: string): Promise<NodeSettings> {
  const text = await readSettings(path);
  checkAliases(text, path);
  return parseSettings(text, path);
}

async function readSettings(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HivemindError('settings-invalid', `${path} cannot be read; name the settings file with --config.`, cause);
  }
}

/** An alias within the very value that it repeats would make data that goes round in a circle. */
function checkAliases(text: string, path: string): void {
  if (!text.includes('*') || text.length > settingsBytesMax) return;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  visit(document, {
    Alias(_key, alias, ancestors) {
      const named = alias.resolve(document);
      if (named === undefined || isAlias(named) || !ancestors.includes(named)) return;
      const { line, col } = lines.linePos(alias.range?.[0] ?? 0);
      const sentence = `*${alias.source} stands within what it repeats, without end; write the value out.`;
      throw new HivemindError('settings-invalid', `${path}:${line}:${col}: ${sentence}`);
    },
  });
}
