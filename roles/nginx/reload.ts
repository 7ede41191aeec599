/** From a model to an nginx that provably serves it: test, swap, reload, verify, or back to the last good one. */
import { setTimeout as pause } from 'node:timers/promises';
import { HivemindError, type RoleContext } from '../../src/role/role.ts';
import { logLength } from './error-log.ts';
import {
  activate,
  activeGeneration,
  discard,
  type Generation,
  generationMainFile,
  prune,
  writeGeneration,
} from './generation.ts';
import type { Layout } from './layout.ts';
import type { Model } from './model.ts';
import type { ConfigurationFault, NginxProcess } from './process.ts';
import { type Rendering, render, workerShutdownMs } from './render.ts';
import type { NginxSettings } from './settings.ts';
import { servedHash, verify } from './verification.ts';

/** Virtual hosts that one configuration may lose to `nginx -t` before it is given up as a whole. */
export const quarantinedMax = 32;
/** Configurations remembered as bad; the oldest is forgotten first. */
export const refusedHashesMax = 16;
/** Old workers, for each configured one, with which another reload waits. */
export const retiringWorkersMax = 8;
const retiringPollMs = 500;

export type Outcome =
  /** It was served already, or was tried before and is bad. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'serving' }
  /** It did not work; nginx serves what it served before, if it ran before. */
  | { readonly kind: 'kept'; readonly reason: HivemindError }
  /** It did not work, and neither did the way back. */
  | { readonly kind: 'lost'; readonly reason: HivemindError };

interface Tested {
  readonly rendering: Rendering;
  readonly generation: Generation;
  /** Domain to what nginx said. */
  readonly quarantined: ReadonlyMap<string, string>;
}

export interface Serving {
  readonly generation: number;
  readonly hash: string;
  readonly quarantined: readonly string[];
}

export type ReloaderTools = Pick<RoleContext<NginxSettings>, 'settings' | 'log' | 'metrics' | 'event'>;

export class Reloader {
  private readonly tools: ReloaderTools;
  private readonly layout: Layout;
  private readonly nginx: NginxProcess;
  private readonly signal: AbortSignal;
  private readonly refused = new Set<string>();
  /** What the last successful model renders to when nothing is quarantined. */
  private wantedHash: string | undefined;
  private now: Serving | undefined;
  private reloadCount = 0;

  constructor(tools: ReloaderTools, layout: Layout, nginx: NginxProcess, signal: AbortSignal) {
    this.tools = tools;
    this.layout = layout;
    this.nginx = nginx;
    this.signal = signal;
  }

  get serving(): Serving | undefined {
    return this.now;
  }

  /** Since this agent started. */
  get reloads(): number {
    return this.reloadCount;
  }

  /**
   * Brings nginx to serve `model`, starting it when it does not run. One call at a time.
   *
   * @throws the signal's reason when that aborts
   */
  async apply(model: Model): Promise<Outcome> {
    const wanted = render(model, this.tools.settings, this.layout);
    if (wanted.hash === this.wantedHash || this.refused.has(wanted.hash)) return { kind: 'unchanged' };
    if (await this.isAdoptedAsIs(wanted)) return { kind: 'unchanged' };
    const tested = await this.writeTested(model);
    if (tested instanceof HivemindError) return this.refuse(wanted, { kind: 'kept', reason: tested });
    const outcome = await this.switchTo(tested);
    if (outcome.kind !== 'serving') return this.refuse(wanted, outcome);
    this.wantedHash = wanted.hash;
    await prune(this.layout);
    return outcome;
  }

  /** Resolves when nginx has room for another reload: each leaves old workers behind until their clients are done. */
  async untilWorkersRetired(): Promise<void> {
    const most = retiringWorkersMax * this.tools.settings.workers;
    for (let waitedMs = 0; waitedMs < workerShutdownMs; waitedMs += retiringPollMs) {
      if ((await this.nginx.workers()).retiring < most) return;
      await pause(retiringPollMs, undefined, { signal: this.signal });
    }
  }

