/** All that happened in a run, as one digest: two runs with the same one went the same way, step by step. */
import { createHash } from 'node:crypto';
import type { MemberEffect } from '../member/effect.ts';
import type { LogWrite } from '../seam/log-store.ts';
import type { SimNode } from './sim-node.ts';

/** Enough to tell runs apart, and short enough for a line. */
const digestCharacters = 16;

export class Trace {
  private readonly hash = createHash('sha256');

  onStep(node: SimNode, effects: readonly MemberEffect[]): void {
    this.hash.update(`\n${node.timelineNow} ${node.name}`);
    for (const effect of effects) this.onEffect(effect);
  }

  /** Once: nothing can be added behind it. */
  digest(): string {
    return this.hash.digest('hex').slice(0, digestCharacters);
  }

  private onEffect(effect: MemberEffect): void {
    this.hash.update(` ${effect.kind} `);
    if ('bytes' in effect) this.hash.update(effect.bytes);
    else if ('body' in effect) this.hash.update(effect.body);
    else if (effect.kind === 'event') this.hash.update(JSON.stringify(effect.event));
    else if (effect.kind === 'write') this.hash.update(describe(effect.write));
  }
}

/** The payloads are in what was sent before. */
function describe({ hardState, entries, snapshot }: LogWrite): string {
  const where = entries.map(({ index, term }) => `${index}@${term}`).join();
  return `${hardState?.term} ${hardState?.votedFor} ${where} ${snapshot?.index}`;
}
