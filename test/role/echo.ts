/** A small role file, as a user writes one: it publishes its greeting and answers with whatever it is asked. */
import { z } from 'zod';
import { defineRole, type RoleDefinition } from '../../src/role/role.ts';

export interface EchoSettings {
  readonly greeting: string;
  readonly everyMs: number;
}

const echo: RoleDefinition<EchoSettings> = defineRole({
  name: 'echo',
  bootstrapFrom: ['echo'],
  consumes: ['echo'],
  settings: z.strictObject({ greeting: z.string().default('hello'), everyMs: z.int().min(1).default(20) }),
  async start({ settings, clock, metrics, publish, onRequest, configs }) {
    const beat = (): (() => void) =>
      clock.after(settings.everyMs, () => {
        metrics.count('beats_total');
        cancel = beat();
      });
    let cancel = beat();
    await publish(settings.greeting);
    onRequest(async (from, body) => ({ from: from.name, body }));
    return {
      async stop() {
        cancel();
      },
      status: () => ({ heard: configs('echo').map(({ owner, value }) => `${owner.name}: ${value}`) }),
    };
  },
});

export default echo;
