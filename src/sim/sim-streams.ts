/**
 * The streams of one simulated node. As in production the answerer identifies a dialler once for each connection,
 * which lives until one of the two processes dies or the member is forgotten; TLS is taken for granted.
 */
import type { SigningKey } from '../crypto.ts';
import { HivemindError, toHivemindError } from '../error.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../identity.ts';
import type { MemberInput, RawOutcome } from '../member/effect.ts';
import type { Instant } from '../member/instant.ts';
import { answerAsJoiner } from '../member/joining.ts';
import type { Member } from '../member/member.ts';
import type { StreamPeer, StreamTarget } from '../seam/streams.ts';
import type { SimNetwork } from './sim-network.ts';

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
  /** This node as whoever dialled it sees it. */
  asPeer(): StreamPeer;
}

export interface StreamWorld {
  readonly network: SimNetwork;
  at(endpoint: Endpoint): StreamEnd | undefined;
}

export class SimStreams {
  private readonly node: StreamEnd;
  private readonly world: StreamWorld;
  private nextRequestId = 1;
  private readonly answers = new Map<number, Then>();
  /** Members that have a connection to this process, by their process. */
  private readonly connected = new Map<string, StreamPeer & { readonly kind: 'member' }>();

  constructor(node: StreamEnd, world: StreamWorld) {
    this.node = node;
    this.world = world;
  }

  /** The process died, and all its connections with it. */
  reset(): void {
    this.answers.clear();
    this.connected.clear();
  }

  /** Closes what there is with a member that does not belong any more. */
  disconnect(number: NodeNumber): void {
    for (const [process, peer] of this.connected) if (peer.number === number) this.connected.delete(process);
  }

  post(to: StreamTarget, body: Uint8Array): void {
    const { node, world } = this;
    const target = this.reach(to);
    if (target === undefined) return;
    const arrive = (): void => {
      const from = target.holds(to) ? target.streams.identify(node) : undefined;
      if (from !== undefined) target.step({ kind: 'post', from, body });
    };
    world.network.stream(node.name, target.name, arrive, () => {});
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
    const arrive = (): void => {
      if (!target.running || !target.holds(to)) back({ ok: false, error: unreachableError() });
      else if (target.member === undefined) back(target.streams.asJoiner(body));
      else target.streams.onRequest(node, body, back);
    };
    world.network.stream(node.name, target.name, arrive, fail);
  }

  /** Answers a request that this node was asked; a second answer to the same one is ignored. */
  answer(id: number, answer: Uint8Array | HivemindError): void {
    const back = this.answers.get(id);
    this.answers.delete(id);
    if (answer instanceof HivemindError) back?.({ ok: false, error: answer });
    else back?.({ ok: true, from: this.node.asPeer(), body: answer });
  }

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
function onceIn(node: StreamEnd, then: Then): Then {
  const { generation } = node;
  let open = true;
  return (outcome) => {
    if (open && node.generation === generation) then(outcome);
    open = false;
  };
}

function unreachableError(): HivemindError {
  return new HivemindError('address-unreachable', 'Nobody answers there.');
}
