/**
 * Brings a dev cluster up step by step. A step's line is printed only when what it claims was observed from
 * outside: by the agents' sockets, by a DNS query, by a page fetched through nginx.
 */
import { Resolver } from 'node:dns/promises';
import { get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { toHivemindError } from '../../src/error.ts';
import { endpointText } from '../../src/identity.ts';
import type { LocalAnswers, LocalRequest, LocalStatus } from '../../src/node/local-api.ts';
import { withAgent } from '../agent-client.ts';
import type { DevCluster } from './dev-cluster.ts';
import {
  controlNames,
  type DevPlan,
  dnsName,
  hostNames,
  memberNames,
  nginxName,
  pageDomain,
  serviceName,
  zone,
} from './plan.ts';
import type { Report } from './report.ts';

/** Each step has this long; a machine that is busy otherwise needs it. */
const stepPatienceMs = 30_000;
const lookMs = 50;
const answerMs = 1_000;

/** What was seen, as the line says it; nothing while it is not there yet. */
type Look = () => Promise<string | undefined>;

export class SelfCheck {
  private readonly cluster: DevCluster;
  private readonly plan: DevPlan;
  private readonly report: Report;
  private readonly signal: AbortSignal;
  private readonly hasNginx: boolean;

  constructor(parts: {
    readonly cluster: DevCluster;
    readonly plan: DevPlan;
    readonly report: Report;
    readonly signal: AbortSignal;
    readonly hasNginx: boolean;
  }) {
    this.cluster = parts.cluster;
    this.plan = parts.plan;
    this.report = parts.report;
    this.signal = parts.signal;
    this.hasNginx = parts.hasNginx;
  }

  /** True when every step was seen. */
  async run(): Promise<boolean> {
    const steps: readonly (readonly [string, Look])[] = [
      ['quorum', () => this.lookForLeader()],
      ['members', () => this.lookForMembers()],
      ['configs', () => this.lookForConfigs()],
      ['dns', () => this.lookUp()],
      ...(this.hasNginx ? [['page', () => this.fetchPages()] as const] : []),
    ];
    for (const [step, look] of steps) {
      if (!(await this.see(step, look))) return false;
    }
    return true;
  }

  private async see(step: string, look: Look): Promise<boolean> {
    const until = performance.now() + stepPatienceMs;
    let reason = 'nothing was seen';
    let death: string | undefined;
    while (performance.now() < until && !this.signal.aborted) {
      // What a dead agent owes is not waited for.
      death = this.cluster.firstDeath();
      if (death !== undefined) break;
      try {
        const seen = await look();
        if (seen !== undefined) {
          this.report.done(step, seen);
          return true;
        }
      } catch (thrown) {
        reason = toHivemindError(thrown).message;
      }
      await wait(lookMs);
    }
    const late = `not within ${stepPatienceMs / 1_000} s: ${reason}`;
    const why = this.signal.aborted ? 'interrupted' : (death ?? late);
    this.report.failure(step, `${why}; the agents' logs are in ${this.cluster.folder}/NAME/agent.log`);
    return false;
  }

  private async ask<R extends LocalRequest>(name: string, request: R): Promise<LocalAnswers[R['kind']]> {
    return await withAgent({ socket: this.cluster.socketOf(name) }, (agent) => agent.ask(request));
  }

  private async lookForLeader(): Promise<string | undefined> {
    const statuses = await Promise.all(controlNames.map((name) => this.ask(name, { kind: 'status' })));
    const [first] = statuses;
    const agree = statuses.every(({ pane }) => pane.state === 'healthy' && pane.leader === first?.pane.leader);
    if (first?.pane.leader === undefined || !agree) return undefined;
    return `${first.pane.leader} leads ${statuses.length} control nodes; 2 are a quorum`;
  }

  private async lookForMembers(): Promise<string | undefined> {
    const expected = this.hasNginx ? memberNames : memberNames.filter((name) => name !== nginxName);
    const { members } = await this.ask(controlNames[0] as string, { kind: 'members' });
    const alive = members.filter(({ status }) => status === 'alive').map(({ name }) => name);
    if (!expected.every((name) => alive.includes(name))) return undefined;
    return `admitted and alive: ${expected.join(', ')}`;
  }

  private async lookForConfigs(): Promise<string | undefined> {
    const status = await this.ask(dnsName, { kind: 'status' });
    const map = mapOf(status);
    if (!hostNames.every((name) => name in map)) return undefined;
    return `${dnsName} holds ${hostNames.map((name) => `${name} at seq ${map[name]}`).join(', ')}`;
  }

  private async lookUp(): Promise<string | undefined> {
    const { dns, pages } = this.plan;
    const resolver = new Resolver({ timeout: answerMs, tries: 1 });
    resolver.setServers([endpointText(dns)]);
    const name = `${serviceName}.${zone}`;
    const found = await resolver.resolve4(name);
    const wanted = new Set(pages.map(({ host }) => host));
    return wanted.size === new Set(found).size ? `${name} is ${[...found].sort().join(', ')}` : undefined;
  }

  /** Until each host has served one: nginx spreads them. */
  private async fetchPages(): Promise<string | undefined> {
    const served = new Set<string>();
    for (let fetched = 0; fetched < 4 * hostNames.length; fetched++) {
      const name = /Hello from ([a-z0-9-]+)/.exec(await this.fetchPage())?.[1];
      if (name !== undefined) served.add(name);
    }
    if (served.size < hostNames.length) return undefined;
    return `http://${pageDomain}:${this.plan.nginx.port}/ was served by ${[...served].sort().join(' and ')}`;
  }

  private async fetchPage(): Promise<string> {
    const { host, port } = this.plan.nginx;
    return await new Promise((resolve, reject) => {
      const headers = { host: `${pageDomain}:${port}` };
      const request = get({ host, port, headers, agent: false, timeout: answerMs }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.once('end', () => resolve(text));
        response.once('error', reject);
      });
      request.once('error', reject);
      request.once('timeout', () => request.destroy(new Error('nginx did not answer in time')));
    });
  }
}

function mapOf(status: LocalStatus): Readonly<Record<string, unknown>> {
  const map = status.roles.find(({ name }) => name === 'dns')?.facts?.map;
  return typeof map === 'object' && map !== null ? (map as Record<string, unknown>) : {};
}
