/** The control role: its node keeps the event log and, once it is promoted, votes. That is the member's own work. */
import { z } from 'zod';
import { defineRole, type RoleDefinition } from '../../src/role/role.ts';

const definition: RoleDefinition<object> = defineRole({
  name: 'control',
  settings: z.strictObject({}),
  start: () => Promise.resolve({ stop: () => Promise.resolve() }),
});

export default definition;
