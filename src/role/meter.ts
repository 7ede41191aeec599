/** The measurements of one role, kept over its restarts. */
import type { Logger } from '../seam/logger.ts';
import type { RoleMetrics } from './contract.ts';

/** Names of one role, counters and gauges together; what is measured under further ones is left out. */
export const metricNamesMax = 256;

const snakeCase = /^[a-z][a-z0-9_]{0,62}$/;

export interface RoleMeasurements {
  readonly counters: Readonly<Record<string, number>>;
  readonly gauges: Readonly<Record<string, number>>;
}

export class RoleMeter implements RoleMetrics {
  private readonly log: Logger;
  private readonly counters = new Map<string, number>();
  private readonly gauges = new Map<string, number>();
  private hasWarned = false;

  constructor(log: Logger) {
    this.log = log;
  }

  count(name: string, by: number = 1): void {
    if (this.admits(name, this.counters)) this.counters.set(name, (this.counters.get(name) ?? 0) + by);
  }

  gauge(name: string, value: number): void {
    if (this.admits(name, this.gauges)) this.gauges.set(name, value);
  }

  read(): RoleMeasurements {
    return { counters: Object.fromEntries(this.counters), gauges: Object.fromEntries(this.gauges) };
  }

  /** A bad name is left out and never thrown at the role: it measures in places where a throw would end the node. */
  private admits(name: string, known: ReadonlyMap<string, number>): boolean {
    if (known.has(name)) return true;
    const hasRoom = this.counters.size + this.gauges.size < metricNamesMax;
    if (hasRoom && snakeCase.test(name)) return true;
    if (!this.hasWarned) {
      const why = hasRoom ? 'its name is not snake_case' : `a role has ${metricNamesMax} metrics at most`;
      this.log.warn(`The metric ${JSON.stringify(name)} is left out, and maybe others: ${why}.`);
    }
    this.hasWarned = true;
    return false;
  }
}
