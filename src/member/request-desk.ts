/** Answers what peers ask over streams: first who may ask, then one handler for each kind of request. */
import { unreachable } from '../assert.ts';
import type { RoleDeclaration } from '../certificate/join-request.ts';
import type { Codec } from '../codec.ts';
import { HivemindError } from '../error.ts';
import type { Epoch, LogIndex, NodeNumber } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { StreamPeer } from '../seam/streams.ts';
import {
  type Admission,
  admission,
  charterPage,
  configPage,
  decided,
  decodeRequest,
  digest,
  facts,
  logPage,
  memberPage,
  type PaneAsk,
  type PeerRequest,
  paneStatus,
  type ReadIndex,
  reached,
  readIndex,
  roleMembers,
} from '../wire/peer-message.ts';
import { refuseRequest } from './access.ts';
import { askAttemptMs, type PaneClient } from './client/pane-client.ts';
import { mayBeDecided, mayRepeat, settles } from './client/repetition.ts';
import type { ConfigExchange } from './config-exchange.ts';
import type { Directory } from './directory.ts';
import type { Membership } from './membership.ts';
import type { Outbox, Outcome } from './outbox.ts';
import type { ControlPane } from './pane/control-pane.ts';
import type { PaneReply } from './pane/pane-reply.ts';
import { isLedHere, noLeader, noQuorum, unknownOutcome } from './pane-refusal.ts';
import { readPatience } from './reads.ts';

/** A request is passed on at most so often: asker's member, follower, leader, and once more when the leader changed. */
const hopsMax = 3;

type RequestOf<K extends PeerRequest['kind']> = Extract<PeerRequest, { readonly kind: K }>;

/** The parts of a member that know the answers. */
export interface DeskParts {
  readonly number: NodeNumber;
  readonly epoch: Epoch;
  readonly roles: readonly RoleDeclaration[];
  readonly directory: Directory;
  readonly membership: Membership;
  readonly exchange: ConfigExchange;
  readonly client: PaneClient;
  readonly pane: ControlPane | undefined;
  asPeer(): StreamPeer;
}

export class RequestDesk {
  private readonly member: DeskParts;
  private readonly outbox: Outbox;

  constructor(member: DeskParts, outbox: Outbox) {
    this.member = member;
    this.outbox = outbox;
  }

  onRequest(id: number, from: StreamPeer, body: Uint8Array, at: Instant): void {
    const request = decodeRequest(body);
    this.outbox.begin(id, request?.kind ?? 'unreadable');
    if (request === undefined) {
      this.outbox.refuse(id, new HivemindError('frame-invalid', 'The request is not one that this version knows.'));
      return;
    }
    const refused = refuseRequest(request.kind, from, (number) => this.member.directory.isControl(number));
    if (refused !== undefined) this.outbox.refuse(id, refused);
    else if (from.kind === 'stranger') this.onStranger(id, request, at);
    else if (this.member.directory.get(from.number) === undefined) this.outbox.refuse(id, removed());
    else this.onMember(id, from.number, request, at);
  }

  private onStranger(id: number, request: PeerRequest, at: Instant): void {
    if (request.kind === 'join') this.onJoin(id, request, at);
    else if (request.kind === 'reach') this.outbox.answer(id, reached, {});
    else if (request.kind === 'charter') this.onCharter(id, request);
    else this.outbox.refuse(id, new HivemindError('not-admitted', 'Join the cluster first.'));
  }

