/** A node with roles that a test starts, watches and breaks, in time that the test lets pass. */
import type { RoleContext, RoleDefinition } from '../../src/role/contract.ts';
import { Supervisor } from '../../src/role/supervisor.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { MemoryHost, memberOf } from './memory-host.ts';

export type Definition = RoleDefinition<unknown>;

/** The most that a delay may be because of its jitter, with a millisecond for rounding. */
export const withJitter = (delayMs: number): number => delayMs * 1.1 + 1;

export class Node {
  readonly clock: ManualClock = new ManualClock();
  readonly host: MemoryHost = new MemoryHost(memberOf(1, 'one', 'a', 'b', 'c'), this.clock);
  readonly supervisor: Supervisor;

  constructor(...definitions: readonly Definition[]) {
    const roles = definitions.map((definition) => ({ definition, settings: undefined }));
    this.supervisor = new Supervisor(this.host, roles);
  }

  async start(): Promise<this> {
    this.supervisor.start();
    await settle();
    return this;
  }

  get states(): string {
    return this.supervisor
      .statuses()
      .map((status) => `${status.name} ${status.state}`)
      .join(', ');
  }

  get told(): readonly string[] {
    return this.host.events.map(({ role, name }) => `${role} ${name}`);
  }

  reasonOf(role: string): string | undefined {
    return this.supervisor.statuses().find(({ name }) => name === role)?.reason;
  }

  restartsOf(role: string): number | undefined {
    return this.supervisor.statuses().find(({ name }) => name === role)?.restarts;
  }
}

/** A role that is well: it writes down what is asked of it, and keeps its contexts for the test. */
export class Diary {
  readonly lines: string[] = [];
  readonly contexts: RoleContext<unknown>[] = [];

  role(name: string, more: Partial<Definition> = {}): Definition {
    return {
      name,
      start: async (context) => {
        this.lines.push(`${name} starts`);
        this.contexts.push(context);
        return {
          stop: async () => {
            this.lines.push(`${name} stops`);
          },
        };
      },
      ...more,
    };
  }

  /** Of the latest start. */
  get context(): RoleContext<unknown> {
    return this.contexts.at(-1) as RoleContext<unknown>;
  }
}
