/** Loads a user's own role from its file. */
import { stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HivemindError, toHivemindError } from '../error.ts';
import type { RoleDefinition } from './contract.ts';
import { declarationOf } from './declaration.ts';

const extensions: ReadonlySet<string> = new Set(['.js', '.mjs', '.ts', '.mts']);

/**
 * The role that a file exports as its default. The file runs: load only what you would run yourself. TypeScript
 * loads where Node does it (22.18 and later) or under a loader such as tsx.
 *
 * @param path absolute, or relative to the working folder
 * @throws HivemindError `role-unknown` when there is no such file or it holds no role, `role-failed` when it
 * cannot be loaded or its declaration is wrong, `name-invalid` when the role's name is no lower-case DNS label
 */
export async function loadRole(path: string): Promise<RoleDefinition> {
  const file = resolve(path);
  if (!extensions.has(extname(file))) {
    throw new HivemindError('role-unknown', `${file} is no role file; its name must end in .js, .mjs or .ts.`);
  }
  if (!(await isFile(file))) {
    throw new HivemindError('role-unknown', `There is no role file ${file}; correct the path.`);
  }
  const definition = definitionIn(file, await load(file));
  try {
    declarationOf(definition);
    return definition;
  } catch (thrown) {
    const { code, message } = toHivemindError(thrown);
    throw new HivemindError(code, `The role file ${file} cannot be used: ${message}`, thrown);
  }
}

async function isFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

async function load(file: string): Promise<object> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (thrown) {
    throw new HivemindError('role-failed', `The role file ${file} cannot be loaded: ${whyNot(thrown)}`, thrown);
  }
}

function whyNot(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return 'this Node does not run TypeScript; compile the file to .js, or start with node --import tsx.';
  }
  const { message } = toHivemindError(thrown);
  return thrown instanceof SyntaxError ? `${message}; "node --check" shows where.` : message;
}

function definitionIn(file: string, module: object): RoleDefinition {
  const refuse = (what: string): HivemindError =>
    new HivemindError('role-unknown', `The file ${file} holds no role: ${what}`);
  const definition: unknown = 'default' in module ? module.default : undefined;
  if (typeof definition !== 'object' || definition === null) {
    throw refuse('it must end in "export default defineRole({ name, start })".');
  }
  if (!('start' in definition) || typeof definition.start !== 'function') {
    throw refuse('its default export has no function "start".');
  }
  if ('settings' in definition && definition.settings !== undefined && !isSchema(definition.settings)) {
    throw refuse('"settings" of its default export is no schema of zod 4; write z.object({ … }) or leave it out.');
  }
  return definition as RoleDefinition;
}

function isSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '_zod' in value;
}