  private onMember(id: number, from: NodeNumber, request: PeerRequest, at: Instant): void {
    const { membership, exchange, pane } = this.member;
    switch (request.kind) {
      case 'join':
        this.onJoin(id, request, at);
        break;
      case 'ask-pane':
        this.onAskPane(id, from, request, at);
        break;
      case 'digest':
        this.once(id, request.atLeast, digest, () => pane?.views.digestFor(from) ?? membership.digest(), at);
        break;
      case 'charter':
        this.onCharter(id, request);
        break;
      case 'facts':
        this.outbox.answer(id, facts, membership.facts(request.numbers));
        break;
      case 'log':
        this.onPane(id, (asked) =>
          this.once(id, request.atLeast, logPage, () => asked.log.page(request.from, request.most), at),
        );
        break;
      case 'pane-status':
        this.onPane(id, (asked) => this.outbox.answer(id, paneStatus, asked.status(at)));
        break;
      case 'config-sync':
        this.outbox.answer(id, configPage, exchange.onSync(from, request));
        break;
      case 'members':
        this.onPane(id, (asked) => this.once(id, request.atLeast, memberPage, () => asked.views.page(request), at));
        break;
      case 'role-members':
        this.onPane(id, ({ state }) =>
          this.outbox.answer(id, roleMembers, { numbers: state.membersOfRole(request.role) }),
        );
        break;
      case 'config':
        this.outbox.answer(id, configPage, exchange.pageOf(request.role, request.owner));
        break;
      case 'role':
        this.onRole(id, from, request);
        break;
      case 'reach':
        this.outbox.answer(id, reached, {});
        break;
      case 'read-index':
        this.onPane(id, (asked) => this.onReadIndex(id, asked, request, at));
        break;
      default:
        unreachable(request);
    }
  }

  private onCharter(id: number, { length }: RequestOf<'charter'>): void {
    this.outbox.answer(id, charterPage, this.member.directory.charterPage(length));
  }

  // — joins —

  private onJoin(id: number, { request, hops }: RequestOf<'join'>, at: Instant): void {
    const reply = (outcome: PaneReply<Admission> | Outcome<Admission>): void => {
      if (outcome.ok) this.outbox.answer(id, admission, outcome.value);
      else this.outbox.refuse(id, outcome.error);
    };
    const passedOn = { kind: 'join', request, hops: hops + 1 } as const;
    const { pane, client } = this.member;
    if (pane?.leads) pane.join(request, reply, at);
    else if (hops >= hopsMax) reply({ ok: false, error: noLeader() });
    else if (pane === undefined) client.ask(passedOn, admission, reply, at);
    else this.toLeader(pane, passedOn, admission, reply, at);
  }

  // — asks —

  private onAskPane(id: number, from: NodeNumber, request: RequestOf<'ask-pane'>, at: Instant): void {
    if (this.member.pane === undefined) {
      this.refuseAsNoControlNode(id);
      return;
    }
    const isPassedOn = this.member.directory.isControl(from);
    const asker = isPassedOn ? request.from : from;
    const reply = (outcome: Outcome<LogIndex>): void => {
      if (outcome.ok) this.outbox.answer(id, decided, { index: outcome.value });
      else this.outbox.refuse(id, outcome.error);
    };
    this.askPane(asker, request.ask, request.hops, reply, at);
  }

  /** Lets the leader decide what `from` asks, wherever the leader is. */
  askPane(
    from: NodeNumber,
    ask: PaneAsk,
    hops: number,
    then: (outcome: Outcome<LogIndex>, at: Instant) => void,
    at: Instant,
  ): void {
    const { pane, client, number } = this.member;
    const self = this.member.asPeer();
    const passedOn = { kind: 'ask-pane', from, ask, hops: hops + 1 } as const;
    const onDecided = (outcome: Outcome<{ readonly index: LogIndex }>, later: Instant): void =>
      then(outcome.ok ? { ...outcome, value: outcome.value.index } : outcome, later);
    if (pane?.leads) {
      pane.ask(from, ask, (reply, later) => then(reply.ok ? { ...reply, from: self } : reply, later), at);
    } else if (hops >= hopsMax) {
      then({ ok: false, error: noLeader() }, at);
    } else if (pane === undefined || from === number) {
      const onOutcome = (outcome: Outcome<{ readonly index: LogIndex }>, later: Instant): void => {
        const isOpen = mayBeDecided(passedOn, outcome);
        if (isLedHere(outcome, pane) && (mayRepeat(passedOn) || !isOpen)) this.askAgain(from, ask, isOpen, then, later);
        else onDecided(outcome, later);
      };
      client.ask(passedOn, decided, onOutcome, at);
    } else {
      this.toLeader(pane, passedOn, decided, onDecided, at);
    }
  }

