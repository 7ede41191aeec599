/** Whom a node asks of the pane, and what it makes of one control node that lags behind the others. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encode } from '../../../src/codec.ts';
import { HivemindError } from '../../../src/error.ts';
import type { NodeNumber } from '../../../src/identity.ts';
import { leaderlessMs, PaneClient } from '../../../src/member/client/pane-client.ts';
import type { RawOutcome } from '../../../src/member/effect.ts';
import type { Membership } from '../../../src/member/membership.ts';
import { Outbox, type Outcome } from '../../../src/member/outbox.ts';
import { seededRandom } from '../../../src/seam/random.ts';
import { decided, digest } from '../../../src/wire/peer-message.ts';
import { nodeOf, wholeCluster } from '../scene.ts';

const notAdmitted: RawOutcome = { ok: false, error: new HivemindError('not-admitted', 'This node is no member.') };
const peer = {} as never;

/** The client of one node, whose requests the test answers. */
class Line {
  readonly outbox = new Outbox();
  readonly membership: Membership;
  readonly client: PaneClient;
  now = 0;
  leads = false;

  constructor(name: string) {
    const node = nodeOf(wholeCluster({ members: 1 }), name);
    assert(node.member !== undefined);
    this.membership = node.member.membership;
    this.client = new PaneClient({
      self: node.number,
      membership: this.membership,
      outbox: this.outbox,
      random: seededRandom(1),
      leads: () => this.leads,
      onAmended: () => {},
      send: () => {},
      at: this.at,
    });
  }

  get at(): { now: number; wall: number } {
    return { now: this.now, wall: this.now };
  }

  /** As a control node that knows of this leader, or of none, for so long. */
  follow(leader: NodeNumber, forMs: number): void {
    for (const until = this.now + forMs; this.now < until; this.now += 100) {
      const health = {
        state: leader === 0 ? 'degraded' : 'healthy',
        since: 0,
        leader,
        silent: [],
        voting: 'votes',
      } as const;
      this.client.follow(health, 1, this.at);
    }
  }

  /** Answers all that is asked now; gives whom it was asked of. */
  answer(outcomeOf: (asked: NodeNumber) => RawOutcome): readonly NodeNumber[] {
    const asked: NodeNumber[] = [];
    for (const effect of this.outbox.take()) {
      if (effect.kind !== 'request') continue;
      asked.push(effect.to.number);
      this.outbox.onResponse(effect.id, outcomeOf(effect.to.number), this.at);
    }
    return asked;
  }

  get isTold(): boolean {
    return this.outbox.take().some((effect) => effect.kind === 'event' && effect.event.kind === 'removed-me');
  }

  /** Looks for a leader in vain until everybody else was asked once; those of `lagging` do not know this node yet. */
  lookAround(...lagging: readonly NodeNumber[]): void {
    const left = new Set<NodeNumber>([2, 3]);
    while (left.size > 0) {
      this.follow(0, leaderlessMs + 100);
      const body = encode(digest, this.membership.digest());
      const asked = this.answer((number) => (lagging.includes(number) ? notAdmitted : { ok: true, body, from: peer }));
      for (const number of asked) left.delete(number);
    }
  }
}

describe('a control node that hears no leader', () => {
  test('is out when a majority says that it is no member', () => {
    const line = new Line('c1');
    line.lookAround(2, 3);
    assert(line.isTold);
  });

  test('is not out because each of the others lagged behind once, at another time', () => {
    const line = new Line('c1');
    for (const lagging of [2, 3, 2, 3]) {
      line.lookAround(lagging);
      assert(!line.isTold);
      line.follow(2, 1_000);
    }
  });

  test('is not out because each of the others lagged behind once, while no leader came', () => {
    const line = new Line('c1');
    for (const lagging of [2, 3, 2, 3]) line.lookAround(lagging);
    assert(!line.isTold);
  });
});

test('a request goes on to the next control node also behind one whose address nobody knows', () => {
  const line = new Line('m1');
  const { directory } = line.membership;
  const target = directory.target.bind(directory);
  for (const unknown of [1, 2, 3]) {
    directory.target = (number) => (number === unknown ? undefined : target(number));
    for (let round = 0; round < 8; round++) {
      let told: Outcome<{ index: number }> | undefined;
      line.client.ask(
        { kind: 'ask-pane', from: 4, ask: { kind: 'remove', number: 4 }, hops: 0 },
        decided,
        (outcome) => {
          told = outcome;
        },
        line.at,
      );
      const body = encode(decided, { index: 7 });
      const refused: RawOutcome = { ok: false, error: new HivemindError('no-leader', 'Nobody leads.') };
      const [first = 0] = line.answer(() => refused);
      const [second = 0] = line.answer(() => ({ ok: true, body, from: peer }));
      assert.deepEqual([first, second, unknown].sort(), [1, 2, 3]);
      assert(told?.ok);
    }
  }
});

test('a node that is elected while it asks hears whether an earlier attempt is open (seed 1174)', () => {
  for (const [first, code] of [
    ['no-leader', 'not-leader'],
    ['time-out', 'unknown-outcome'],
  ] as const) {
    const line = new Line('c1');
    let told: string | undefined;
    line.client.ask(
      { kind: 'ask-pane', from: 1, ask: { kind: 'remove', number: 4 }, hops: 0 },
      decided,
      (outcome) => {
        told = outcome.ok ? 'decided' : outcome.error.code;
      },
      line.at,
    );
    line.leads = true;
    line.answer(() => ({ ok: false, error: new HivemindError(first, 'It failed.') }));
    assert.equal(told, code);
  }
});
