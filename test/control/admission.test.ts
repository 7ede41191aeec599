/** Who is admitted, by which token, under which name and with which roles. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { equalBytes } from '../../src/bytes.ts';
import { isAdmission, verifyCertificate } from '../../src/certificate/certificate.ts';
import type { RoleDeclaration } from '../../src/certificate/join-request.ts';
import { certificateLifeMs, clockSkewMs, declarationsMax, tokensMax } from '../../src/control/admission-policy.ts';
import { isSameWish } from '../../src/control/apply.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { firstTokenSeed, foundedAt, role, signingKey, type WishChanges } from '../certificate/cluster.ts';
import { createToken, Pane, tokenSeed } from './pane.ts';

const bee: WishChanges = { seed: 0x51, name: 'bee' };

function usesOf(pane: Pane, seed: number): number | undefined {
  const wanted = signingKey(seed).publicKey;
  return [...pane.state.tokens.values()].find((token) => equalBytes(token.publicKey, wanted))?.uses;
}

describe('an admission', () => {
  test('takes two entries, and is invisible to everybody in between (HM-9, HM-22)', () => {
    const pane = new Pane();
    const members = [...pane.state.members];
    const events = pane.change(pane.begin({ roles: [role('host'), role('dns', { consumes: ['host'] })] }));
    assert.deepEqual(
      events.map((event) => event.kind),
      ['signatures-wanted'],
    );
    assert.deepEqual([...pane.state.members], members);
    assert.equal(pane.state.memberByName('atlas'), undefined);
    assert.equal(pane.state.declarations.size, 0);

    const [admitted, ...others] = pane.change(pane.complete(4));
    assert(admitted?.kind === 'admitted' && others.length === 0);
    assert.equal(pane.state.pending.size, 0);
    const { number, name, roles, status, incarnation, joinedAt, certificate } = pane.member(4);
    assert.deepEqual(
      [number, name, roles, status, incarnation, joinedAt],
      [4, 'atlas', ['host', 'dns'], 'alive', 0, 2],
    );
    assert(isAdmission(verifyCertificate(certificate ?? new Uint8Array(0), pane.founders.set)));
    assert.deepEqual([...pane.state.declarations.keys()], ['host', 'dns']);
  });

  test('gives a certificate for this number, name, keys and roles, valid from a little before now', () => {
    const pane = new Pane();
    const { certificate, locator } = pane.admit({ roles: [role('host')] });
    const request = pane.founders.joinRequest({ roles: [role('host')] });
    const statement = verifyCertificate(certificate ?? new Uint8Array(0), pane.founders.set)?.statement;
    assert.deepEqual(statement, {
      kind: 'admit',
      cluster: pane.founders.genesis.cluster,
      epoch: 1,
      controlSet: 0,
      number: 4,
      name: 'atlas',
      signingKey: request.signingKey,
      exchangeKey: request.exchangeKey,
      roles: ['host'],
      notBefore: pane.now - clockSkewMs,
      notAfter: pane.now + certificateLifeMs,
    } satisfies typeof statement);
    assert(equalBytes(locator ?? new Uint8Array(0), request.locator.bytes));
  });

  for (const [size, majority] of [
    [3, 2],
    [4, 3],
    [5, 3],
  ] as const) {
    test(`is complete when ${majority} of ${size} different control nodes signed it, and no sooner (HM-5)`, () => {
      const pane = new Pane(size);
      const number = pane.state.nextNumber;
      pane.change(pane.begin());
      for (let signers = 0; signers < majority; signers++) {
        pane.refuse(pane.complete(number, pane.founders.numbers.slice(0, signers)), 'refused');
      }
      pane.refuse(pane.complete(number, new Array<NodeNumber>(majority).fill(1)), 'refused');
      pane.change(pane.complete(number, pane.founders.numbers.slice(-majority)));
    });
  }

  test('counts no signature under another number, over another statement or by a stranger', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    const statement = pane.state.pending.get(4)?.statement;
    assert(statement !== undefined);
    const [first, second] = pane.founders.shares(statement, [1, 2]);
    assert(first !== undefined && second !== undefined);
    const [other] = pane.founders.shares({ ...statement, name: 'other' }, [2]);
    const stranger = { signer: 2, signature: signingKey(0x41).sign(new Uint8Array(1)) };
    for (const wrong of [
      { ...first, signer: 2 },
      { ...second, signer: 4 },
      { ...second, signer: 99 },
      other,
      stranger,
      first,
    ]) {
      assert(wrong !== undefined);
      pane.refuse({ kind: 'complete-admission', number: 4, shares: [first, wrong] }, 'refused');
    }
    pane.refuse({ kind: 'complete-admission', number: 4, shares: [first, second, stranger] }, 'refused');
    pane.refuse({ kind: 'complete-admission', number: 5, shares: [first, second] }, 'not-found');
    pane.change({ kind: 'complete-admission', number: 4, shares: [second, first] });
    pane.refuse({ kind: 'complete-admission', number: 4, shares: [second, first] }, 'not-found');
  });

  test('keeps no more signatures than it needs', () => {
    const pane = new Pane(5);
    pane.change(pane.begin());
    pane.change(pane.complete(6, [5, 4, 3, 2, 1]));
    const { certificate } = pane.member(6);
    assert(certificate !== undefined);
    const verified = verifyCertificate(certificate, pane.founders.set);
    assert(verified !== undefined);
    assert.equal(certificate.length, pane.founders.certificate(verified.statement, [1, 2, 3]).bytes.length);
  });

  test('of a request that is forged, cut short or for another cluster is none', () => {
    const pane = new Pane();
    const { bytes } = pane.founders.joinRequest();
    const altered = Uint8Array.from(bytes);
    altered[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    for (const request of [altered, bytes.subarray(1), new Uint8Array(0)]) {
      pane.refuse({ kind: 'begin-admission', request }, 'refused');
    }
    pane.refuse({ kind: 'begin-admission', request: new Pane(4).founders.joinRequest().bytes }, 'refused');
    assert.equal(pane.state.nextNumber, 4);
  });

  test('of the same key again is refused, pending or complete, whatever it wishes', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    assert.match(pane.refuse(pane.begin(), 'refused'), /admitted already/);
    pane.refuse(pane.begin({ name: 'other' }), 'refused');
    pane.change(pane.complete(4));
    pane.refuse(pane.begin(), 'refused');
    pane.refuse(pane.begin({ name: 'other' }), 'refused');
    assert.equal(usesOf(pane, firstTokenSeed), 1);
    pane.refuse(pane.begin({ seed: 2, name: 'control-b' }), 'refused');
  });

  test('of a member that asks for what it has is known for that', () => {
    const pane = new Pane();
    const member = pane.admit({ roles: [role('host'), role('dns')] });
    const asks = (wish: WishChanges): boolean => isSameWish(member, pane.founders.joinRequest(wish));
    assert(asks({ roles: [role('host'), role('dns')] }));
    assert(!asks({ roles: [role('host')] }));
    assert(!asks({ name: 'other', roles: [role('host'), role('dns')] }));
  });
});

describe('a token', () => {
  test('that the cluster does not know admits nobody', () => {
    const pane = new Pane();
    assert.match(pane.refuse(pane.begin({ token: tokenSeed }), 'token-invalid'), /not known to this cluster/);
    pane.change(createToken());
    pane.change(pane.begin({ token: tokenSeed }));
  });

  test('admits until it expires, by the time of the log', () => {
    const notAfter = foundedAt + 60_000;
    const pane = new Pane();
    pane.change(createToken({ notAfter }));
    pane.change(pane.begin({ token: tokenSeed }), notAfter);
    const late = pane.begin({ ...bee, token: tokenSeed });
    const sentence = pane.refuse(late, 'token-expired', notAfter + 1);
    assert.match(sentence, /expired at 2026-01-02T00:01:00\.000Z/);
    pane.refuse(late, 'token-expired', notAfter);
  });

  test('admits as many nodes as it may, counting those that are pending', () => {
    const pane = new Pane();
    pane.change(createToken({ usesMax: 2 }));
    pane.admit({ token: tokenSeed });
    pane.change(pane.begin({ ...bee, token: tokenSeed }));
    assert.equal(usesOf(pane, tokenSeed), 2);
    const third = pane.begin({ seed: 0x53, name: 'wasp', token: tokenSeed });
    assert.match(pane.refuse(third, 'token-used-up'), /admitted all of its 2 nodes/);

    pane.change(createToken({ seed: 0x62, usesMax: 1 }));
    pane.admit({ seed: 0x53, name: 'wasp', token: 0x62 });
    assert.match(pane.refuse(pane.begin({ seed: 0x55, name: 'fly', token: 0x62 }), 'token-used-up'), /its one node/);
  });

  test('of any number of uses is never used up', () => {
    const pane = new Pane();
    for (let each = 0; each < 20; each++) pane.admit({ seed: 0x80 + 2 * each, name: `node-${each}` });
    assert.equal(usesOf(pane, firstTokenSeed), 20);
  });

  test('admits the roles that it names and no others', () => {
    const pane = new Pane();
    pane.change(createToken({ roles: ['host', 'dns'] }));
    const wrong = pane.begin({ token: tokenSeed, roles: [role('host'), role('nginx')] });
    assert.match(pane.refuse(wrong, 'roles-not-allowed'), /admits host, dns, not nginx; .*--role host,nginx/);
    pane.change(pane.begin({ token: tokenSeed, roles: [role('dns')] }));
  });

  test('is created once, and revoked once', () => {
    const pane = new Pane();
    assert.deepEqual(pane.change(createToken()), [{ kind: 'token-changed' }]);
    pane.refuse(createToken({ usesMax: 7 }), 'refused');
    const { publicKey } = createToken();
    pane.change({ kind: 'revoke-token', publicKey });
    pane.refuse({ kind: 'revoke-token', publicKey }, 'not-found');
    pane.refuse(pane.begin({ token: tokenSeed }), 'token-invalid');
  });

  test('that is revoked meanwhile does not undo an admission that began', () => {
    const pane = new Pane();
    pane.change(pane.begin());
    pane.change({ kind: 'revoke-token', publicKey: signingKey(firstTokenSeed).publicKey });
    pane.change(pane.complete(4));
  });

  test(`may be one of ${tokensMax}`, () => {
    const pane = new Pane();
    const publicKey = (each: number): Uint8Array => new Uint8Array(new Uint32Array(8).fill(each).buffer);
    const token = createToken();
    for (let each = 1; each < tokensMax; each++) pane.change({ ...token, publicKey: publicKey(each) });
    pane.refuse({ ...token, publicKey: publicKey(tokensMax) }, 'refused');
    pane.now = token.notAfter + 1;
    pane.change({ ...token, publicKey: publicKey(tokensMax), notAfter: pane.now + 1_000 });
    assert.equal(pane.state.tokens.size, 1, 'those that have expired make room');
  });
});

describe('a name', () => {
  test('is taken while another node is pending, alive or down', () => {
    const pane = new Pane();
    const rival = pane.begin({ ...bee, name: 'atlas' });
    pane.change(pane.begin());
    assert.match(pane.refuse(rival, 'name-taken'), /atlas is taken by another node/);
    pane.change(pane.complete(4));
    pane.refuse(rival, 'name-taken');
    pane.change({ kind: 'convict', subjects: [{ number: 4, incarnation: 0 }] });
    pane.refuse(rival, 'name-taken');
    pane.refuse(pane.begin({ ...bee, name: 'control-2' }), 'name-taken');
    pane.change({ kind: 'begin-removal', number: 4, reason: 'removed' });
    pane.change(rival);
  });

  test('is a lower-case DNS label', () => {
    const pane = new Pane();
    for (const name of ['', 'Atlas', 'atlas.lab', 'atlas_1', 'x'.repeat(64)]) {
      assert.match(pane.refuse(pane.begin({ name }), 'name-invalid'), /not a lower-case DNS label/);
    }
  });
});

describe('roles', () => {
  test('are one or more, each once; control comes alone, and by a token that names it', () => {
    const pane = new Pane();
    pane.refuse(pane.begin({ roles: [] }), 'roles-not-allowed');
    pane.refuse(pane.begin({ roles: [role('host'), role('host')] }), 'roles-not-allowed');
    const sentence = pane.refuse(pane.begin({ roles: [role('host'), role('control')] }), 'roles-not-allowed');
    assert.match(sentence, /performs no other role/);
    const unnamed = pane.refuse(pane.begin({ roles: [role('control')] }), 'roles-not-allowed');
    assert.match(unnamed, /admits all roles but control/);
    pane.change(createToken({ roles: ['control'] }));
    pane.change(pane.begin({ token: tokenSeed, roles: [role('control')] }));
  });

  test('are declared alike by everybody, those who are pending included (HM-17)', () => {
    const pane = new Pane();
    const dns = role('dns', { requires: ['host'], bootstrapFrom: ['dns', 'host'], consumes: ['host'] });
    pane.change(pane.begin({ roles: [dns] }));
    const otherwise = [
      { ...dns, requires: [] },
      { ...dns, bootstrapFrom: ['host', 'dns'] },
      { ...dns, consumes: ['host', 'dns'] },
    ];
    const refuseOthers = (): void => {
      for (const other of otherwise) {
        const sentence = pane.refuse(pane.begin({ ...bee, roles: [role('host'), other] }), 'refused');
        assert.match(sentence, /role dns is declared otherwise/);
      }
    };
    refuseOthers();
    pane.change(pane.complete(4));
    refuseOthers();
    pane.admit({ ...bee, roles: [role('host'), dns] });
    assert.deepEqual(pane.state.declarations.get('dns'), dns);
  });

  test(`are of at most ${declarationsMax} types`, () => {
    const pane = new Pane();
    const named = (from: number, count: number): RoleDeclaration[] =>
      Array.from({ length: count }, (_, each) => role(`r${from + each}`));
    for (let from = 0; from < declarationsMax; from += 16) {
      pane.admit({ seed: 0x70 + from / 8, name: `node-${from}`, roles: named(from, 16) });
    }
    assert.equal(pane.state.declarations.size, declarationsMax);
    assert.match(pane.refuse(pane.begin({ ...bee, roles: [role('one-more')] }), 'refused'), /has 256 roles/);
    pane.admit({ ...bee, roles: named(8, 16) });
  });

  test('that come with admissions under way count, and not once these are withdrawn', () => {
    const pane = new Pane();
    const dns = role('dns', { consumes: ['host'] });
    const [first, second] = [bee, { seed: 0x53, name: 'wasp' }].map((who) => pane.begin({ ...who, roles: [dns] }));
    assert(first !== undefined && second !== undefined);
    pane.change(first);
    pane.change(second);
    const otherwise = pane.begin({ roles: [role('dns')], askedAt: pane.now + 60_000 });
    pane.now += 60_000;
    pane.change({ kind: 'withdraw-admission', number: 4 });
    assert.match(pane.refuse(otherwise, 'refused'), /role dns is declared otherwise/);
    pane.change({ kind: 'withdraw-admission', number: 5 });
    assert.deepEqual([pane.state.declarationsAhead, pane.state.declarationAhead('dns')], [0, undefined]);
    pane.change(otherwise);
    pane.change(pane.complete(6));
    assert.deepEqual(pane.state.declarations.get('dns'), role('dns'));
    pane.refuse(pane.begin({ ...bee, roles: [dns], askedAt: pane.now }), 'refused');
  });

  test('with names too long for a certificate are refused', () => {
    const pane = new Pane();
    const long = (count: number): RoleDeclaration[] =>
      Array.from({ length: count }, (_, each) => role(`${each}`.padEnd(63, 'x')));
    assert.match(pane.refuse(pane.begin({ roles: long(16) }), 'refused'), /too long for a certificate/);
    pane.admit({ roles: long(4) });
  });
});

describe('an admission that finds no majority', () => {
  const began = (): Pane => {
    const pane = new Pane();
    pane.change(createToken({ usesMax: 1 }));
    pane.change(pane.begin({ token: tokenSeed }));
    return pane;
  };

  test('is withdrawn after its time and not before', () => {
    const pane = began();
    pane.refuse({ kind: 'withdraw-admission', number: 4 }, 'refused', pane.now + 59_999);
    assert.deepEqual(pane.change({ kind: 'withdraw-admission', number: 4 }, pane.now + 60_000), [
      { kind: 'withdrawn', number: 4 },
    ]);
    pane.refuse({ kind: 'withdraw-admission', number: 4 }, 'not-found', pane.now + 60_000);
  });

  test('leaves the members as they were, gives the use back and burns the number (HM-22)', () => {
    const pane = began();
    const members = [...pane.state.members];
    const completion = pane.complete(4);
    pane.now += 60_000;
    pane.change({ kind: 'withdraw-admission', number: 4 });
    assert.deepEqual([...pane.state.members], members);
    assert.equal(usesOf(pane, tokenSeed), 0);
    pane.refuse(completion, 'not-found');
    assert.equal(pane.admit({ token: tokenSeed }).number, 5);
  });

  test('whose token is gone by then is withdrawn all the same', () => {
    const pane = began();
    pane.change({ kind: 'revoke-token', publicKey: signingKey(tokenSeed).publicKey });
    pane.change({ kind: 'withdraw-admission', number: 4 }, pane.now + 60_000);
    assert.equal(usesOf(pane, tokenSeed), undefined);
  });
});

describe('a join request', () => {
  test('that is older or newer than clocks may differ is refused: somebody may have recorded it', () => {
    const pane = new Pane();
    for (const askedAt of [foundedAt - clockSkewMs - 1, foundedAt + 2 * clockSkewMs]) {
      assert.match(pane.refuse(pane.begin({ askedAt }), 'refused'), /clock says .*Z, the cluster's .*Z; set it right/);
    }
    pane.change(pane.begin({ askedAt: foundedAt - clockSkewMs / 2 }));
  });
});