  /** What an earlier attempt of this node at another leader came to may be open yet: a refusal here is none of that. */
  private askAgain(
    from: NodeNumber,
    ask: PaneAsk,
    isOpen: boolean,
    then: (outcome: Outcome<LogIndex>, at: Instant) => void,
    at: Instant,
  ): void {
    const onOutcome = (outcome: Outcome<LogIndex>, later: Instant): void =>
      then(isOpen && !settles(outcome) ? { ok: false, error: unknownOutcome() } : outcome, later);
    this.askPane(from, ask, 0, onOutcome, at);
  }

  private toLeader<T>(
    pane: ControlPane,
    request: PeerRequest,
    answer: Codec<T>,
    then: (outcome: Outcome<T>, at: Instant) => void,
    at: Instant,
    attemptMs: number = askAttemptMs,
  ): void {
    const target = pane.leader === undefined ? undefined : this.member.directory.target(pane.leader);
    if (target !== undefined) {
      const onOutcome = (outcome: Outcome<T>, later: Instant): void => {
        // Where nobody listens nobody has heard it: whoever asked may go on to the next leader.
        const isUnheard = !outcome.ok && outcome.refused === true;
        then(isUnheard ? { ok: false, error: noLeader() } : outcome, later);
      };
      this.outbox.ask<T>(target, request, answer, attemptMs, onOutcome, at);
      return;
    }
    then({ ok: false, error: pane.watch.health.state === 'degraded' ? noQuorum() : noLeader() }, at);
  }

  // — the rest —

  /** Answers once all up to `atLeast` is applied here: whoever keeps no log has applied nothing. */
  private once<T>(id: number, atLeast: LogIndex, codec: Codec<T>, value: () => T, at: Instant): void {
    const { pane } = this.member;
    if (atLeast === 0) this.outbox.answer(id, codec, value());
    else if (pane === undefined) this.refuseAsNoControlNode(id);
    else {
      const then = (reply: PaneReply<LogIndex>): void => {
        if (reply.ok) this.outbox.answer(id, codec, value());
        else this.outbox.refuse(id, reply.error);
      };
      pane.reads.reached(atLeast, then, at);
    }
  }

  private onReadIndex(id: number, pane: ControlPane, { hops }: RequestOf<'read-index'>, at: Instant): void {
    const reply = (outcome: PaneReply<ReadIndex>): void => {
      if (outcome.ok) this.outbox.answer(id, readIndex, outcome.value);
      else this.outbox.refuse(id, outcome.error);
    };
    const passedOn = { kind: 'read-index', hops: hops + 1 } as const;
    if (pane.leads)
      pane.reads.current((read) => reply(read.ok ? { ok: true, value: { index: read.value } } : read), at);
    else if (hops >= hopsMax) reply({ ok: false, error: noLeader() });
    else this.toLeader(pane, passedOn, readIndex, reply, at, readPatience.attemptMs);
  }

  private onRole(id: number, from: NodeNumber, { role, body }: RequestOf<'role'>): void {
    if (this.member.roles.some((declared) => declared.name === role)) {
      this.outbox.push({ kind: 'role-request', id, what: this.outbox.finish(id), from, role, body });
    } else {
      this.outbox.refuse(id, new HivemindError('not-found', `The role ${role} does not run on this node.`));
    }
  }

  /** Only who keeps the log can answer. */
  private onPane(id: number, answer: (pane: ControlPane) => void): void {
    const { pane } = this.member;
    if (pane === undefined) this.refuseAsNoControlNode(id);
    else answer(pane);
  }

  private refuseAsNoControlNode(id: number): void {
    this.outbox.refuse(id, new HivemindError('not-found', 'This node is no control node; ask one of those.'));
  }
}

/** Its connection is older than its removal. */
function removed(): HivemindError {
  return new HivemindError('not-admitted', 'This node was removed from the cluster; join again with a token.');
}
