/** The roles that a node can perform: those that come with hivemind, and a user's own from files. */
import { isAbsolute, resolve } from 'node:path';
import { HivemindError } from '../../src/error.ts';
import type { RoleDefinition } from '../../src/role/contract.ts';
import { loadRole } from '../../src/role/loader.ts';
import type { ConfiguredRole } from '../../src/role/supervisor.ts';
import { nearestWord } from '../../src/settings/nearest-word.ts';
import { parseRoleSettings, type RoleSection } from '../../src/settings/settings.ts';

/** Imported when first needed: each brings its own dependencies. */
const builtIn: Readonly<Record<string, () => Promise<RoleDefinition<unknown>>>> = {
  host: async () => (await import('../../roles/host/host.ts')).default as RoleDefinition<unknown>,
  dns: async () => (await import('../../roles/dns/dns.ts')).default as RoleDefinition<unknown>,
  control: async () => (await import('../../roles/control/control.ts')).default as RoleDefinition<unknown>,
  nginx: async () => (await import('../../roles/nginx/nginx.ts')).default as RoleDefinition<unknown>,
};

export const builtInRoles: readonly string[] = Object.keys(builtIn);

/** @throws HivemindError `role-unknown`, `role-failed`, `settings-invalid` */
export async function configureRoles(
  sections: Iterable<RoleSection>,
  settingsPath: string,
): Promise<readonly ConfiguredRole[]> {
  const configured: ConfiguredRole[] = [];
  for (const section of sections) {
    const definition = await findRole(section);
    configured.push({ definition, settings: parseRoleSettings(section, definition.settings, settingsPath) });
  }
  return configured;
}

async function findRole(section: RoleSection): Promise<RoleDefinition<unknown>> {
  if (section.module !== undefined) {
    const path = isAbsolute(section.module) ? section.module : resolve(section.module);
    const definition = await loadRole(path);
    if (definition.name === section.name) return definition as RoleDefinition<unknown>;
    const sentence = `${path} defines the role ${definition.name}, not ${section.name}; use that name under roles.`;
    throw new HivemindError('role-unknown', sentence);
  }
  const load = builtIn[section.name];
  if (load !== undefined) return await load();
  throw unknownRole(section.name);
}

function unknownRole(name: string): HivemindError {
  const nearest = nearestWord(name, builtInRoles);
  const guess = nearest === undefined ? `choose ${builtInRoles.join(', ')}` : `did you mean ${nearest}`;
  const sentence = `There is no role ${name}; ${guess}, or name the file of your own role with module:.`;
  return new HivemindError('role-unknown', sentence);
}
