/** Whether a majority of control nodes is in touch, as this control node sees it, and since when. */
import type { PaneHealth } from '../control/keep-alive.ts';
import type { WallMs } from '../identity.ts';
import type { EngineStatus } from '../seam/engine.ts';
import type { Instant } from './instant.ts';

export class PaneWatch {
  private readonly engine: EngineStatus;
  private state: PaneHealth['state'] = 'degraded';
  private since: WallMs;

  constructor(engine: EngineStatus, at: Instant) {
    this.engine = engine;
    this.since = at.wall;
  }

  /** True when the state is another one than before. */
  update(at: Instant): boolean {
    const state = this.engine.hasQuorum(at.now) ? 'healthy' : 'degraded';
    if (state === this.state) return false;
    this.state = state;
    this.since = at.wall;
    return true;
  }

  get health(): PaneHealth {
    return { state: this.state, since: this.since, leader: this.engine.leader ?? 0 };
  }
}
