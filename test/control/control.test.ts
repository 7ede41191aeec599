/** What the event log can decide about members, and that every control node comes to the same state. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { u48Max } from '../../src/bytes.ts';
import { verifyCertificate } from '../../src/certificate/certificate.ts';
import { returnMemoryMs, returnsMax } from '../../src/control/admitted-member.ts';
import { applyNothing, brakeReleaseMsMax } from '../../src/control/apply.ts';
import { featureLevelMax, featureLevelOf } from '../../src/control/command.ts';
import { returnsWithinHour } from '../../src/control/control-state.ts';
import { MembershipChanges, membershipChangesMax } from '../../src/control/membership-changes.ts';
import { reapable, reapedTogetherMax } from '../../src/control/reaping.ts';
import type { LogIndex, NodeNumber } from '../../src/identity.ts';
import { dayMs, firstTokenSeed, foundedAt, role, signingKey, type WishChanges } from '../certificate/cluster.ts';
import { createToken, Pane, tokenSeed } from './pane.ts';

const bee: WishChanges = { seed: 0x51, name: 'bee' };

describe('the state that a genesis begins with', () => {
  test('has its control nodes as members, its token, and nothing else', () => {
    const { state } = new Pane(3);
    assert.deepEqual(
      [...state.members.values()].map(({ number, name, roles, status, incarnation }) => [
        number,
        name,
        roles,
        status,
        incarnation,
      ]),
      [1, 2, 3].map((number) => [number, `control-${number}`, ['control'], 'alive', 0]),
    );
    assert.equal(state.tokens.size, 1);
    assert.deepEqual([state.epoch, state.featureLevel, state.nextNumber, state.at], [1, 1, 4, foundedAt]);
    assert.deepEqual([state.pending.size, state.removed.size, state.declarations.size], [0, 0, 0]);
  });
});

describe('a removal', () => {
  test('holds from its first entry on, and is certified by a majority with the second', () => {
    const pane = new Pane();
    const member = pane.admit();
    const [removing, wanted] = pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
    assert(removing?.kind === 'removing' && removing.member === member);
    assert(wanted?.kind === 'signatures-wanted' && wanted.statement.kind === 'remove');
    assert.equal(pane.state.members.has(4), false);
    assert.equal(pane.state.removed.get(4)?.certificate, undefined);

    pane.refuse(pane.complete(4, [1]), 'refused');
    const [removed] = pane.change(pane.complete(4));
    assert(removed?.kind === 'removed');
    const verified = verifyCertificate(removed.certificate, pane.founders.set);
    assert(verified?.statement.kind === 'remove');
    assert.deepEqual([verified.statement.number, verified.statement.reason], [4, 'left']);
    pane.refuse(pane.complete(4), 'not-found');
  });

  test('is no admission: the signatures for one do not make the other', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    const completion = pane.complete(4);
    pane.change(completion);
    pane.change({ kind: 'begin-removal', number: 4, reason: 'removed' });
    assert(completion.kind === 'complete-admission');
    pane.refuse({ ...completion, kind: 'complete-removal' }, 'refused');
  });

  test('because it was down for too long is not of one that came back meanwhile', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    pane.change(pane.complete(4));
    assert.match(pane.refuse({ kind: 'begin-removal', number: 4, reason: 'reaped' }, 'refused'), /has come back/);
    pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] });
    pane.change({ kind: 'begin-removal', number: 4, reason: 'reaped' });
  });

  test('is of a member, and never of a control node', () => {
    const pane = new Pane();
    pane.refuse({ kind: 'begin-removal', number: 4, reason: 'reaped' }, 'not-found');
    for (const number of [1, 2, 3]) {
      assert.match(pane.refuse({ kind: 'begin-removal', number, reason: 'left' }, 'refused'), /is a control node/);
    }
    pane.change(pane.begin());
    pane.refuse({ kind: 'begin-removal', number: 4, reason: 'removed' }, 'not-found');
    pane.change(pane.complete(4));
    pane.change({ kind: 'begin-removal', number: 4, reason: 'removed' });
    pane.refuse({ kind: 'begin-removal', number: 4, reason: 'removed' }, 'not-found');
  });

  test('is for good: the same key joins anew under a new number', () => {
    const pane = new Pane();
    pane.admit();
    pane.change({ kind: 'begin-removal', number: 4, reason: 'removed' });
    assert.equal(pane.admit().number, 5);
    pane.change(pane.complete(4));
    assert.deepEqual([...pane.state.members.keys()], [1, 2, 3, 5]);
    assert.deepEqual([...pane.state.removed.keys()], [4]);
  });
});

const convict = (...subjects: readonly (readonly [NodeNumber, number])[]) =>
  ({ kind: 'convict', subjects: subjects.map(([number, incarnation]) => ({ number, incarnation })) }) as const;

describe('a conviction', () => {
  test('takes all the members down that are alive at that incarnation, each once', () => {
    const pane = new Pane();
    pane.admit();
    const events = pane.change(convict([4, 0], [4, 0], [2, 0], [9, 0], [3, 1]));
    assert.deepEqual(
      events.map((event) => event.kind === 'convicted' && [event.member.number, event.member.status]),
      [
        [4, 'down'],
        [2, 'down'],
      ],
    );
    assert.equal(pane.member(3).status, 'alive');
  });

  test('of nobody who is alive at that incarnation changes nothing', () => {
    const pane = new Pane();
    pane.admit();
    for (const wrong of [convict(), convict([4, 1]), convict([5, 0])]) pane.refuse(wrong, 'refused');
    pane.change(convict([4, 0]));
    pane.refuse(convict([4, 0]), 'refused');
  });

  test('takes no vote away, and no membership', () => {
    const pane = new Pane();
    pane.change(convict([1, 0], [2, 0]));
    pane.admit();
    assert.deepEqual([...pane.state.members.keys()], [1, 2, 3, 4]);
  });

  test('ends when the member returns at its next incarnation', () => {
    const pane = new Pane();
    pane.admit();
    const back = (incarnation: number) => ({ kind: 'return', number: 4, incarnation }) as const;
    pane.refuse(back(1), 'refused');
    pane.change(convict([4, 0]));
    for (const wrong of [0, 2, 16]) pane.refuse(back(wrong), 'refused');
    const [returned] = pane.change(back(1));
    assert(returned?.kind === 'returned' && returned.member.status === 'alive' && returned.member.incarnation === 1);
    pane.refuse(back(1), 'refused');
    pane.refuse(back(2), 'refused');
    pane.refuse(convict([4, 0]), 'refused');
    pane.change(convict([4, 1]));
    pane.change(back(2));
    pane.refuse({ kind: 'return', number: 9, incarnation: 1 }, 'not-found');
  });
});

describe('a standing', () => {
  const fall = (pane: Pane, incarnation: number): void => void pane.change(convict([4, incarnation]));
  const rise = (pane: Pane, incarnation: number): void => void pane.change({ kind: 'return', number: 4, incarnation });

  test('holds since the time of the log at which it was decided', () => {
    const pane = new Pane();
    assert.equal(pane.member(1).since, foundedAt);
    const joined = pane.admit().since;
    pane.now += 5_000;
    fall(pane, 0);
    const down = pane.member(4).since;
    pane.now -= 3_000;
    rise(pane, 1);
    const back = pane.member(4).since;
    assert.deepEqual([down - joined, back - joined], [5_000, 5_000], 'a clock that goes back does not move it');
    assert.equal(back, pane.state.at);
  });

  test('remembers the returns of the last hour, and of those the sixteen newest', () => {
    const pane = new Pane();
    pane.admit();
    const returns = (): number => returnsWithinHour(pane.member(4), pane.now);
    assert.equal(returns(), 0);
    for (let each = 0; each < 20; each++) {
      fall(pane, each);
      pane.now += 60_000;
      rise(pane, each + 1);
      assert.equal(returns(), Math.min(each + 1, returnsMax));
    }
    const newest = pane.now;
    assert.deepEqual([pane.member(4).returnedAt.at(-1), pane.member(4).returnedAt.length], [newest, returnsMax]);
    pane.now = newest + returnMemoryMs - 60_000;
    assert.equal(returns(), 2);
    fall(pane, 20);
    assert.equal(pane.member(4).returnedAt.length, returnsMax, 'a conviction forgets nothing');
    rise(pane, 21);
    assert.deepEqual(pane.member(4).returnedAt, [newest - 60_000, newest, pane.now]);
    pane.now += returnMemoryMs;
    assert.equal(returns(), 1);
    assert.equal(returnsWithinHour(pane.member(4), pane.now + 1), 0);
  });
});

describe('the brake', () => {
  test('is released until a time within the next hour of the log, and may be released anew', () => {
    const pane = new Pane();
    assert.equal(pane.state.brakeReleasedUntil, 0);
    const release = (until: number) => ({ kind: 'release-brake', until }) as const;
    for (const wrong of [0, pane.now - 1, pane.now, pane.now + brakeReleaseMsMax + 1]) {
      assert.match(pane.refuse(release(wrong), 'refused'), /in the future, for one hour at most/);
    }
    for (const until of [pane.now + brakeReleaseMsMax, pane.now + 1]) {
      assert.deepEqual(pane.change(release(until)), [{ kind: 'brake-released', until }]);
      assert.equal(pane.state.brakeReleasedUntil, until);
    }
    pane.refuse(release(pane.now + 1), 'refused', pane.now + 1);
    pane.refuse(release(pane.now + 1), 'refused', pane.now - 5_000);
  });
});

describe('reaping', () => {
  const admitMany = (pane: Pane, count: number): readonly NodeNumber[] =>
    Array.from({ length: count }, (_, each) => pane.admit({ seed: 0x46 + 2 * each, name: `node-${each}` }).number);
  const dayAndMore = (pane: Pane): readonly NodeNumber[] => reapable(pane.state, pane.now, dayMs);

  test('takes whom the pane holds for down since long enough, and no control node', () => {
    const pane = new Pane();
    admitMany(pane, 3);
    pane.change(convict([1, 0], [5, 0]));
    pane.now += 1_000;
    pane.change(convict([4, 0]));
    pane.now += dayMs - 1_001;
    assert.deepEqual(dayAndMore(pane), []);
    pane.now += 1;
    assert.deepEqual(dayAndMore(pane), [5]);
    pane.now += 1_000;
    assert.deepEqual(dayAndMore(pane), [4, 5]);
    assert.deepEqual(reapable(pane.state, pane.now, 0), [], 'never');
    pane.change({ kind: 'return', number: 4, incarnation: 1 });
    assert.deepEqual(dayAndMore(pane), [5]);
    pane.change({ kind: 'begin-removal', number: 5, reason: 'reaped' });
    assert.deepEqual(dayAndMore(pane), []);
    const statement = pane.state.removed.get(5)?.statement;
    assert.equal(statement?.reason, 'reaped');
  });

  test('takes a few at a time', () => {
    const pane = new Pane();
    const numbers = admitMany(pane, reapedTogetherMax + 2);
    pane.change(convict(...numbers.map((number) => [number, 0] as const)));
    pane.now += dayMs;
    assert.deepEqual(dayAndMore(pane), numbers.slice(0, reapedTogetherMax));
  });
});

describe('the changes of the membership', () => {
  test('are told behind any index, in their order', () => {
    const pane = new Pane();
    assert.deepEqual(pane.state.changesSince(0), []);
    pane.admit();
    pane.admit(bee);
    pane.change(createToken());
    pane.change(convict([4, 0], [5, 0]));
    pane.change({ kind: 'return', number: 5, incarnation: 1 });
    pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
    pane.change(pane.complete(4));
    const all = [
      { index: 2, number: 4, kind: 'admitted' },
      { index: 4, number: 5, kind: 'admitted' },
      { index: 6, number: 4, kind: 'standing' },
      { index: 6, number: 5, kind: 'standing' },
      { index: 7, number: 5, kind: 'standing' },
      { index: 8, number: 4, kind: 'removed' },
    ];
    for (let index = 0; index <= 10; index++) {
      assert.deepEqual(
        pane.state.changesSince(index),
        all.filter((change) => change.index > index),
      );
    }
  });

  test(`are the ${membershipChangesMax} newest; behind an older index nothing is told rather than a part`, () => {
    const changes = new MembershipChanges();
    const told = (index: LogIndex) => changes.since(index)?.map((change) => change.index);
    const indexes = Array.from({ length: membershipChangesMax }, (_, each) => 10 + Math.floor(each / 2));
    for (const index of indexes) changes.record({ index, number: 4, kind: 'standing' });
    assert.deepEqual(told(0), indexes);
    changes.record({ index: 5_000, number: 4, kind: 'standing' });
    assert.equal(told(9), undefined, 'one of the two changes of entry 10 is forgotten');
    assert.deepEqual(told(10), [...indexes.slice(2), 5_000]);
    for (let each = 0; each < 2 * membershipChangesMax; each++) {
      changes.record({ index: 6_000, number: 4, kind: 'standing' });
    }
    assert.equal(told(5_999), undefined, 'one entry changed more than is remembered');
    assert.deepEqual([told(6_000), told(6_001)], [[], []]);
  });
});

describe('the members of a role', () => {
  test('are always at hand, ascending, whoever is admitted first', () => {
    const pane = new Pane();
    const { state } = pane;
    pane.change(pane.begin({ roles: [role('host'), role('dns')] }));
    pane.change(pane.begin({ ...bee, roles: [role('dns')] }));
    assert.deepEqual(state.membersOfRole('dns'), []);
    pane.change(pane.complete(5));
    pane.change(pane.complete(4));
    const all = (): readonly (readonly NodeNumber[])[] =>
      ['control', 'dns', 'host', 'nginx'].map((each) => state.membersOfRole(each));
    assert.deepEqual(all(), [[1, 2, 3], [4, 5], [4], []]);
    pane.change(convict([5, 0]));
    assert.deepEqual(all(), [[1, 2, 3], [4, 5], [4], []], 'those that are down are members, too');
    pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
    assert.deepEqual(all(), [[1, 2, 3], [5], [], []]);
  });
});

describe('every entry', () => {
  test('moves the index; the time never goes back', () => {
    const pane = new Pane();
    pane.apply(createToken(), foundedAt - 5_000);
    assert.deepEqual([pane.state.appliedIndex, pane.state.at], [1, foundedAt]);
    pane.apply(createToken({ seed: 0x62 }), foundedAt + 5_000);
    pane.apply(createToken({ seed: 0x63 }), foundedAt + 4_000);
    assert.deepEqual([pane.state.appliedIndex, pane.state.at], [3, foundedAt + 5_000]);
    pane.apply({ kind: 'revoke-token', publicKey: signingKey(0x70).publicKey }, foundedAt + 6_000);
    assert.deepEqual([pane.state.appliedIndex, pane.state.at], [4, foundedAt + 6_000]);
    applyNothing(pane.state, 5);
    assert.deepEqual([pane.state.appliedIndex, pane.state.at], [5, foundedAt + 6_000]);
  });

  test('of the last possible time is applied like any other', () => {
    const pane = new Pane();
    pane.change(createToken({ notAfter: u48Max }), u48Max);
    pane.change(pane.begin({ token: tokenSeed, askedAt: u48Max }), u48Max);
    pane.change(pane.complete(4));
    assert.match(pane.hash, /^[0-9a-f]{64}$/);
  });

  test('is of a kind that the committed feature level knows, and the level rises one at a time', () => {
    const pane = new Pane();
    assert(Object.values(featureLevelOf).every((level) => level >= 1 && level <= featureLevelMax));
    for (const level of [0, 1, featureLevelMax + 1, 65_535])
      pane.refuse({ kind: 'raise-feature-level', level }, 'refused');
    pane.state.featureLevel = 0;
    assert.match(pane.refuse(createToken(), 'refused'), /come with a later feature level/);
  });
});

describe('the hash of the state', () => {
  /** The same beginning, and then one step each. */
  const after = (step: (pane: Pane) => void): string => {
    const pane = new Pane();
    pane.admit();
    step(pane);
    applyNothing(pane.state, 100);
    pane.state.at = foundedAt + dayMs;
    return pane.hash;
  };

  test('differs as soon as anything differs', () => {
    const steps: readonly ((pane: Pane) => void)[] = [
      () => {},
      (pane) => pane.change(createToken()),
      (pane) => pane.change(createToken({ usesMax: 1 })),
      (pane) => pane.change(createToken({ roles: ['host'] })),
      (pane) => pane.change(createToken({ notAfter: foundedAt + 1 })),
      (pane) => pane.change({ kind: 'revoke-token', publicKey: signingKey(firstTokenSeed).publicKey }),
      (pane) => pane.change(pane.begin(bee)),
      (pane) => pane.change(pane.begin({ ...bee, askedAt: foundedAt + 2_000 })),
      (pane) => pane.change(pane.begin(bee), pane.now + 1),
      (pane) => pane.admit(bee),
      (pane) => {
        applyNothing(pane.state, 50);
        pane.log.push(...new Array<Uint8Array>(48));
        pane.admit(bee);
      },
      (pane) => pane.change({ kind: 'begin-removal', number: 4, reason: 'left' }),
      (pane) => {
        pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] });
        pane.change({ kind: 'begin-removal', number: 4, reason: 'reaped' });
      },
      (pane) => {
        pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
        pane.change(pane.complete(4));
      },
      (pane) => {
        pane.change({ kind: 'begin-removal', number: 4, reason: 'left' });
        pane.change(pane.complete(4, [2, 3]));
      },
      (pane) => pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] }),
      (pane) => pane.change({ kind: 'convict', subjects: [{ number: 3, incarnation: 0 }] }),
      (pane) => {
        pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] });
        pane.change({ kind: 'return', number: 4, incarnation: 1 });
      },
      (pane) => {
        pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] });
        pane.change({ kind: 'return', number: 4, incarnation: 1 }, pane.now + 1);
      },
      (pane) => pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] }, pane.now + 1),
      ...[1, 2].map((firstMs) => (pane: Pane) => {
        pane.change(convict([4, 0]));
        pane.change({ kind: 'return', number: 4, incarnation: 1 }, pane.now + firstMs);
        pane.change(convict([4, 1]), pane.now + 3);
        pane.change({ kind: 'return', number: 4, incarnation: 2 }, pane.now + 3);
      }),
      (pane) => pane.change({ kind: 'release-brake', until: pane.now + 1 }),
      (pane) => pane.change({ kind: 'release-brake', until: pane.now + 2 }),
    ];
    assert.equal(new Set(steps.map(after)).size, steps.length);
  });

  test('does not depend on the way there, only on where it led', () => {
    const inOneOrder = after((pane) => {
      pane.change(createToken({ seed: 0x61 }));
      pane.change(createToken({ seed: 0x62 }));
    });
    const inTheOther = after((pane) => {
      pane.change(createToken({ seed: 0x62 }));
      pane.change(createToken({ seed: 0x61 }));
    });
    assert.equal(inOneOrder, inTheOther);
  });
});
