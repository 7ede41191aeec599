/** What the failure detector and gossip bring, handed to whom it concerns. */
import { unreachable } from '../assert.ts';
import type { SwimEffect, SwimEvent } from '../swim/swim.ts';
import { decodeRumour, type Rumour } from '../wire/rumour.ts';
import type { ControlPane } from './control-pane.ts';
import type { DatagramLine } from './datagram-line.ts';
import type { Directory } from './directory.ts';
import type { Instant } from './instant.ts';
import type { Introductions } from './introductions.ts';
import type { Membership } from './membership.ts';
import type { Outbox } from './outbox.ts';
import type { PaneClient } from './pane-client.ts';

/** The parts of a member that news concerns. */
export interface NewsParts {
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

  constructor(parts: NewsParts, introductions: Introductions, outbox: Outbox, listeners: NewsListeners) {
    this.parts = parts;
    this.introductions = introductions;
    this.outbox = outbox;
    this.listeners = listeners;
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
        if (this.parts.directory.get(effect.update.number) === undefined) {
          this.introductions.want(effect.update.number, effect.from, at);
        }
        break;
      case 'testimony':
        this.parts.pane?.onTestimony(effect.from, effect.message, at);
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
        return membership.onLocator(rumour.locator);
      case 'pane-changed':
        return directory.isControl(rumour.by) && client.heardOfChange(rumour.by, rumour.at, at);
      default:
        return unreachable(rumour);
    }
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
      case 'suspected':
      case 'accused-me':
      case 'back':
        outbox.event(event);
        break;
      case 'answers-again':
        this.parts.pane?.onAnswersAgain(event.number, at);
        break;
      case 'implausible':
        break;
      default:
        unreachable(event);
    }
    if (event.kind === 'probe-missed' && this.parts.directory.isControl(event.number)) this.parts.client.askSoon(at);
  }
}
