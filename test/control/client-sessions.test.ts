/** Sessions: whatever is lost, sent again or overtaken, each command of a client is applied once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHex, utf8 } from '../../src/bytes.ts';
import { ClientSessions, sessionsMax, type Turn, turnsKept } from '../../src/control/client-sessions.ts';
import type { LogIndex } from '../../src/identity.ts';
import { filled } from '../certificate/cluster.ts';
import { Pane, type Undated } from './pane.ts';

function idOf(each: number): Uint8Array {
  return Uint8Array.from([0, 0, 0, 0, each >>> 24, each >>> 16, each >>> 8, each]);
}

function note(turn: Partial<Turn> = {}): Undated {
  return { kind: 'note', by: 4, session: filled(8, 1), since: 0, sequence: 1, text: utf8('hello'), ...turn };
}

describe('a turn of a session', () => {
  test('that is sent again has the index of its entry, and changes nothing', () => {
    const pane = new Pane();
    pane.change(note());
    pane.change(note({ sequence: 2 }));
    const before = pane.state.sessions.kept;
    assert.deepEqual(pane.apply(note()), { kind: 'repeated', index: 1 });
    assert.deepEqual(pane.apply(note({ sequence: 2 })), { kind: 'repeated', index: 2 });
    assert.deepEqual(pane.state.sessions.kept, before);
    assert.equal(pane.state.appliedIndex, 4);
  });

  test('may be overtaken by as many as are remembered, and by no more', () => {
    const pane = new Pane();
    pane.change(note({ sequence: turnsKept + 1 }));
    pane.change(note({ sequence: 2 }));
    assert.match(pane.refuse(note({ sequence: 1 }), 'session-expired'), /too old .* open a new session\./);
    pane.change(note({ sequence: turnsKept + 2 }));
    assert.deepEqual(pane.apply(note({ sequence: turnsKept + 1 })), { kind: 'repeated', index: 1 });
    pane.refuse(note({ sequence: 2 }), 'session-expired');
  });

  test(`is refused once ${sessionsMax} sessions were used after it, and not applied anew`, () => {
    const pane = new Pane();
    pane.change(note());
    for (let each = 2; each <= sessionsMax; each++) pane.change(note({ session: idOf(each) }));
    assert.deepEqual(pane.apply(note()), { kind: 'repeated', index: 1 });
    pane.change(note({ session: idOf(sessionsMax + 1) }));
    pane.refuse(note(), 'session-expired');
    pane.refuse(note({ sequence: 2 }), 'session-expired');
    pane.change(note({ session: filled(8, 9), since: pane.state.appliedIndex }));
  });

  test('of a session that knows what the log does not have is refused', () => {
    const pane = new Pane();
    pane.refuse(note({ since: 1 }), 'session-expired');
    pane.change(note({ since: 1 }));
  });

  test('keeps its session when others are forgotten: the one whose newest entry is the oldest goes first', () => {
    const pane = new Pane();
    for (let each = 1; each <= sessionsMax; each++) pane.change(note({ session: idOf(each) }));
    pane.change(note({ session: idOf(1), sequence: 2 }));
    pane.change(note({ session: idOf(sessionsMax + 1) }));
    assert.deepEqual(pane.apply(note({ session: idOf(1) })), { kind: 'repeated', index: 1 });
    pane.refuse(note({ session: idOf(2) }), 'session-expired');
  });
});

/** A message on its way: a client's turn, delivered as often and as late as chance wants. */
const delivery = fc.record({ client: fc.nat(5), back: fc.nat(6), isNewSession: fc.nat(9).map((each) => each === 0) });

const manyDeliveries = fc.array(delivery, { minLength: 300, maxLength: 300 });

test('in whatever order turns arrive, each is applied at most once and its index never changes', () => {
  const seen = { new: 0, repeated: 0, refused: 0 };
  fc.assert(
    fc.property(manyDeliveries, fc.constantFrom(0, 4_000, 5_000), (deliveries, others) => {
      const sessions = new ClientSessions();
      const appliedAt = new Map<string, LogIndex>();
      const clients = Array.from({ length: 6 }, () => ({ session: 0, since: 0, sent: 0 }));
      const sent: Turn[] = [];
      let [index, drawn] = [0, 100_000];
      const deliver = (turn: Turn): void => {
        const key = `${toHex(turn.session)} ${turn.sequence}`;
        const standing = sessions.judge(turn, ++index);
        seen[standing.kind]++;
        if (standing.kind === 'repeated') assert.equal(standing.index, appliedAt.get(key));
        if (standing.kind !== 'new') return;
        assert(!appliedAt.has(key), `${key} is applied twice`);
        appliedAt.set(key, index);
        sessions.settle(turn, index);
      };
      deliveries.forEach(({ client, back, isNewSession }, at) => {
        const each = clients[client] as (typeof clients)[number];
        if (isNewSession || each.session === 0) Object.assign(each, { session: ++drawn, since: index, sent: 0 });
        sent.push({ session: idOf(each.session), since: each.since, sequence: ++each.sent });
        // Often it is not what was sent last that arrives, and now and then something very old.
        deliver(sent[Math.max(0, sent.length - 1 - back * back * back)] as Turn);
        if (at === 150) for (let other = 1; other <= others; other++) deliver(turnOf(other, index));
      });
    }),
    { seed: 11, numRuns: 60 },
  );
  for (const [kind, count] of Object.entries(seen)) assert(count > 20, `${kind} came about ${count} times`);
});

function turnOf(each: number, since: LogIndex): Turn {
  return { session: idOf(each), since, sequence: 1 };
}
