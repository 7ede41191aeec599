/**
 * Whether a majority of control nodes is in touch, as this control node sees it, and since when; and where it is not,
 * or this one leads, which of the others it does not hear.
 */
import {
  type PaneHealth,
  type SilentControlNode,
  silentControlNodesMax,
  type Voting,
} from '../../control/keep-alive.ts';
import type { MonotonicMs, NodeNumber, WallMs } from '../../identity.ts';
import { isVoter } from '../../raft/configuration.ts';
import type { Instant } from '../../seam/instant.ts';
import type { LogTrouble } from '../../seam/log-store.ts';
import type { RaftEngine } from './raft-engine.ts';

/**
 * A control node that says nothing for so long is not in touch: four of the shortest election timeouts, within which
 * whoever lives asks for votes or answers them, though one message in five is lost.
 */
export const controlSilenceMs = 3_000;

export class PaneWatch {
  private readonly engine: RaftEngine;
  private readonly self: NodeNumber;
  private state: PaneHealth['state'] = 'degraded';
  private since: WallMs;
  private silent: readonly SilentControlNode[] = [];
  private readonly heardAt = new Map<NodeNumber, Instant>();
  /** Since when the others speak to this one: a follower hears nobody but its leader. */
  private listensSince: Instant;
  private wasLeading = false;
  private isSpokenTo = false;
  private trouble: LogTrouble['kind'] | undefined;

  constructor(engine: RaftEngine, self: NodeNumber, at: Instant) {
    this.engine = engine;
    this.self = self;
    this.since = at.wall;
    this.listensSince = at;
  }

  /** A control node said something of the pane's log. */
  onHeard(from: NodeNumber, at: Instant): void {
    if (isVoter(this.engine.raft.configuration, from)) this.heardAt.set(from, at);
  }

  /** What the disk of this node's log says of its work. */
  onTrouble(trouble: LogTrouble | undefined): void {
    this.trouble = trouble?.kind;
  }

  isInTouch(number: NodeNumber, now: MonotonicMs): boolean {
    return now - (this.heardAt.get(number)?.now ?? Number.NEGATIVE_INFINITY) <= controlSilenceMs;
  }

  /** Whether every control node in touch would be heard: by a leader, and by all who look for one. */
  get hearsAll(): boolean {
    return this.isSpokenTo;
  }

  /** True when the state is another one than before. */
  update(at: Instant): boolean {
    const { status, raft } = this.engine;
    const state = status.hasQuorum(at.now) ? 'healthy' : 'degraded';
    const leads = status.fence !== undefined;
    this.isSpokenTo = leads || (state === 'degraded' && isVoter(raft.configuration, this.self));
    if (!this.isSpokenTo || leads !== this.wasLeading) this.listensSince = at;
    this.wasLeading = leads;
    if (!this.isSpokenTo) this.silent = [];
    if (state === this.state) return false;
    this.state = state;
    this.since = at.wall;
    return true;
  }

  /** Looks who is silent: now and then is enough, beside how long a silence has to be. */
  lookRound(at: Instant): void {
    if (this.isSpokenTo) this.silent = this.silentOnes(at);
  }

  get health(): PaneHealth {
    const { state, since, silent, voting } = this;
    return { state, since, leader: this.engine.status.leader ?? 0, silent, voting };
  }

  private get voting(): Voting {
    if (this.engine.raft.isQuarantined) return 'log-damaged';
    if (this.trouble === undefined) return 'votes';
    return this.trouble === 'full' ? 'disk-full' : 'disk-slow';
  }

  private silentOnes({ now }: Instant): readonly SilentControlNode[] {
    const { configuration } = this.engine.raft;
    for (const number of this.heardAt.keys()) {
      if (!isVoter(configuration, number)) this.heardAt.delete(number);
    }
    const silent = configuration.voters.flatMap((number) => {
      const heard = this.heardAt.get(number);
      const since = heard !== undefined && heard.now > this.listensSince.now ? heard : this.listensSince;
      return number === this.self || now - since.now <= controlSilenceMs ? [] : [{ number, since: since.wall }];
    });
    return silent.slice(0, silentControlNodesMax);
  }
}
