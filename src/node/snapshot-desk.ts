/** A consistent snapshot of the cluster for programs on this machine, in pieces that they fetch one after the other. */
import { HivemindError } from '../error.ts';
import type { CancelTimer, Clock } from '../seam/clock.ts';
import type { LogSnapshot } from '../seam/log-store.ts';
import type { LocalRequest, LocalSnapshotPiece } from './local-api.ts';
import type { Node } from './node.ts';

const pieceBytesMax = 1_048_576;
/** One snapshot is held at a time, and no longer than this after its last piece was fetched. */
const holdMs = 30_000;

export class SnapshotDesk {
  private readonly node: Node;
  private readonly clock: Clock;
  private held: LogSnapshot | undefined;
  private cancelRelease: CancelTimer = () => {};

  constructor(parts: { readonly node: Node; readonly clock: Clock }) {
    this.node = parts.node;
    this.clock = parts.clock;
  }

  /** @throws HivemindError `refused` on a node that keeps no log; `busy` for a snapshot that is not held any more */
  piece({ index, offset }: Extract<LocalRequest, { kind: 'snapshot' }>): LocalSnapshotPiece {
    const snapshot = offset === 0 ? this.take() : this.held;
    if (snapshot === undefined || (offset > 0 && snapshot.index !== index)) {
      throw new HivemindError('busy', 'Somebody else saved a snapshot meanwhile, or it took too long; save it again.');
    }
    const bytes = snapshot.state.subarray(offset, offset + pieceBytesMax);
    this.hold(offset + bytes.length < snapshot.state.length ? snapshot : undefined);
    const { term, chain, configuration, state } = snapshot;
    const { genesisBytes: genesis } = this.node.member.directory;
    return { index: snapshot.index, term, chain, configuration, genesis, totalBytes: state.length, bytes };
  }

  private take(): LogSnapshot {
    const { pane } = this.node.member;
    const snapshot = pane?.engine.asLogSnapshot(pane.log.taken());
    if (snapshot !== undefined) return snapshot;
    const sentence = 'This node keeps no event log; save the snapshot on a control node (`hivemind control ls`).';
    throw new HivemindError('refused', sentence);
  }

  private hold(snapshot: LogSnapshot | undefined): void {
    this.cancelRelease();
    this.held = snapshot;
    if (snapshot === undefined) return;
    this.cancelRelease = this.clock.after(holdMs, () => {
      this.held = undefined;
    });
  }
}
