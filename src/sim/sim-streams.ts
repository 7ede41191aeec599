/**
 * The streams of one simulated node. As in production the answerer identifies a dialler once for each connection,
 * which lives until one of the two processes dies or the member is forgotten; TLS is taken for granted. A machine
 * outlives its processes: its kernel refuses for a dead one and closes its standing streams, unless links are cut.
 */
import type { SigningKey } from '../crypto.ts';
import { HivemindError, toHivemindError } from '../error.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../identity.ts';
import type { MemberInput, RawOutcome } from '../member/effect.ts';
import { answerAsJoiner } from '../member/joining.ts';
import type { Member } from '../member/member.ts';
import { redialDelayMs } from '../net/redial.ts';
import type { Instant } from '../seam/instant.ts';
import type { Random } from '../seam/random.ts';
import type { KnockOutcome, StreamPeer, StreamTarget } from '../seam/streams.ts';
import { dialSilenceMs, type SimNetwork } from './sim-network.ts';

/** When a kernel gives up a connection whose other end is silent: 30 s of rest and ten probes, one each second. */
const keepAliveGivesUpMs = 40_000;

type Then = (outcome: RawOutcome) => void;

/** A node, as far as its streams need it. */
export interface StreamEnd {
  readonly name: string;
  readonly generation: number;
  /** Whether its process lives; it may not be a member yet. */
  readonly running: boolean;
  readonly number: NodeNumber;
  readonly endpoint: Endpoint;
  readonly signingKey: SigningKey;
  readonly member: Member | undefined;
  readonly time: Instant;
  readonly streams: SimStreams;
  /** Whether the dialled identity is this node's: TLS would prove it. */
  holds(to: StreamTarget): boolean;
  step(input: MemberInput): void;
  /** Happens only while this process lives. */
  later(delayMs: MonotonicMs, then: () => void): void;
  /** Happens when this process gets its turns. */
  awake(then: () => void): void;
  /** This node as whoever dialled it sees it. */
  asPeer(): StreamPeer;
  /** The standing stream that this member kept to this process ended without a goodbye. */
  onPeerBroken(number: NodeNumber): void;
}

export interface StreamWorld {
  readonly network: SimNetwork;
  readonly random: Random;
  at(endpoint: Endpoint): StreamEnd | undefined;
}

/** A standing stream that is open; each end forgets it with its process. */
interface StandingLink {
  readonly dialler: StreamEnd;
  readonly answerer: StreamEnd;
}

/** Whom this process holds a standing stream to. */
interface Held {
  target: StreamTarget;
  failures: number;
  link: StandingLink | undefined;
}

export class SimStreams {
  private readonly node: StreamEnd;
  private readonly world: StreamWorld;
  private nextRequestId = 1;
  private readonly answers = new Map<number, Then>();
  /** Members that have a connection to this process, by their process. */
  private readonly connected = new Map<string, StreamPeer & { readonly kind: 'member' }>();
  private readonly held = new Map<NodeNumber, Held>();
  /** Standing streams that others keep to this process. */
  private readonly kept = new Set<StandingLink>();

  constructor(node: StreamEnd, world: StreamWorld) {
    this.node = node;
    this.world = world;
  }

  /** The process died, and all its connections with it: the kernel tells whoever had a standing one. */
  reset(): void {
    for (const { link } of this.held.values()) {
      if (link) this.tell(link.answerer, () => link.answerer.streams.onDiallerDied(link));
    }
    for (const link of this.kept) this.tell(link.dialler, () => link.dialler.streams.onAnswererDied(link));
    this.answers.clear();
    this.connected.clear();
    this.held.clear();
    this.kept.clear();
  }

  /** Closes what there is with a member that does not belong any more. */
  disconnect(number: NodeNumber): void {
    for (const [process, peer] of this.connected) if (peer.number === number) this.connected.delete(process);
    for (const link of this.kept) if (link.dialler.number === number) this.kept.delete(link);
    this.release(number);
  }

  post(to: StreamTarget, body: Uint8Array): void {
    const { node, world } = this;
    const target = this.reach(to);
    if (target === undefined) return;
    const arrive = (): void => {
      const from = target.holds(to) ? target.streams.identify(node) : undefined;
      if (from !== undefined) target.step({ kind: 'post', from, body });
    };
    world.network.stream(
      node.name,
      target.name,
      () => target.awake(arrive),
      () => {},
    );
  }

  /** Calls `then` once, unless this process dies before. */
  ask(to: StreamTarget, body: Uint8Array, timeoutMs: number, then: Then): void {
    const { node, world } = this;
    const settle = onceIn(node, then);
    const fail = (): void => settle({ ok: false, error: unreachableError() });
    node.later(timeoutMs, () => settle({ ok: false, error: new HivemindError('time-out', 'No answer in time.') }));
    const target = this.reach(to);
    if (target === undefined) {
      node.later(1, fail);
      return;
    }
    const back = (outcome: RawOutcome): void =>
      world.network.stream(target.name, node.name, () => settle(outcome), fail);
    const answer = (): void => {
      if (!target.holds(to)) back({ ok: false, error: unreachableError() });
      else if (target.member === undefined) back(target.streams.asJoiner(body));
      else target.streams.onRequest(node, body, back);
    };
    const arrive = (): void => {
      if (target.running) target.awake(answer);
      else back({ ok: false, error: unreachableError(), refused: true });
    };
    world.network.stream(node.name, target.name, arrive, fail);
  }