  /** An answer alone is not enough: workers whose master was killed go on answering. */
  private async isAdoptedAsIs(wanted: Rendering): Promise<boolean> {
    if (this.now !== undefined || !(await this.nginx.isRunning())) return false;
    if ((await servedHash(this.layout)) !== wanted.hash) return false;
    const generation = await activeGeneration(this.layout);
    this.wantedHash = wanted.hash;
    this.now = { generation: generation?.number ?? 0, hash: wanted.hash, quarantined: wanted.unsafe };
    return true;
  }

  private refuse(wanted: Rendering, outcome: Outcome): Outcome {
    if (this.refused.size >= refusedHashesMax) this.refused.delete([...this.refused][0] ?? '');
    this.refused.add(wanted.hash);
    return outcome;
  }

  /** A generation that `nginx -t` accepts, without the virtual hosts at which it stumbled. */
  private async writeTested(model: Model): Promise<Tested | HivemindError> {
    const quarantined = new Map<string, string>();
    for (;;) {
      const rendering = render(model, this.tools.settings, this.layout, new Set(quarantined.keys()));
      const generation = await writeGeneration(this.layout, rendering.files);
      const fault = await this.nginx.test(generationMainFile(generation));
      this.signal.throwIfAborted();
      if (fault === undefined) return { rendering, generation, quarantined };
      await discard(generation);
      const domain = domainAt(fault, rendering, generation);
      if (domain === undefined || quarantined.size >= quarantinedMax) {
        return new HivemindError('role-failed', `nginx refuses its configuration: ${fault.message}`);
      }
      quarantined.set(domain, fault.message);
    }
  }

  private async switchTo(tested: Tested): Promise<Outcome> {
    const previous = await activeGeneration(this.layout);
    const previousHash = await servedHash(this.layout);
    const isReload = await this.nginx.isRunning();
    const logFrom = await logLength(this.layout);
    await activate(this.layout, tested.generation);
    await (isReload ? this.nginx.reload() : this.nginx.start());
    const failure = await this.verify(tested.rendering.hash, logFrom);
    if (failure === undefined) return this.succeeded(tested);
    if (previous !== undefined) await activate(this.layout, previous);
    if (!isReload) await this.nginx.stop();
    return isReload ? this.rollBack(previousHash, failure) : { kind: 'kept', reason: failure };
  }

  private succeeded({ rendering, generation, quarantined }: Tested): Outcome {
    const { log, metrics, event } = this.tools;
    this.reloadCount++;
    const missing = [...rendering.unsafe, ...quarantined.keys()].sort();
    this.now = { generation: generation.number, hash: rendering.hash, quarantined: missing };
    metrics.count('nginx_reloads_total');
    log.info('nginx serves a new configuration', { generation: generation.number, hash: rendering.hash });
    event('nginx-reloaded', { generation: generation.number });
    for (const [domain, reason] of quarantined) event('nginx-quarantined', { domain, reason });
    for (const domain of rendering.unsafe)
      event('nginx-quarantined', { domain, reason: 'it cannot be written safely' });
    return { kind: 'serving' };
  }

  private async rollBack(previousHash: string | undefined, failure: HivemindError): Promise<Outcome> {
    const logFrom = await logLength(this.layout);
    await this.nginx.reload();
    const second = previousHash === undefined ? undefined : await this.verify(previousHash, logFrom);
    this.tools.metrics.count('nginx_rollbacks_total');
    this.tools.event('nginx-rolled-back', { reason: failure.message });
    return second === undefined ? { kind: 'kept', reason: failure } : { kind: 'lost', reason: second };
  }

  private verify(hash: string, logFrom: number): Promise<HivemindError | undefined> {
    const { nginx, signal } = this;
    const { workers } = this.tools.settings;
    return verify(this.layout, {
      hash,
      logFrom,
      signal,
      isRunning: () => nginx.isRunning(),
      isSettled: async () => (await nginx.workers()).accepting <= workers,
    });
  }
}

function domainAt(fault: ConfigurationFault, rendering: Rendering, generation: Generation): string | undefined {
  return rendering.files.find((file) => fault.file === `${generation.folder}/${file.path}`)?.domain;
}
