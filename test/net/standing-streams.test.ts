/** What kernels tell about a process: standing streams, their ends, and knocks (HM-14). */
import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { silentConnectionsMax } from '../../src/net/doorstep.ts';
import { knocksMax } from '../../src/net/knocking.ts';
import { redialDelayMs, redialMsMax, redialMsMin } from '../../src/net/redial.ts';
import type { ClosedPeer, TlsStreams } from '../../src/net/streams.ts';
import type { Clock } from '../../src/seam/clock.ts';
import { dialOutcomeOf, type KnockOutcome, type StreamTarget } from '../../src/seam/streams.ts';
import { ask, bytes, pause, start, targetOf, until } from './stream-lab.ts';
import { clock, keyOf, targetAt } from './stream-node.ts';
import type { Order } from './stream-process.ts';

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface NodeProcess {
  readonly port: number;
  readonly child: ChildProcess;
  order(order: Order): void;
}

async function startProcess(number: NodeNumber): Promise<NodeProcess> {
  const program = new URL('./stream-process.ts', import.meta.url);
  const child = fork(program, [String(number)], { execArgv: ['--import', 'tsx'] });
  children.push(child);
  const [port] = (await once(child, 'message')) as [number];
  return { port, child, order: (order) => child.send(order) };
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A port that neither accepts nor refuses: its process is stopped, and its queue is full. */
async function silentPort(): Promise<number> {
  const code = `const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGSTOP');
  const filling = Array.from({ length: 8 }, () => connect(Number(line), '127.0.0.1').on('error', () => {}));
  after(() => {
    for (const socket of filling) socket.destroy();
  });
  await pause(50);
  return Number(line);
}

const at = (...ports: readonly number[]): StreamTarget => ({
  endpoints: ports.map((port) => ({ host: '127.0.0.1', port })),
  number: 2,
});

describe('a knock', () => {
  test('is accepted where something listens, and leaves nothing behind but a count', async () => {
    const [one, two] = [await start(1), await start(2)];
    assert.equal(await one.knock(targetOf(two, 2), 1_000), 'accepted');
    await until(() => two.counters.knocks === 1);
    const { accepted, handshakesFailed, turnedAway, malformed } = two.counters;
    assert.deepEqual([accepted, handshakesFailed, turnedAway, malformed], [1, 0, 0, 0]);
    assert.deepEqual(two.peersConnected(), []);
    assert.equal(one.counters.knocksSent, 1);
  });

  test('is refused only when the kernel refuses at every address, in order', async () => {
    const [one, two] = [await start(1), await start(2)];
    const [free, other] = [await freePort(), await freePort()];
    assert.equal(await one.knock(at(free), 1_000), 'refused');
    assert.equal(await one.knock(at(free, other), 1_000), 'refused');
    assert.equal(await one.knock(at(free, two.local.port), 1_000), 'accepted');
    assert.equal(await one.knock(at(two.local.port, free), 1_000), 'accepted');
    assert.equal(await one.knock(at(), 1_000), 'silent');
  });

  test('is accepted by a stopped process and refused for a killed one', async () => {
    const one = await start(1);
    const { port, child } = await startProcess(2);
    child.kill('SIGSTOP');
    assert.equal(await one.knock(at(port), 1_000), 'accepted');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(await one.knock(at(port), 1_000), 'refused');
  });

  test('at silence ends in time, and with other addresses it proves nothing', async () => {
    const one = await start(1);
    const silent = await silentPort();
    const startedAt = performance.now();
    assert.equal(await one.knock(at(silent), 200), 'silent');
    assert.equal(await one.knock(at(await freePort(), silent), 200), 'silent');
    assert.equal(await one.knock(at(silent, one.local.port), 200), 'accepted');
    assert.ok(performance.now() - startedAt < 3_000);
    const waiting = one.knock(at(silent, one.local.port), 60_000);
    await one.close();
    assert.equal(await waiting, 'silent', 'closing ends it at once');
  });

  test(`is one of ${knocksMax} at a time; one on top ends silent and is counted`, async () => {
    const [one, two] = [await start(1), await start(2)];
    const outcomes = await Promise.all(Array.from({ length: knocksMax + 6 }, () => one.knock(targetOf(two, 2), 3_000)));
    const count = (wanted: KnockOutcome): number => outcomes.filter((outcome) => outcome === wanted).length;
    assert.deepEqual([count('accepted'), count('silent')], [knocksMax, 6]);
    assert.equal(one.counters.knocksDropped, 6);
  });

  test('in bursts takes no place from those who come to speak', async () => {
    const [one, three] = [await start(1), await start(3)];
    const two = await start(2, { limits: { guestsMax: 2, guestsPerAddressMax: 1, incomingMax: 2 } });
    const knocks = Array.from({ length: knocksMax }, () => one.knock(targetOf(two, 2), 3_000));
    assert.equal(await ask(three, targetOf(two, 2), 'x'), 'x');
    assert.ok((await Promise.all(knocks)).every((outcome) => outcome === 'accepted'));
    await until(() => two.counters.knocks === knocksMax);
    assert.deepEqual([two.counters.turnedAway, two.counters.handshakesFailed], [0, 0]);
  });

  test('that nobody resets makes room for newer connections, and for those who speak', async () => {
    const two = await start(2, { limits: { silenceMs: 60_000 } });
    const mute = Array.from({ length: silentConnectionsMax + 3 }, () => connect(two.local).on('error', () => {}));
    await until(() => two.counters.accepted === mute.length);
    assert.equal(two.counters.turnedAway, 3);
    assert.equal(await ask(await start(1), targetOf(two, 2), 'x'), 'x');
    assert.equal(two.counters.turnedAway, 4);
    for (const socket of mute) socket.destroy();
    await until(() => two.counters.knocks === silentConnectionsMax - 1);
  });
});

/** Five times as fast as the real one: a back-off of 1 s takes 200 ms. */
const hurried: Clock = {
  ...clock,
  now: () => clock.now() * 5,
  after: (delayMs, fire) => clock.after(delayMs / 5, fire),
};

const heldBy = (streams: TlsStreams): readonly (number | undefined)[] =>
  streams
    .peersConnected()
    .filter(({ direction }) => direction === 'outgoing')
    .map(({ peer }) => (peer.kind === 'member' ? peer.number : undefined))
    .sort();

describe('a standing stream', () => {
  test('is dialled at once, serves requests, and outlives the idle limit at both ends', async () => {
    const limits = { idleMs: 100, strangerIdleMs: 100 };
    const [one, two, three] = [await start(1, { limits }), await start(2, { limits }), await start(3, { limits })];
    one.hold([targetOf(two, 2), targetOf(three, 3)]);
    await until(() => heldBy(one).length === 2);
    await pause(400);
    assert.deepEqual(heldBy(one), [2, 3]);
    assert.equal(two.peersConnected().length, 1);
    assert.equal(await ask(one, targetOf(two, 2), 'x'), 'x');
    assert.equal(one.counters.dials, 2);
    one.hold([targetOf(three, 3)]);
    await until(() => heldBy(one).length === 1);
    assert.deepEqual(heldBy(one), [3], 'the other one has become idle');
    assert.equal(one.counters.dials, 2);
  });

  test('takes over the connection that a request has made, and gives it back', async () => {
    const [one, two] = [await start(1, { limits: { idleMs: 150 } }), await start(2)];
    await ask(one, targetOf(two, 2), 'x');
    one.hold([targetOf(two, 2)]);
    await pause(400);
    assert.deepEqual(heldBy(one), [2]);
    one.hold([]);
    one.hold([targetOf(two, 2)]);
    await pause(300);
    assert.deepEqual([heldBy(one), one.counters.dials], [[2], 1]);
    one.hold([]);
    await until(() => heldBy(one).length === 0);
  });

  test('is not closed to make room for others', async () => {
    const one = await start(1, { limits: { outgoingMax: 2 } });
    const [two, three, four] = [await start(2), await start(3), await start(4)];
    one.hold([targetOf(two, 2)]);
    await until(() => heldBy(one).length === 1);
    await ask(one, targetOf(three, 3), 'x');
    await ask(one, targetOf(four, 4), 'x');
    assert.deepEqual(heldBy(one), [2, 4]);
  });

  test('is dialled again after its end, also where its target has moved meanwhile', async () => {
    const one = await start(1, { clock: hurried });
    const two = await start(2);
    one.hold([targetOf(two, 2)]);
    await until(() => heldBy(one).length === 1);
    const { port } = two.local;
    await two.close();
    await until(() => heldBy(one).length === 0);
    const again = await start(2, { port });
    await until(() => heldBy(one).length === 1);
    await again.close();
    await until(() => heldBy(one).length === 0);
    const moved = await start(2);
    one.hold([targetOf(moved, 2)]);
    await until(() => heldBy(one).length === 1);
    assert.equal(moved.peersConnected().length, 1);
  });

  test('waits between dials that fail, longer each time, and never asks for more than two at once', async () => {
    const one = await start(1, { clock: hurried, limits: { dialMs: 5_000 } });
    const waiting = new Set<Socket>();
    const mute = createServer((socket) => {
      waiting.add(socket.on('error', () => {}).resume());
      socket.once('close', () => waiting.delete(socket));
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    one.hold([2, 3, 4, 5, 6].map((number) => targetAt(port, number)));
    await until(() => waiting.size > 0);
    await pause(200);
    assert.equal(waiting.size, 2);
    await until(() => one.counters.dialsFailed >= 4);
    await one.close();
    mute.close();
    const delays = [0, 1, 2, 3, 4, 100].map((failures) => redialDelayMs(failures, 0));
    assert.deepEqual(delays, [redialMsMin, 2_000, 4_000, 8_000, 15_000, 15_000]);
    assert.equal(redialDelayMs(100, 1), redialMsMax);
  });
});

/** Holds streams with the process in both directions; gives the ends of both. */
async function holdBothWays(
  number: NodeNumber,
): Promise<{ one: TlsStreams; other: NodeProcess; closed: ClosedPeer[] }> {
  const closed: ClosedPeer[] = [];
  const one = await start(1, { onPeerClosed: (peer) => closed.push(peer) });
  const other = await startProcess(number);
  one.hold([targetAt(other.port, number)]);
  other.order({ kind: 'hold', port: one.local.port, number: 1 });
  await until(() => one.peersConnected().length === 2);
  return { one, other, closed };
}

const endsOf = (closed: readonly ClosedPeer[]): readonly string[] =>
  closed.map(({ peer, direction, reason }) => `${direction} ${peer.kind === 'member' && peer.number} ${reason}`).sort();

describe('the end of a stream', () => {
  test('without a goodbye tells within a second that a process was killed, whoever had dialled', async () => {
    const { other, closed } = await holdBothWays(2);
    const killedAt = performance.now();
    other.child.kill('SIGKILL');
    await until(() => closed.length === 2);
    assert.ok(performance.now() - killedAt < 1_000);
    assert.deepEqual(endsOf(closed), ['incoming 2 broken', 'outgoing 2 broken']);
  });

  test('is without a goodbye when a process exits by itself', async () => {
    const { other, closed } = await holdBothWays(3);
    other.order({ kind: 'exit' });
    await until(() => closed.length === 2);
    assert.deepEqual(endsOf(closed), ['incoming 3 broken', 'outgoing 3 broken']);
  });

  test('is a goodbye on every connection when a process stops in good order', async () => {
    const { one, other, closed } = await holdBothWays(4);
    // It hears of the stop, is busy while the goodbye comes in, and writes before it reads that.
    other.child.once('message', () => {
      const busyUntil = performance.now() + 100;
      while (performance.now() < busyUntil);
      for (let count = 0; count < 5; count++) one.post(targetAt(other.port, 4), bytes('x'));
    });
    const exited = once(other.child, 'exit');
    other.order({ kind: 'stop' });
    await until(() => closed.length === 2);
    assert.deepEqual(endsOf(closed), ['incoming 4 goodbye', 'outgoing 4 goodbye']);
    await exited;
  });

  test('is a goodbye when it was idle, and when it was disconnected', async () => {
    const closed: ClosedPeer[] = [];
    const one = await start(1, { onPeerClosed: (peer) => closed.push(peer) });
    const idle = await start(3, { limits: { idleMs: 50 } });
    await ask(idle, targetOf(one, 1), 'x');
    await until(() => closed.length === 1);
    const four = await start(4);
    await ask(four, targetOf(one, 1), 'x');
    four.disconnect(1);
    await until(() => closed.length === 2);
    assert.deepEqual(endsOf(closed), ['incoming 3 goodbye', 'incoming 4 goodbye']);
  });
});

test('a failed request tells whether every kernel refused; a node that answered with an error did not', async () => {
  const one = await start(1);
  const two = await start(2, {
    onRequest: () => Promise.reject(new HivemindError('address-unreachable', 'Somebody else refused me.')),
  });
  const outcomeAt = async (...ports: readonly number[]): Promise<string> => {
    const target = { ...at(...ports), publicKey: keyOf(2) };
    const thrown: unknown = await one.request(target, bytes('x'), 300).catch((error: unknown) => error);
    assert.ok(thrown instanceof HivemindError);
    return dialOutcomeOf(thrown);
  };
  const silent = await silentPort();
  assert.equal(await outcomeAt(await freePort()), 'refused');
  await pause(400);
  assert.equal(await outcomeAt(await freePort(), await freePort()), 'refused');
  await pause(400);
  assert.equal(await outcomeAt(await freePort(), silent), 'silent');
  assert.equal(await outcomeAt(two.local.port), 'silent');
});