  /** Calls `then` once, unless this process dies before. */
  knock(to: StreamTarget, timeoutMs: number, then: (outcome: KnockOutcome) => void): void {
    const { node, world } = this;
    const settle = onceIn(node, then);
    node.later(timeoutMs, () => settle('silent'));
    const target = this.reach(to);
    if (target === undefined) return;
    const answer = (): void => {
      const outcome = target.running ? 'accepted' : 'refused';
      world.network.stream(
        target.name,
        node.name,
        () => settle(outcome),
        () => {},
      );
    };
    world.network.stream(node.name, target.name, answer, () => {});
  }

  /** Keeps standing streams to these, each with its number, and to no others; who is released hears a goodbye. */
  hold(targets: readonly StreamTarget[]): void {
    const wanted = new Map(targets.map((target) => [target.number, target]));
    for (const number of this.held.keys()) if (!wanted.has(number)) this.release(number);
    for (const [number, target] of wanted) {
      const held = this.held.get(number);
      if (held) held.target = target;
      else this.begin({ target, failures: 0, link: undefined });
    }
  }

  /** Answers a request that this node was asked; a second answer to the same one is ignored. */
  answer(id: number, answer: Uint8Array | HivemindError): void {
    const back = this.answers.get(id);
    this.answers.delete(id);
    if (answer instanceof HivemindError) back?.({ ok: false, error: answer });
    else back?.({ ok: true, from: this.node.asPeer(), body: answer });
  }

  // — standing streams —

  private begin(held: Held): void {
    this.held.set(held.target.number, held);
    this.connect(held);
  }

  private connect(held: Held): void {
    const { node, world } = this;
    if (!this.isHeld(held)) return;
    const target = this.reach(held.target);
    const fail = (): void => this.redial(held);
    if (target === undefined) {
      node.later(dialSilenceMs, fail);
      return;
    }
    const arrive = (): void => {
      const isThere = target.member !== undefined && target.holds(held.target);
      if (isThere) this.open(held, target);
      else world.network.stream(target.name, node.name, fail, fail);
    };
    world.network.stream(node.name, target.name, () => target.awake(arrive), fail);
  }

  private open(held: Held, answerer: StreamEnd): void {
    if (!this.isHeld(held)) return;
    const link: StandingLink = { dialler: this.node, answerer };
    held.link = link;
    held.failures = 0;
    answerer.streams.kept.add(link);
  }

  private redial(held: Held): void {
    held.link = undefined;
    if (!this.isHeld(held)) return;
    this.node.later(redialDelayMs(held.failures++, this.world.random.next()), () => this.connect(held));
  }

  private release(number: NodeNumber): void {
    const link = this.held.get(number)?.link;
    if (link) link.answerer.streams.kept.delete(link);
    this.held.delete(number);
  }

  /** False once it was released, and once the process that held it is dead. */
  private isHeld(held: Held): boolean {
    return this.held.get(held.target.number) === held;
  }

  private onDiallerDied(link: StandingLink): void {
    if (this.kept.delete(link)) this.node.onPeerBroken(link.dialler.number);
  }

  private onAnswererDied(link: StandingLink): void {
    for (const held of this.held.values()) if (held.link === link) this.redial(held);
  }

  /** What the kernel says for a dead process; where it cannot get through, the other end's finds out by itself. */
  private tell(other: StreamEnd, then: () => void): void {
    this.world.network.stream(this.node.name, other.name, then, () => other.later(keepAliveGivesUpMs, then));
  }

  // — requests —

  private asJoiner(body: Uint8Array): RawOutcome {
    try {
      return { ok: true, from: this.node.asPeer(), body: answerAsJoiner(body) };
    } catch (thrown) {
      return { ok: false, error: toHivemindError(thrown) };
    }
  }

  private onRequest(asker: StreamEnd, body: Uint8Array, back: Then): void {
    const from = this.identify(asker);
    if (from === undefined) {
      const sentence = 'This node was removed from the cluster.';
      back({ ok: false, error: new HivemindError('not-admitted', sentence) });
      return;
    }
    const id = this.nextRequestId++;
    this.answers.set(id, back);
    this.node.step({ kind: 'request', id, from, body });
  }

  private reach(to: StreamTarget): StreamEnd | undefined {
    const [endpoint] = to.endpoints;
    return endpoint === undefined ? undefined : this.world.at(endpoint);
  }

  /** Who dials, as the handshake tells this node; nothing when the dialler was removed. */
  private identify(dialler: StreamEnd): StreamPeer | undefined {
    const process = `${dialler.name}#${dialler.generation}`;
    const connected = this.connected.get(process);
    if (connected !== undefined) return connected;
    const { member, time } = this.node;
    const { number: claimed, endpoint: remote } = dialler;
    if (member === undefined || member.directory.removed.has(claimed)) return undefined;
    const { publicKey } = dialler.signingKey;
    const number = member.identify(publicKey, claimed, dialler.member?.credential() ?? new Uint8Array(0), time);
    if (number === undefined) return { kind: 'stranger', publicKey, remote };
    const peer = { kind: 'member', number, publicKey, remote } as const;
    this.connected.set(process, peer);
    return peer;
  }
}

/** The same callback, dead after its first call and with the process that asked. */
function onceIn<T>(node: StreamEnd, then: (outcome: T) => void): (outcome: T) => void {
  const { generation } = node;
  let open = true;
  return (outcome) => {
    if (open && node.generation === generation) node.awake(() => then(outcome));
    open = false;
  };
}

function unreachableError(): HivemindError {
  return new HivemindError('address-unreachable', 'Nobody answers there.');
}
