/**
 * Agents on machines of their own, on links that lose packets: what the simulator says of loss, of one-way cuts, of
 * vanished machines and of blocked ports holds for real processes, a real kernel and real streams (HM-14).
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalEvent } from '../../src/node/local-api.ts';
import { NetnsCluster, type Report } from './netns-cluster.ts';
import { whyNoNetwork } from './netns-network.ts';
import { until } from './processes.ts';

const skip = await whyNoNetwork();

const control = ['c1', 'c2', 'c3'];
const others = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6'];

const lossPercent = 30;
const lossMs = 25_000;
/** Longer than a conviction takes. */
const blockedMs = 8_000;
/** Ceilings for a busy machine; what is usual stands in the diagnostics. */
const convictedMs = 15_000;
const downUnderLossMs = 30_000;
const namedMs = 60_000;
const crashNoticedMs = 3_000;
const backMs = 20_000;

type Meaning = (event: LocalEvent) => boolean;

const isDown: Meaning = ({ kind }) => kind === 'down';
/** By the pane; else it is a hint, from most of its observers while nobody can decide. */
const isConviction: Meaning = (event) => isDown(event) && event.detail.hint === false;
const isBack: Meaning = ({ kind }) => kind === 'back';
const isBlocked: Meaning = ({ kind }) => kind === 'datagrams-blocked';
const isSuspicion: Meaning = ({ kind }) => kind === 'suspected';
const isElection: Meaning = ({ kind }) => kind === 'leader';

describe('nine agents in network namespaces', { skip }, () => {
  let cluster: NetnsCluster;

  before(async () => {
    cluster = await NetnsCluster.found(control, others);
  });
  afterEach(() => cluster.network.heal());
  after(() => cluster.close());

  /** Who was held for down by anybody since then, by name. */
  const down = (since: number): readonly string[] => [
    ...new Set(cluster.since(since, isDown).map(({ event }) => event.node ?? '')),
  ];

  /** Waits until all others report this of `name`, says how long that took, and gives that of the last of them. */
  async function reportedBy(
    t: TestContext,
    what: string,
    isMeant: Meaning,
    name: string,
    since: number,
    withinMs: number,
  ): Promise<number> {
    const { firstMs, lastMs } = await cluster.reportedByAll(
      `${name} as ${what}`,
      (event) => isMeant(event) && event.node === name,
      cluster.names.filter((each) => each !== name),
      since,
      withinMs,
    );
    t.diagnostic(`${name} is ${what} for the first observer after ${firstMs} ms, for the last after ${lastMs} ms`);
    return lastMs;
  }

  test(`that lose ${lossPercent} % of all packets give up nobody but the one that is killed (HM-14)`, async (t) => {
    const beganAt = Date.now();
    cluster.network.lose(lossPercent);
    await sleep(lossMs);
    assert.deepEqual(down(beganAt), []);
    const [suspicions, elections] = [isSuspicion, isElection].map((meant) => cluster.since(beganAt, meant).length);
    t.diagnostic(`${suspicions} suspicions and ${elections} news of a leader in ${lossMs} ms of loss, nobody down`);
    const killedAt = Date.now();
    await cluster.kill('m6');
    // So much loss stalls the streams of the pane, too: the word of most observers has to do until it can decide.
    await reportedBy(t, 'down', isDown, 'm6', killedAt, downUnderLossMs);
    cluster.network.heal();
    await reportedBy(t, 'convicted', isConviction, 'm6', killedAt, convictedMs);
    await cluster.start('m6');
    await cluster.calm();
    assert.deepEqual(down(beganAt), ['m6']);
  });

  test('give up nobody whose datagrams are blocked, but name him, nor whom one other cannot hear', async (t) => {
    const beganAt = Date.now();
    cluster.network.blockDatagrams('m4');
    cluster.network.cut('m5', 'm2');
    const naming = (): readonly Report[] =>
      cluster.since(beganAt, isBlocked).filter(({ event }) => event.node === 'm4');
    await Promise.all([sleep(blockedMs), until('one names m4', () => naming().length > 0, namedMs)]);
    assert.deepEqual(down(beganAt), []);
    const blocked = naming();
    const firstMs = Math.min(...blocked.map(({ at }) => at)) - beganAt;
    t.diagnostic(`${blocked.length} say that the datagrams of m4 are blocked, the first after ${firstMs} ms`);
  });

  test('convict one that hears nobody, and nobody whom it accuses; healed, it is back by itself', async (t) => {
    const beganAt = Date.now();
    cluster.network.deafen('m1');
    await reportedBy(t, 'convicted', isConviction, 'm1', beganAt, convictedMs);
    const healedAt = Date.now();
    cluster.network.heal();
    await reportedBy(t, 'back', isBack, 'm1', healedAt, backMs);
    await cluster.calm();
    assert.deepEqual(down(beganAt), ['m1']);
  });

  test('notice a crashed process at once, because its kernel says so', async (t) => {
    const beganAt = Date.now();
    await cluster.kill('m3');
    const lastMs = await reportedBy(t, 'convicted', isConviction, 'm3', beganAt, convictedMs);
    assert(lastMs < crashNoticedMs, `${lastMs} ms`);
    assert.deepEqual(down(beganAt), ['m3']);
  });

  test('notice a vanished machine, of which nothing says anything', async (t) => {
    const beganAt = Date.now();
    cluster.network.unplug('m2');
    await reportedBy(t, 'convicted', isConviction, 'm2', beganAt, convictedMs);
    assert.deepEqual(down(beganAt), ['m2']);
  });
});
