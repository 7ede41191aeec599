/** What must hold of configs: a seq means one value for ever, and what was promised is kept. */
import { toHex } from '../bytes.ts';
import type { Config } from '../config/config.ts';
import type { Seq } from '../identity.ts';
import { decodeMemory } from '../member/memory.ts';
import { ChangeWatch } from './change-watch.ts';
import { violated } from './invariant-violation.ts';
import type { SimNode } from './sim-node.ts';

export class ConfigInvariants {
  /** Versions that left their owner when they were durable. */
  private readonly shown = new Set<string>();
  private readonly values = new Map<string, string>();
  private readonly seqs = new Map<string, Seq>();
  private readonly configs: ChangeWatch<Config>;
  /** By node and role: the highest own seq that the role was told is published. */
  private readonly acknowledged = new Map<string, Map<string, Seq>>();

  constructor(thorough: boolean) {
    this.configs = new ChangeWatch(thorough, describeConfigs);
  }

  onAcknowledged(node: SimNode, role: string, seq: Seq): void {
    const own = this.acknowledged.get(node.name) ?? new Map<string, Seq>();
    own.set(role, Math.max(seq, own.get(role) ?? 0));
    this.acknowledged.set(node.name, own);
  }

  onMemoryLost(node: SimNode): void {
    this.acknowledged.delete(node.name);
  }

  check(node: SimNode): void {
    const configs = node.member?.exchange.configs;
    if (configs === undefined) return;
    for (const role of configs.roles()) {
      const held = configs.list(role);
      if (!this.configs.changed(node, role, held)) continue;
      for (const config of held) this.checkConfig(node, config);
    }
    for (const [role, seq] of this.acknowledged.get(node.name) ?? []) {
      const own = configs.get(role, node.number)?.seq ?? 0;
      if (own < seq) violated('what was published survives a crash', node, `${role}: ${own} after ${seq}`);
    }
  }

  /** What others see of a node's own configs is on its disk: else it could use the seq again, for another value. */
  checkShown(node: SimNode, shown: readonly Config[]): void {
    const own = shown.filter((config) => config.owner === node.number);
    if (own.length === 0) return;
    const stored = node.disk.memory === undefined ? undefined : decodeMemory(node.disk.memory);
    for (const { role, owner, seq } of own) {
      const version = `${role}/${owner}@${seq}`;
      const kept = stored?.configs.find((config) => config.owner === owner && config.role === role)?.seq ?? 0;
      if (kept < seq && !this.shown.has(version)) violated('a seq is durable before it is shown', node, version);
      this.shown.add(version);
    }
  }

  private checkConfig(node: SimNode, { role, owner, seq, value }: Config): void {
    const version = `${role}/${owner}@${seq}`;
    const known = this.values.get(version);
    const text = toHex(value);
    if ((known ?? text) !== text) violated('one value for each seq', node, version);
    this.values.set(version, text);
    const held = `${node.name}#${node.generation}:${role}/${owner}`;
    if (seq < (this.seqs.get(held) ?? 0)) violated('an older seq never replaces a newer one', node, version);
    this.seqs.set(held, seq);
  }
}

function describeConfigs(configs: readonly Config[]): string {
  return configs.map(({ owner, seq, value }) => `${owner}@${seq}:${toHex(value)}`).join();
}
