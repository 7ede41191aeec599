/** What every role must do, in real time and with real sockets. Call it from a test file of each role. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OpenContext } from '../../src/role/context.ts';
import { type RoleDefinition, type RunningRole, roleStartMs, roleStopMs } from '../../src/role/contract.ts';
import { within } from '../../src/role/deadline.ts';
import { declarationOf } from '../../src/role/declaration.ts';
import type { RoleHost } from '../../src/role/role-host.ts';
import { factsBytesMax } from '../../src/role/role-run.ts';
import { Supervisor } from '../../src/role/supervisor.ts';
import type { CancelTimer, Clock } from '../../src/seam/clock.ts';
import { systemClock } from '../../src/system/clock.ts';

export interface RoleBench {
  readonly definition: RoleDefinition<unknown>;
  /** Checked and completed by the role's own schema. */
  readonly settings: unknown;
  /** A node that performs the role, with whatever the role requires, over this clock. */
  makeHost(clock: Clock): RoleHost;
  /** Removes what outlives the role, its folder, say. */
  dispose?(): Promise<void>;
}

/** Sockets and processes close a few turns of the loop after they were told to. */
const closingMs = 5_000;
const restarts = 3;

/** The system's clock, which knows the timers that have neither fired nor been cancelled. */
class CountingClock implements Clock {
  readonly pending: Set<CancelTimer> = new Set();
  readonly now: Clock['now'] = systemClock.now;
  readonly wallNow: Clock['wallNow'] = systemClock.wallNow;

  after(delayMs: number, fire: () => void): CancelTimer {
    const stop = systemClock.after(delayMs, () => {
      this.pending.delete(cancel);
      fire();
    });
    const cancel = (): void => {
      this.pending.delete(cancel);
      stop();
    };
    this.pending.add(cancel);
    return cancel;
  }
}

/** One start of a role with nobody between it and the test. */
class Start {
  readonly role: Promise<RunningRole>;
  private readonly open: OpenContext;
  private readonly clock = new CountingClock();
  private readonly broken: Error[] = [];

  constructor({ definition, settings, makeHost }: RoleBench, folder: string) {
    this.open = new OpenContext(makeHost(this.clock), {
      declaration: declarationOf(definition),
      settings,
      folder,
      metrics: { count() {}, gauge() {} },
      onBroken: (reason) => void this.broken.push(reason),
    });
    this.role = definition.start(this.open.context);
  }

  abort(): void {
    this.open.abort();
  }

  async stop(): Promise<void> {
    this.abort();
    const role = await this.role;
    await inTime(roleStopMs, role.stop(), 'stop');
    assert.equal(this.clock.pending.size, 0, 'it leaves a timer behind');
    this.open.close();
    assert.deepEqual(this.broken, [], 'it says that it broke');
  }
}

async function inTime<T>(limitMs: number, work: Promise<T>, what: string): Promise<T> {
  return await within(systemClock, limitMs, work, () => assert.fail(`${what} takes longer than ${limitMs} ms`));
}

function resourceCounts(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Waits until nothing is open that was not open `before`. */
async function nothingIsLeft(before: ReadonlyMap<string, number>): Promise<void> {
  for (const deadline = systemClock.now() + closingMs; ; ) {
    const more = [...resourceCounts()].filter(([name, count]) => count > (before.get(name) ?? 0));
    if (more.length === 0) return;
    if (systemClock.now() > deadline) assert.fail(`it leaves open: ${more.map(([name]) => name).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function roleConformance(name: string, open: () => Promise<RoleBench>): void {
  const withBench = async (check: (bench: RoleBench, folder: string) => Promise<void>): Promise<void> => {
    const bench = await open();
    try {
      const before = resourceCounts();
      await check(bench, await bench.makeHost(systemClock).folderOf(bench.definition.name));
      await nothingIsLeft(before);
    } finally {
      await bench.dispose?.();
    }
  };

  describe(`${name} is a role: it`, () => {
    it('declares what others may rely on (HM-16, HM-17)', () =>
      withBench(async ({ definition }) => {
        assert.equal(declarationOf(definition).name, definition.name);
      }));

    it('starts, says how it is, and stops, in time and leaving nothing open', () =>
      withBench(async (bench, folder) => {
        const start = new Start(bench, folder);
        const role = await inTime(roleStartMs, start.role, 'start');
        const facts = role.status?.() ?? {};
        assert.equal(typeof facts, 'object');
        assert.ok(JSON.stringify(facts).length <= factsBytesMax);
        await start.stop();
      }));

    it('starts again after it has stopped', () =>
      withBench(async (bench, folder) => {
        for (let round = 0; round < restarts; round++) {
          const start = new Start(bench, folder);
          await inTime(roleStartMs, start.role, 'start');
          await start.stop();
        }
      }));

    it('stops in time when it is told to before it has started', () =>
      withBench(async (bench, folder) => {
        const start = new Start(bench, folder);
        start.abort();
        const outcome = start.role.then(
          () => start.stop(),
          () => {},
        );
        await inTime(roleStopMs, outcome, 'start and stop');
      }));

    it('runs under a supervisor, which shows its status (HM-1)', () =>
      withBench(async ({ definition, settings, makeHost }) => {
        const supervisor = new Supervisor(makeHost(systemClock), [{ definition, settings }]);
        const isSettled = (): boolean => ['running', 'failed'].includes(supervisor.statuses()[0]?.state ?? '');
        supervisor.start();
        for (const deadline = systemClock.now() + roleStartMs; !isSettled(); ) {
          assert.ok(systemClock.now() < deadline, 'it does not start in time');
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        const [status] = supervisor.statuses();
        await supervisor.stop();
        assert.equal(status?.state, 'running', status?.reason);
        assert.equal(status?.facts?.error, undefined);
        assert.equal(supervisor.statuses()[0]?.reason, undefined);
      }));
  });
}
