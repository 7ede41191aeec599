/** What becomes of a note on a control node that loses the lead over it, and what whoever follows the log is given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, HivemindError } from '../../src/error.ts';
import type { MemberEvent } from '../../src/member/effect.ts';
import type { LocalLog } from '../../src/node/local-api.ts';
import { LogDesk } from '../../src/node/log-desk.ts';
import type { Node } from '../../src/node/node.ts';
import type { Clock } from '../../src/seam/clock.ts';
import type { LogEntry } from '../../src/seam/log-store.ts';
import { type Random, seededRandom } from '../../src/seam/random.ts';
import type { LogPage } from '../../src/wire/peer-message.ts';

const request = { kind: 'note', text: 'hello', session: '', sequence: 1 } as const;

/** A desk whose node answers so, one ask after the other. */
function deskOf(...answers: readonly (ErrorCode | number)[]): LogDesk {
  const left = [...answers];
  const ask = async (): Promise<number> => {
    const answer = left.shift() ?? assert.fail('asked once too often');
    if (typeof answer === 'number') return answer;
    throw new HivemindError(answer, 'It failed.');
  };
  const node = { member: { pane: { state: { appliedIndex: 7 } } }, ask } as unknown as Node;
  return new LogDesk({ node, clock: undefined as unknown as Clock, random: seededRandom(1) });
}

const failsWith = (code: ErrorCode) => (thrown: unknown) => thrown instanceof HivemindError && thrown.code === code;

test('it is asked for again as the same turn, and told to be decided', async () => {
  assert.deepEqual(await deskOf('unknown-outcome', 9).note(request), { index: 9 });
  assert.deepEqual(await deskOf('not-leader', 9).note(request), { index: 9 });
});

test('what may be decided is not told to be refused because the second time is', async () => {
  for (const code of ['no-quorum', 'busy', 'no-leader', 'session-expired'] as const) {
    await assert.rejects(deskOf('unknown-outcome', code).note(request), failsWith('unknown-outcome'), code);
  }
});

test('what was refused both times is refused', async () => {
  await assert.rejects(deskOf('not-leader', 'no-quorum').note(request), failsWith('no-quorum'));
  await assert.rejects(deskOf('busy').note(request), failsWith('busy'));
});

test('a session on a node without a log begins where the leader is now, not where this node last heard', async () => {
  const sinceOf = async (node: unknown): Promise<string> => {
    const parts = { node: node as Node, clock: undefined as unknown as Clock, random: seededRandom(1) };
    return (await new LogDesk(parts).openSession()).session;
  };
  const stale = { pane: undefined, membership: { logIndex: 3 } };
  assert.match(await sinceOf({ member: stale, readIndex: async () => 42 }), /@42$/);
  assert.match(await sinceOf({ member: { pane: { state: { appliedIndex: 7 } } } }), /@7$/);
});

/** A log that grows while it is read, as a node shows it: in pages of any size, and at times not at all. */
class GrowingLog {
  private readonly random: Random;
  private length = 0;
  private asked = 0;
  private readonly end: number;
  private readonly listeners = new Set<(event: MemberEvent) => void>();

  constructor(seed: number, end: number) {
    this.random = seededRandom(seed);
    this.end = end;
  }

  private grow(): void {
    if (this.length === this.end || this.random.next() < 0.5) return;
    this.length = Math.min(this.end, this.length + 1 + this.random.below(4));
    for (const tell of this.listeners) tell({ kind: 'decided', index: this.length, what: 'note' });
  }

  private page({ from, most }: { readonly from: number; readonly most: number }): LogPage {
    if (this.random.next() < 0.1) throw new HivemindError('no-quorum', 'There is no quorum.');
    const shown = Math.min(most, this.length - from + 1, this.random.below(5));
    const entries = Array.from({ length: Math.max(0, shown) }, (_, at): LogEntry => {
      return { index: from + at, term: 1, kind: 'opening', payload: new Uint8Array(0) };
    });
    return { entries, commitIndex: this.length, first: 1, chain: new Uint8Array(32) };
  }

  get desk(): LogDesk {
    type Call = (member: unknown, then: (page: LogPage) => void) => void;
    const ask = async (call: Call): Promise<LogPage> => {
      assert(++this.asked < 10_000, 'whoever follows does not get to the end');
      this.grow();
      let page: LogPage | undefined;
      call({ reads: { log: (wish: never, then: (page: LogPage) => void) => then(this.page(wish)) } }, (taken) => {
        page = taken;
      });
      // What comes now the page does not have.
      this.grow();
      return page ?? assert.fail();
    };
    const onEvent = (listener: (event: MemberEvent) => void): (() => void) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    };
    const after = (_ms: number, run: () => void): (() => void) => {
      const timer = setImmediate(run);
      return () => clearImmediate(timer);
    };
    return new LogDesk({ node: { ask, onEvent, member: {} } as never, clock: { after } as never, random: this.random });
  }
}

test('whoever follows gets each entry once and in order, also after it was too slow (HM-8)', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const [random, end] = [seededRandom(seed + 1_000), 60];
    const { desk } = new GrowingLog(seed, end);
    const seen: number[] = [];
    const done = new AbortController();
    const give = (page: LocalLog): boolean => {
      if (random.next() < 0.1) return false;
      seen.push(...page.entries.map(({ index }) => index));
      if (seen.at(-1) === end) done.abort();
      return true;
    };
    for (let next = 1; !done.signal.aborted; ) {
      await desk.follow(next, give, done.signal).catch((thrown: Error) => {
        next = Number(/from entry (\d+)\.$/.exec(thrown.message)?.[1] ?? assert.fail(thrown.message));
      });
    }
    assert.deepEqual(
      seen,
      Array.from({ length: end }, (_, at) => at + 1),
      `seed ${seed}`,
    );
  }
});
