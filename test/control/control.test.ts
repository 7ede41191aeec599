/** What the event log can decide about members, and that every control node comes to the same state. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { u48Max } from '../../src/bytes.ts';
import { verifyCertificate } from '../../src/certificate/certificate.ts';
import { applyNothing } from '../../src/control/apply.ts';
import { featureLevelMax, featureLevelOf } from '../../src/control/command.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { dayMs, firstTokenSeed, foundedAt, signingKey, type WishChanges } from '../certificate/cluster.ts';
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

describe('a conviction', () => {
  const convict = (...subjects: readonly (readonly [NodeNumber, number])[]) =>
    ({ kind: 'convict', subjects: subjects.map(([number, incarnation]) => ({ number, incarnation })) }) as const;

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
      (pane) => pane.change({ kind: 'begin-removal', number: 4, reason: 'reaped' }),
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
