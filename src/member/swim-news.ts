/** What the failure detector and gossip bring, handed to whom it concerns. */
import { unreachable } from '../assert.ts';
import type { SigningKey } from '../crypto.ts';
import type { NodeNumber, WallMs } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { StreamTarget } from '../seam/streams.ts';
import type { SwimEffect, SwimEvent } from '../swim/swim.ts';
import { reached } from '../wire/peer-message.ts';
import { decodeRumour, type Rumour } from '../wire/rumour.ts';
import type { PaneClient } from './client/pane-client.ts';
import type { DatagramLine } from './datagram-line.ts';
import type { Directory } from './directory.ts';
import { HintCourier } from './hint-courier.ts';
import type { Introductions } from './introductions.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';
import type { ControlPane } from './pane/control-pane.ts';

/** A member whose datagrams fail has this long to answer over a stream. */
const streamProbeMs = 1_500;
/** Rumours go round for less than this; later no clock is asked which of them are old. */
const recentForMs = 120_000;

/** The parts of a member that news concerns. */
export interface NewsParts {
  readonly number: NodeNumber;
  readonly signingKey: SigningKey;
  readonly directory: Directory;
  readonly membership: Membership;
  readonly line: DatagramLine;
  readonly client: PaneClient;
  readonly pane: ControlPane | undefined;
}

export interface NewsListeners {
  /** This member is published as down: it has to ask for its return. */
  onConvicted(at: Instant): void;
}

export class SwimNews {
  private readonly parts: NewsParts;
  private readonly introductions: Introductions;
  private readonly outbox: Outbox;
  private readonly listeners: NewsListeners;
  private readonly startedAt: WallMs;
  private readonly hints: HintCourier;
  /** Those to whom this node keeps a standing stream. */
  private held: readonly NodeNumber[] = [];

  constructor(parts: NewsParts, introductions: Introductions, outbox: Outbox, listeners: NewsListeners, at: Instant) {
    this.startedAt = at.wall;
    this.parts = parts;
    this.introductions = introductions;
    this.outbox = outbox;
    this.listeners = listeners;
    this.hints = new HintCourier(parts);
  }

  perform(effects: readonly SwimEffect[], at: Instant): void {
    for (const effect of effects) this.onSwimEffect(effect, at);
  }

  private onSwimEffect(effect: SwimEffect, at: Instant): void {
    switch (effect.kind) {
      case 'send':
        this.parts.line.send(effect.to, effect.messages, at);
        break;
      case 'rumour':
        this.onRumour(effect.bytes, at);
        break;
      case 'update':
        this.parts.membership.onChange();
        if (this.parts.directory.get(effect.update.number) === undefined) this.onStranger(effect, at);
        break;
      case 'testimony':
        this.parts.pane?.onTestimony(effect.from, effect.message, at);
        break;
      case 'dial':
        this.dial(effect.to, effect.depth, at);
        break;
      case 'hold-streams':
        this.held = effect.to;
        this.holdStreams();
        break;
      case 'hint':
        this.hints.tell(effect, at);
        break;
      case 'convicted-me':
        this.listeners.onConvicted(at);
        break;
      case 'event':
        this.onSwimEvent(effect.event, at);
        break;
      default:
        unreachable(effect);
    }
  }

  private onStranger({ update, from }: Extract<SwimEffect, { kind: 'update' }>, at: Instant): void {
    if (this.parts.membership.wants(update.number)) this.introductions.want(update.number, from, at);
  }

  private dial(number: NodeNumber, depth: 'knock' | 'ask', at: Instant): void {
    const { directory, membership } = this.parts;
    const to = directory.target(number);
    if (to === undefined) return;
    if (depth === 'knock') {
      this.outbox.push({ kind: 'knock', number, to });
      return;
    }
    this.outbox.ask(
      to,
      { kind: 'reach' },
      reached,
      streamProbeMs,
      (outcome, later) => {
        const failed = !outcome.ok && outcome.refused === true ? 'refused' : 'silent';
        membership.onDialled(number, outcome.ok ? 'answered' : failed, later);
      },
      at,
    );
  }

  /** Also when one of them moved. */
  private holdStreams(): void {
    const targets = this.held.map((number) => this.parts.directory.target(number));
    this.outbox.push({ kind: 'hold', to: targets.filter((to): to is StreamTarget => to !== undefined) });
  }

  private onRumour(bytes: Uint8Array, at: Instant): void {
    const rumour = decodeRumour(bytes);
    if (rumour !== undefined && this.isRight(rumour, at)) this.parts.membership.swim.passOn(bytes, at.now);
  }

  /** Takes it over; nobody hears from here what is not right, or was known. */
  private isRight(rumour: Rumour, at: Instant): boolean {
    const { membership, directory, client } = this.parts;
    switch (rumour.kind) {
      case 'removal':
        return membership.onRemoval(rumour.certificate, at);
      case 'locator':
        return this.onLocator(rumour.number, rumour.locator);
      case 'user-event':
        return this.onUserEvent(rumour, at);
      case 'pane-changed':
        return directory.isControl(rumour.by) && client.heardOfChange(rumour.by, rumour.at, at);
      case 'hint':
        return this.onHint(rumour, at);
      default:
        return unreachable(rumour);
    }
  }

  /** What was sent before this process started an earlier one may have heard: it is not told twice. */
  private onUserEvent({ from, id, name, payload }: Extract<Rumour, { kind: 'user-event' }>, at: Instant): boolean {
    const isOld = at.wall < this.startedAt + recentForMs && id < this.startedAt;
    if (!isOld) this.outbox.event({ kind: 'user-event', number: from, event: name, payload });
    return true;
  }

  private onHint(rumour: Extract<Rumour, { kind: 'hint' }>, at: Instant): boolean {
    if (!this.hints.isRight(rumour, at)) return false;
    this.perform(this.parts.membership.swim.onHint(rumour.by, rumour, at.now), at);
    return true;
  }

  private onLocator(number: NodeNumber, locator: Uint8Array): boolean {
    const isNews = this.parts.membership.onLocator(locator);
    if (isNews && this.held.includes(number)) this.holdStreams();
    return isNews;
  }

  private onSwimEvent(event: SwimEvent, at: Instant): void {
    const { outbox } = this;
    switch (event.kind) {
      case 'down':
        outbox.event({ ...event, hint: false });
        break;
      case 'hinted-down':
        outbox.event({ ...event, kind: 'down', hint: true });
        break;
      case 'refuted':
        outbox.event({ kind: 'refuted', number: event.number });
        break;
      case 'probe-missed':
        outbox.event({ kind: 'probe-missed', number: event.number });
        break;
      case 'datagrams-blocked': {
        const endpoints = this.parts.directory.get(event.number)?.endpoints ?? [];
        outbox.event({ ...event, endpoints, isOwn: event.number === this.parts.number });
        break;
      }
      case 'lossy':
      case 'suspected':
      case 'accused-me':
      case 'back':
      case 'datagrams-open':
        outbox.event(event);
        break;
      case 'answers-again':
        this.parts.pane?.onAnswersAgain(event.number);
        break;
      case 'implausible':
        break;
      default:
        unreachable(event);
    }
    if (event.kind === 'probe-missed' && this.parts.directory.isControl(event.number)) this.parts.client.askSoon(at);
  }
}
