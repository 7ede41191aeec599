/** The simulator's kernels: what they say of a dead process, and when they say nothing (HM-14). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SigningKey, signingKeyFrom } from '../../src/crypto.ts';
import type { Endpoint, NodeNumber } from '../../src/identity.ts';
import type { RawOutcome } from '../../src/member/effect.ts';
import type { Member } from '../../src/member/member.ts';
import { seededRandom } from '../../src/seam/random.ts';
import type { KnockOutcome, StreamPeer, StreamTarget } from '../../src/seam/streams.ts';
import { SimNetwork } from '../../src/sim/sim-network.ts';
import { SimStreams, type StreamEnd } from '../../src/sim/sim-streams.ts';
import { Timeline } from '../../src/sim/timeline.ts';

/** As much of a machine with a process as streams need: the process lives or it does not. */
class Machine implements StreamEnd {
  readonly name: string;
  readonly number: NodeNumber;
  readonly endpoint: Endpoint;
  readonly signingKey: SigningKey;
  readonly streams: SimStreams;
  readonly broken: [at: number, number: NodeNumber][] = [];
  generation = 1;
  running = true;
  private readonly timeline: Timeline;

  constructor(number: NodeNumber, timeline: Timeline, world: ConstructorParameters<typeof SimStreams>[1]) {
    this.timeline = timeline;
    this.number = number;
    this.name = `n${number}`;
    this.endpoint = { host: `10.0.0.${number}`, port: 7100 };
    this.signingKey = signingKeyFrom(Buffer.alloc(32, number));
    this.streams = new SimStreams(this, world);
  }

  get member(): Member | undefined {
    return this.running ? ({} as Member) : undefined;
  }

  get time(): { readonly now: number; readonly wall: number } {
    return { now: this.timeline.now, wall: this.timeline.now };
  }

  get target(): StreamTarget {
    return { endpoints: [this.endpoint], number: this.number, publicKey: this.signingKey.publicKey };
  }

  kill(): void {
    this.running = false;
    this.generation++;
    this.streams.reset();
  }

  restart(): void {
    this.running = true;
    this.generation++;
  }

  awake(then: () => void): void {
    then();
  }

  holds(to: StreamTarget): boolean {
    return to.number === this.number;
  }

  step(): void {
    assert.fail('no message was sent');
  }

  later(delayMs: number, then: () => void): void {
    const { generation } = this;
    this.timeline.schedule(this.timeline.now + delayMs, () => {
      if (this.generation === generation) then();
    });
  }

  onPeerBroken(number: NodeNumber): void {
    this.broken.push([this.timeline.now, number]);
  }

  asPeer(): StreamPeer {
    return { kind: 'member', number: this.number, publicKey: this.signingKey.publicKey, remote: this.endpoint };
  }
}

interface Lab {
  readonly network: SimNetwork;
  readonly timeline: Timeline;
  readonly one: Machine;
  readonly two: Machine;
  run(durationMs: number): void;
  knock(): KnockOutcome | undefined;
}

function lab(): Lab {
  const timeline = new Timeline();
  const random = seededRandom(7);
  const network = new SimNetwork(timeline, random);
  const machines: Machine[] = [];
  const at = ({ host }: Endpoint): Machine | undefined => machines.find((each) => each.endpoint.host === host);
  const [one, two] = [1, 2].map((number) => new Machine(number, timeline, { network, random, at })) as [
    Machine,
    Machine,
  ];
  machines.push(one, two);
  const run = (durationMs: number): void => {
    const until = timeline.now + durationMs;
    while (timeline.nextAt <= until) timeline.step();
    timeline.now = until;
  };
  const knock = (): KnockOutcome | undefined => {
    let heard: KnockOutcome | undefined;
    one.streams.knock(two.target, 1_500, (outcome) => {
      assert.equal(heard, undefined, 'told once');
      heard = outcome;
    });
    run(3_000);
    return heard;
  };
  return { network, timeline, one, two, run, knock };
}

test('a knock is accepted by a running process, refused for a dead one, and lost where links are cut', () => {
  const { network, one, two, run, knock } = lab();
  assert.equal(knock(), 'accepted');
  two.kill();
  assert.equal(knock(), 'refused');
  network.cutOneWay('n2', 'n1');
  assert.equal(knock(), 'silent');
  network.heal();
  const outcomes: KnockOutcome[] = [];
  const nowhere = { endpoints: [{ host: '10.0.0.9', port: 7100 }], number: 9 };
  one.streams.knock(nowhere, 1_500, (outcome) => outcomes.push(outcome));
  run(2_000);
  assert.deepEqual(outcomes, ['silent'], 'no machine has that address');
});

test('a request to a dead process is refused by its kernel; one across a cut is not', () => {
  const { network, one, two, run } = lab();
  const outcomes: RawOutcome[] = [];
  two.kill();
  one.streams.ask(two.target, new Uint8Array(1), 500, (outcome) => outcomes.push(outcome));
  run(1_000);
  network.partition(['n1'], ['n2']);
  one.streams.ask(two.target, new Uint8Array(1), 500, (outcome) => outcomes.push(outcome));
  run(1_000);
  assert.deepEqual(
    outcomes.map((outcome) => !outcome.ok && outcome.refused === true),
    [true, false],
  );
});

test('who is held learns that the holder has died after one network delay, once', () => {
  const { timeline, one, two, run } = lab();
  one.streams.hold([two.target]);
  run(100);
  const diedAt = timeline.now;
  one.kill();
  run(60_000);
  assert.equal(two.broken.length, 1);
  const [[heardAt, number] = [0, 0]] = two.broken;
  assert.equal(number, 1);
  assert.ok(heardAt > diedAt && heardAt - diedAt <= 3, `${heardAt - diedAt} ms`);
});

test('a machine that vanished tells nothing; the kernel at the other end gives up after 40 s', () => {
  const { network, timeline, one, two, run } = lab();
  one.streams.hold([two.target]);
  run(100);
  const diedAt = timeline.now;
  network.partition(['n1'], ['n2']);
  one.kill();
  run(35_000);
  assert.deepEqual(two.broken, []);
  run(10_000);
  assert.equal(two.broken.length, 1);
  assert.ok((two.broken[0]?.[0] ?? 0) - diedAt >= 40_000);
});

test('a held stream is dialled again when the process at its other end is back', () => {
  const { one, two, run } = lab();
  one.streams.hold([two.target]);
  run(100);
  two.kill();
  run(20_000);
  assert.deepEqual(one.broken, [], 'only who is held is told');
  two.restart();
  run(31_000);
  one.kill();
  run(10);
  assert.deepEqual(
    two.broken.map(([, number]) => number),
    [1],
  );
});

test('who is released hears nothing, and neither does a process that was not there', () => {
  const { one, two, run } = lab();
  one.streams.hold([two.target]);
  run(100);
  one.streams.hold([]);
  one.kill();
  run(100);
  one.restart();
  one.streams.hold([two.target]);
  run(100);
  two.streams.disconnect(1);
  one.kill();
  run(100);
  one.restart();
  one.streams.hold([two.target]);
  two.kill();
  two.restart();
  one.kill();
  run(100);
  assert.deepEqual(two.broken, []);
});
