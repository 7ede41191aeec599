/**
 * Looks for amendments where nobody is left who tells of them: after a recovery the node that goes on may be a
 * stranger, and its packets of another epoch. So while no quorum is known a node looks where control nodes live, or
 * lived, and where members are, and hears out a stranger that says it is a member. Control nodes look around at all
 * times: so one that was given up, and two parts of a cluster that were recovered apart, find out.
 */
import { ByteReader, equalBytes } from '../../bytes.ts';
import { type Locator, verifyLocator } from '../../certificate/locator.ts';
import type { Endpoint, MonotonicMs, NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import type { Random } from '../../seam/random.ts';
import type { Membership } from '../membership.ts';
import type { CharterReader } from './charter-reader.ts';
import type { PaneClient } from './pane-client.ts';

/** Without a quorum somebody's address is asked about so often, … */
export const seekPeriodMs = 5_000;
/** … the less often the more members do: twenty a second all together. */
const seekMsPerMember = 50;
/** A control node that knows of a quorum asks some member's address about so often. */
export const lookoutPeriodMs = 20_000;
/** Strangers are heard out so often at most. */
const strangerPeriodMs = 1_000;

export class CharterSearch {
  private readonly self: NodeNumber;
  private readonly membership: Membership;
  private readonly random: Random;
  private readonly client: Pick<PaneClient, 'pane'>;
  private readonly reader: CharterReader;
  private periodMs: MonotonicMs | undefined;
  private seekAtMs: MonotonicMs | undefined;
  private strangerAtMs: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(parts: {
    readonly self: NodeNumber;
    readonly membership: Membership;
    readonly random: Random;
    readonly client: Pick<PaneClient, 'pane'>;
    readonly reader: CharterReader;
  }) {
    this.self = parts.self;
    this.membership = parts.membership;
    this.random = parts.random;
    this.client = parts.client;
    this.reader = parts.reader;
  }

  nextTickAt(): MonotonicMs {
    return this.seekAtMs ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Whoever holds this key says that it is a member, and this node does not know it. It may be one of a later charter:
   * as long as no quorum is known, it is asked for that at the address that it signed, under its key.
   */
  onStranger(publicKey: Uint8Array, credential: Uint8Array, at: Instant): void {
    if (this.client.pane.state === 'healthy' || at.now < this.strangerAtMs) return;
    const locator = locatorIn(credential, this.membership.directory.cluster);
    if (locator === undefined || !equalBytes(locator.signingKey, publicKey)) return;
    this.strangerAtMs = at.now + strangerPeriodMs;
    this.reader.askStranger({ endpoints: locator.endpoints, number: 0, publicKey }, at);
  }

  tick(at: Instant): void {
    const periodMs = this.seekPeriodMs();
    if (periodMs !== this.periodMs) {
      this.periodMs = periodMs;
      this.seekAtMs = this.nextSeekAt(at);
    }
    if (this.seekAtMs === undefined || at.now < this.seekAtMs) return;
    this.seekAtMs = this.nextSeekAt(at);
    const place = this.placeToLook();
    if (place !== undefined) this.reader.askThere({ endpoints: place, number: 0 }, at);
  }

  private nextSeekAt({ now }: Instant): MonotonicMs | undefined {
    return this.periodMs === undefined ? undefined : now + this.periodMs * (0.5 + this.random.next());
  }

  /** Nothing while there is no need to look. */
  private seekPeriodMs(): MonotonicMs | undefined {
    const { directory, size } = this.membership;
    const isHealthy = this.client.pane.state === 'healthy';
    if (directory.keepsLog(this.self)) return isHealthy ? lookoutPeriodMs : seekPeriodMs;
    return isHealthy ? undefined : Math.max(seekPeriodMs, size * seekMsPerMember);
  }

  /** Half of the time where a control node is, as far as this node knows, else where anybody is. */
  private placeToLook(): readonly Endpoint[] | undefined {
    const { directory } = this.membership;
    const isAnywhere = this.random.next() < 0.5;
    const places = directory.list().filter(({ number, endpoints }) => {
      return number !== this.self && endpoints.length > 0 && (isAnywhere || directory.keepsLog(number));
    });
    return places[this.random.below(Math.max(1, places.length))]?.endpoints;
  }
}

function locatorIn(credential: Uint8Array, cluster: Uint8Array): Locator | undefined {
  const input = new ByteReader(credential);
  const [, locator] = [input.bytes(), input.bytes()];
  return input.done ? verifyLocator(locator, cluster) : undefined;
}
