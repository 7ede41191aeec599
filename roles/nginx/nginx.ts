/**
 * The nginx role: visitors reach every domain that a host publishes through one nginx, which this role configures,
 * runs and watches.
 */
import { rm } from 'node:fs/promises';
import type { NodeNumber } from '../../src/identity.ts';
import {
  defineRole,
  HivemindError,
  type RoleContext,
  type RoleDefinition,
  type RunningRole,
} from '../../src/role/role.ts';
import type { CancelTimer } from '../../src/seam/clock.ts';
import { hostRole } from '../host/contract.ts';
import { trimLog } from './error-log.ts';
import { type Layout, prepareLayout } from './layout.ts';
import { buildModel, type Model, type VirtualHost } from './model.ts';
import { Pace } from './pace.ts';
import { findBinary, NginxProcess } from './process.ts';
import { type Outcome, Reloader } from './reload.ts';
import { type NginxSettings, nginxSettings } from './settings.ts';

/** How often it is looked whether nginx still runs and whether there is a quorum. */
export const watchMs = 1000;
/** More virtual hosts are only counted in the status. */
export const virtualHostsShownMax = 100;

class Nginx implements RunningRole {
  private readonly context: RoleContext<NginxSettings>;
  private readonly layout: Layout;
  private readonly process: NginxProcess;
  private readonly reloader: Reloader;
  private readonly pace: Pace;
  private readonly stopping = new AbortController();
  private unsubscribe: () => void = () => {};
  private cancelWatch: CancelTimer = () => {};
  private model: Model = { virtualHosts: [], conflicts: [], held: [], leftOut: 0 };
  /** What was said in events, so that it is said once. */
  private announced: ReadonlySet<string> = new Set();
  private convicted: ReadonlySet<NodeNumber> = new Set();
  private wasDegraded = false;
  private lastError: string | undefined;

  constructor(context: RoleContext<NginxSettings>, layout: Layout, binary: string) {
    this.context = context;
    this.layout = layout;
    this.process = new NginxProcess(binary, layout);
    const signal = AbortSignal.any([context.signal, this.stopping.signal]);
    this.reloader = new Reloader(context, layout, this.process, signal);
    this.pace = new Pace(context.clock, () => this.reconcile());
  }

  async start(): Promise<void> {
    const isAdopted = await this.process.adopt();
    if (isAdopted) this.context.log.info('nginx runs already and is taken over', { pid: this.process.pid });
    try {
      const outcome = await this.apply();
      if (outcome.kind === 'kept' || outcome.kind === 'lost') throw outcome.reason;
    } catch (thrown) {
      if (!isAdopted) await this.process.stop();
      throw thrown;
    }
    this.pace.reloaded();
    this.unsubscribe = this.context.onChange(() => this.pace.changed());
    this.pace.changed();
    this.watchLater();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.unsubscribe();
    this.cancelWatch();
    await this.pace.stop();
    await this.process.stop();
    if (this.layout.outside !== undefined) await rm(this.layout.outside, { recursive: true, force: true });
  }

  status(): Readonly<Record<string, unknown>> {
    const { virtualHosts, held, leftOut } = this.model;
    const serving = this.reloader.serving;
    return {
      listen: this.context.settings.listen,
      pid: this.process.pid,
      generation: serving?.generation,
      hash: serving?.hash,
      reloads: this.reloader.reloads,
      virtualHostCount: virtualHosts.length,
      virtualHosts: virtualHosts.slice(0, virtualHostsShownMax).map(summary),
      quarantined: serving?.quarantined ?? [],
      held,
      leftOut,
      lastError: this.lastError,
    };
  }

  /** Whether nginx was reloaded, or was tried to be. */
  private async reconcile(): Promise<boolean> {
    try {
      await this.reloader.untilWorkersRetired();
      const outcome = await this.apply();
      if (outcome.kind === 'lost') this.context.fail(outcome.reason);
      if (outcome.kind === 'kept') {
        this.context.log.error('nginx keeps its last good configuration', { reason: outcome.reason.message });
      }
      return outcome.kind !== 'unchanged';
    } catch (thrown) {
      if (!this.stopping.signal.aborted && !this.context.signal.aborted) this.context.fail(asError(thrown));
      return false;
    }
  }

  private async apply(): Promise<Outcome> {
    if (await this.mustWaitForConfigs()) return { kind: 'unchanged' };
    this.model = this.readModel();
    this.announce(this.model);
    const outcome = await this.reloader.apply(this.model);
    if (outcome.kind === 'kept' || outcome.kind === 'lost') this.lastError = outcome.reason.message;
    if (outcome.kind === 'serving') this.lastError = undefined;
    this.context.metrics.gauge('nginx_virtual_hosts', this.model.virtualHosts.length);
    return outcome;
  }

  /** Hosts are known but nothing of theirs has arrived yet: what nginx serves now is better than nothing at all. */
  private async mustWaitForConfigs(): Promise<boolean> {
    const isEmpty = this.context.configs(hostRole).length === 0 && this.context.members(hostRole).length > 0;
    return isEmpty && (await this.process.isRunning());
  }

  private readModel(): Model {
    const members = this.context.members();
    const down = new Set(members.filter((member) => member.health === 'down').map((member) => member.number));
    const isDegraded = this.context.degraded();
    if (!isDegraded) this.convicted = down;
    const unconfirmedDown = new Set([...down].filter((number) => isDegraded && !this.convicted.has(number)));
    return buildModel({ configs: this.context.configs(hostRole), members, unconfirmedDown });
  }

  private announce(model: Model): void {
    const said = new Set<string>();
    const say = (name: string, detail: Readonly<Record<string, unknown>>): void => {
      const key = `${name} ${JSON.stringify(detail)}`;
      if (!this.announced.has(key)) this.context.event(name, detail);
      said.add(key);
    };
    for (const conflict of model.conflicts) say('nginx-domain-conflict', { ...conflict });
    for (const domain of model.held) say('nginx-held', { domain });
    if (model.leftOut > 0) say('nginx-limit-reached', { leftOut: model.leftOut });
    this.announced = said;
  }

  private watchLater(): void {
    this.cancelWatch = this.context.clock.after(watchMs, () => void this.watch());
  }

  private async watch(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const isDegraded = this.context.degraded();
    if (isDegraded !== this.wasDegraded) this.pace.changed();
    this.wasDegraded = isDegraded;
    if (!this.pace.isRunning) {
      await trimLog(this.layout);
      const isGone = !(await this.process.isRunning());
      if (isGone && !this.stopping.signal.aborted && !this.pace.isRunning) {
        this.context.fail(new HivemindError('role-failed', 'nginx has ended by itself; its error.log may say why.'));
        return;
      }
    }
    if (!this.stopping.signal.aborted) this.watchLater();
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

function summary({ domain, service, servers }: VirtualHost): Readonly<Record<string, unknown>> {
  return { domain, service, servers };
}

const nginxRole: RoleDefinition<NginxSettings> = defineRole({
  name: 'nginx',
  bootstrapFrom: ['nginx', hostRole],
  consumes: [hostRole],
  settings: nginxSettings,
  async start(context) {
    const binary = await findBinary(context.settings.binary);
    const role = new Nginx(context, await prepareLayout(context.folder), binary);
    await role.start();
    return role;
  },
});

export default nginxRole;
