/** The host role: publishes this node's services and keeps their health up to date. */
import { toHivemindError } from '../../src/error.ts';
import type { Endpoint } from '../../src/identity.ts';
import { defineRole, type RoleContext, type RoleDefinition, type RunningRole } from '../../src/role/role.ts';
import { type HostConfig, hostRole, type Service } from './contract.ts';
import { afterCheck, type Health, healthAtStart } from './health.ts';
import { HealthChecks } from './health-check.ts';
import { type HostSettings, hostSettings, type ServiceSettings } from './settings.ts';

class Host implements RunningRole {
  private readonly context: RoleContext<HostSettings>;
  private readonly checks: HealthChecks;
  private readonly health = new Map<ServiceSettings, Health>();
  private unsubscribe: () => void = () => {};
  /** What was published last, as text, to tell a change from a repetition. */
  private published = '';
  private publishing: Promise<void> | undefined;
  private isStopped = false;

  constructor(context: RoleContext<HostSettings>) {
    this.context = context;
    this.checks = new HealthChecks(context.clock, context.random);
  }

  async start(): Promise<void> {
    const { services } = this.context.settings;
    const at = this.context.clock.wallNow();
    for (const service of services) this.health.set(service, healthAtStart(service.check !== undefined, at));
    await this.publishChanges();
    this.unsubscribe = this.context.onChange(() => this.changed());
    for (const service of services) this.startCheck(service);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.unsubscribe();
    await this.checks.stop();
    await this.publishing;
  }

  status(): Readonly<Record<string, unknown>> {
    return {
      services: this.context.settings.services.map((service) => {
        const health = this.healthOf(service);
        return {
          name: service.name,
          addresses: this.addressesOf(service),
          port: service.port,
          healthy: health.healthy,
          since: new Date(health.since).toISOString(),
          lastError: health.lastError,
        };
      }),
    };
  }

  private startCheck(service: ServiceSettings): void {
    const { check } = service;
    if (check === undefined) return;
    this.checks.add({
      check,
      target: () => this.targetOf(service, check.port ?? service.port),
      onOutcome: (error) => {
        const before = this.healthOf(service);
        const after = afterCheck(before, error, check, this.context.clock.wallNow());
        this.health.set(service, after);
        if (after.healthy !== before.healthy) this.onTurn(service, after);
      },
    });
  }

  private onTurn(service: ServiceSettings, health: Health): void {
    const { event, log, metrics } = this.context;
    const name = health.healthy ? 'service-healthy' : 'service-unhealthy';
    event(name, { service: service.name, ...(health.lastError === undefined ? {} : { reason: health.lastError }) });
    log.info(`${service.name} is ${health.healthy ? 'healthy' : 'unhealthy'}`, { reason: health.lastError });
    metrics.count('service_health_changes_total');
    this.changed();
  }

  private changed(): void {
    if (this.isStopped || this.publishing !== undefined || this.isPublished()) return;
    this.publishing = this.publishChanges().catch((thrown: unknown) => {
      if (!this.isStopped) this.context.fail(toHivemindError(thrown));
    });
  }

  /** One publication at a time; what changes meanwhile is published right after it. */
  private async publishChanges(): Promise<void> {
    try {
      do {
        const config = this.config();
        await this.context.publish(config);
        this.published = JSON.stringify(config);
      } while (!this.isStopped && !this.isPublished());
    } finally {
      this.publishing = undefined;
    }
  }

  private isPublished(): boolean {
    return JSON.stringify(this.config()) === this.published;
  }

  private config(): HostConfig {
    const services = this.context.settings.services.map((service) => this.serviceOf(service));
    return { services: services.filter((service) => service.addresses.length > 0) };
  }

  private serviceOf(service: ServiceSettings): Service {
    const { name, port, protocol, weight, tags, domains } = service;
    const { healthy } = this.healthOf(service);
    return { name, addresses: this.addressesOf(service), port, protocol, weight, tags, domains, healthy };
  }

  private addressesOf(service: ServiceSettings): readonly string[] {
    return service.addresses ?? [...new Set(this.context.self.endpoints.map((endpoint) => endpoint.host))];
  }

  private targetOf(service: ServiceSettings, port: number): Endpoint | undefined {
    const host = this.addressesOf(service)[0];
    return host === undefined ? undefined : { host, port };
  }

  private healthOf(service: ServiceSettings): Health {
    return this.health.get(service) ?? healthAtStart(service.check !== undefined, this.context.clock.wallNow());
  }
}

const hostDefinition: RoleDefinition<HostSettings> = defineRole({
  name: hostRole,
  settings: hostSettings,
  async start(context) {
    const host = new Host(context);
    await host.start();
    return host;
  },
});

export default hostDefinition;
