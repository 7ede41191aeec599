/** What programs on this machine may send to the agent's socket. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import type { LocalRequest } from '../../src/node/local-api.ts';
import { readLocalRequest } from '../../src/node/local-request.ts';
import { pack } from '../../src/packed.ts';

const examples: readonly LocalRequest[] = [
  { kind: 'status' },
  { kind: 'members' },
  { kind: 'node', name: 'atlas' },
  { kind: 'log', from: 1, most: 1_000 },
  { kind: 'log', from: 1, most: 1_000, consistent: true },
  { kind: 'events', most: 20, follow: true },
  { kind: 'configs', role: 'host' },
  { kind: 'pane' },
  { kind: 'create-token', roles: ['host', 'dns'], ttlMs: 60_000, usesMax: 1 },
  { kind: 'revoke-token', key: 'A'.repeat(43) },
  { kind: 'leave' },
  { kind: 'remove', name: 'atlas' },
  { kind: 'stop' },
];

const wrong: readonly (readonly [string, unknown])[] = [
  ['no object', 7],
  ['an array', ['status']],
  ['no kind', {}],
  ['an unknown kind', { kind: 'reboot' }],
  ['a kind of every object', { kind: 'constructor' }],
  ['a missing field', { kind: 'node' }],
  ['a field of another type', { kind: 'log', from: '1', most: 10 }],
  ['more uses than a token may have', { kind: 'create-token', roles: [], ttlMs: 1, usesMax: 1_000_001 }],
  ['a role that is no label', { kind: 'create-token', roles: ['Host'], ttlMs: 1, usesMax: 1 }],
  ['too many roles', { kind: 'create-token', roles: Array(17).fill('host'), ttlMs: 1, usesMax: 1 }],
];

describe('a request to the agent', () => {
  test('of each kind reads back as it was written', () => {
    for (const request of examples) assert.deepEqual(readLocalRequest(pack(request)), request);
  });

  for (const [what, request] of wrong) {
    test(`with ${what} is refused with a sentence`, () => {
      const isUsage = (thrown: unknown): boolean => thrown instanceof HivemindError && thrown.code === 'usage';
      assert.throws(() => readLocalRequest(pack(request)), isUsage);
    });
  }

  test('that is no msgpack is refused', () => {
    assert.throws(() => readLocalRequest(Buffer.from([0xc1])), HivemindError);
  });
});
