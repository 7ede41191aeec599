/** What outlives a restart: as much as was written, and never more than can be read again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import {
  decodeMemory,
  encodeMemory,
  type MemberMemory,
  rememberedBytesMax,
  worthRemembering,
} from '../../src/member/memory.ts';
import { config, digest, members } from '../wire/examples.ts';
import { nodeOf, wholeCluster } from './scene.ts';

const memory: MemberMemory = {
  certificate: undefined,
  locator: undefined,
  digest,
  configs: [],
  commitIndex: 7,
  leaving: false,
};

function configsOf(count: number, role: string): readonly Config[] {
  return Array.from({ length: count }, (_, at) => ({ ...config, role, owner: at + 1 }));
}

describe('a memory', () => {
  test('of many thousand members and of the configs of several roles reads back whole', () => {
    const many = Array.from({ length: 12_000 }, (_, at) => ({
      ...(members[1] as (typeof members)[0]),
      number: at + 1,
    }));
    const configs = [...configsOf(9_000, 'host'), ...configsOf(6_000, 'cache')];
    const read = decodeMemory(encodeMemory({ ...memory, digest: { ...digest, members: many }, configs }));
    assert.deepEqual([read?.digest.members.length, read?.configs.length], [12_000, 15_000]);
    assert.equal(read?.commitIndex, 7);
  });

  test('keeps own configs in any case, and of the others what there is room for', () => {
    const large = { ...config, value: new Uint8Array(rememberedBytesMax / 4) };
    const kept = worthRemembering(
      [1, 2, 3, 4, 5, 6].map((owner) => ({ ...large, owner })),
      6,
    );
    assert.deepEqual(
      kept.map(({ owner }) => owner),
      [1, 2, 3, 4, 6],
    );
  });

  test('of a control node holds its own things: its log has the rest', () => {
    const cluster = wholeCluster({ members: 6 });
    const [control, member] = [nodeOf(cluster, 'c1'), nodeOf(cluster, 'm1')];
    cluster.run(10_000);
    const numbersIn = (stored: Uint8Array | undefined): readonly number[] =>
      decodeMemory(stored ?? assert.fail())?.digest.members.map(({ number }) => number) ?? assert.fail();
    assert.deepEqual(numbersIn(control.disk.memory), [1, 2, 3]);
    assert.equal(numbersIn(member.disk.memory).length, 9);
  });
});
