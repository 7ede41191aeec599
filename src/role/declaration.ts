/** What a role's type says about other roles. It lives in the role file, not in the settings of each node. */
import { HivemindError } from '../error.ts';
import { isLabel } from '../identity.ts';
import type { RoleDefinition } from './contract.ts';

/** How many roles each of the three lists may name. */
export const declaredRolesMax = 16;

export interface RoleDeclaration {
  readonly name: string;
  /** Roles of which a living member must exist before this one is started. */
  readonly requires: readonly string[];
  /** Roles whose members are asked first for the consumed configs. */
  readonly bootstrapFrom: readonly string[];
  /** Roles whose configs this one receives. */
  readonly consumes: readonly string[];
}

/**
 * The declaration of a role, checked: a role file may be a user's own, in plain JavaScript.
 *
 * @throws HivemindError `name-invalid` when the role's own name is no lower-case DNS label, `role-failed` otherwise
 */
export function declarationOf(definition: RoleDefinition<unknown>): RoleDeclaration {
  const { name } = definition;
  if (typeof name !== 'string' || !isLabel(name)) {
    throw new HivemindError(
      'name-invalid',
      `${JSON.stringify(name)} cannot name a role; use 1 to 63 lower-case letters, digits and hyphens, like "dns".`,
    );
  }
  const requires = rolesIn(name, 'requires', definition.requires);
  if (requires.includes(name)) {
    throw roleFailed(name, '"requires" names the role itself, which would then wait for itself; leave it out.');
  }
  const bootstrapFrom = rolesIn(name, 'bootstrapFrom', definition.bootstrapFrom);
  return { name, requires, bootstrapFrom, consumes: rolesIn(name, 'consumes', definition.consumes) };
}

function rolesIn(name: string, list: string, roles: unknown = []): readonly string[] {
  if (!Array.isArray(roles)) throw roleFailed(name, `"${list}" is not a list; write role names, like ["host"].`);
  if (roles.length > declaredRolesMax) {
    throw roleFailed(name, `"${list}" names ${roles.length} roles; name ${declaredRolesMax} at most.`);
  }
  roles.forEach((role: unknown, index) => {
    if (typeof role !== 'string' || !isLabel(role)) {
      throw roleFailed(name, `"${list}" holds ${JSON.stringify(role)}, which cannot name a role; correct it.`);
    }
    if (roles.indexOf(role) < index) throw roleFailed(name, `"${list}" names "${role}" twice; name it once.`);
  });
  return [...roles];
}

function roleFailed(name: string, what: string): HivemindError {
  return new HivemindError('role-failed', `The declaration of the role "${name}" is wrong: ${what}`);
}
