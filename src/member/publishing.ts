/** Publishing this node's own values: each is durable here before anybody else hears of it. */
import { HivemindError } from '../error.ts';
import type { Seq } from '../identity.ts';
import type { Instant } from '../seam/instant.ts';
import type { ConfigExchange } from './config-exchange.ts';
import type { Recollection } from './recollection.ts';

export type Published =
  | { readonly ok: true; readonly seq: Seq }
  | { readonly ok: false; readonly error: HivemindError };

export class Publishing {
  private readonly exchange: ConfigExchange;
  private readonly recollection: () => Recollection;

  /** @param recollection may be called once the member is complete */
  constructor(exchange: ConfigExchange, recollection: () => Recollection) {
    this.exchange = exchange;
    this.recollection = recollection;
  }

  /** Learns first what this node published before it lost its disk: a seq is never used twice. */
  publish(role: string, value: Uint8Array, then: (published: Published, at: Instant) => void, at: Instant): void {
    this.exchange.learnOwn(role, (later) => this.publishNext(role, value, then, later), at);
  }

  publishNext(role: string, value: Uint8Array, then: (published: Published, at: Instant) => void, at: Instant): void {
    const config = this.exchange.prepare(role, value);
    if (config instanceof HivemindError) {
      then({ ok: false, error: config }, at);
      return;
    }
    this.recollection().afterwards((later) => {
      this.exchange.release(config, later);
      then({ ok: true, seq: config.seq }, later);
    }, at);
  }
}
