import { assert } from '../src/assert.ts';
import type { MonotonicMs, NodeNumber } from '../src/identity.ts';
import type { AddressedRaftMessage } from '../src/raft/message.ts';
import { Raft, raftSettingsDefault } from '../src/raft/raft.ts';
import { seededRandom } from '../src/seam/random.ts';
import { type Bench, type BenchTask, benchSeed } from './bench.ts';

const voters: readonly NodeNumber[] = [1, 2, 3];
const payloadBytes = 256;
const batchSizes = [1, 64];

interface Letter extends AddressedRaftMessage {
  readonly from: NodeNumber;
}

/** Three voters on a network and disks that take no time: what is left is the machine itself. */
class Pane {
  readonly leader: Raft;
  private readonly rafts: ReadonlyMap<NodeNumber, Raft>;
  private now: MonotonicMs = 0;

  constructor() {
    this.rafts = new Map(voters.map((self) => [self, newVoter(self)]));
    this.leader = this.elect();
  }

  /** Proposes and runs until nobody has anything left to say. */
  commit(payloads: readonly Uint8Array[]): void {
    const proposed = this.leader.propose(payloads, this.now);
    this.settle();
    assert(proposed.kind === 'accepted' && this.leader.commitIndex === proposed.lastIndex, 'a proposal is committed');
  }

  private elect(): Raft {
    const first = this.raft(voters[0] as NodeNumber);
    while (first.role !== 'leader') {
      this.now = first.nextTickAt();
      first.tick(this.now);
      this.settle();
    }
    return first;
  }

  private settle(): void {
    for (let letters = this.collect(); letters.length > 0; letters = this.collect()) {
      for (const { from, to, message } of letters) this.raft(to).receive(from, message, this.now);
    }
  }

  private collect(): readonly Letter[] {
    const letters: Letter[] = [];
    for (const [from, raft] of this.rafts) {
      for (let ready = raft.takeReady(); ready !== undefined; ready = raft.takeReady()) {
        if (ready.write !== undefined) raft.persisted(ready.write.id, this.now);
        for (const addressed of [...ready.sendNow, ...ready.sendAfterWrite]) letters.push({ ...addressed, from });
      }
    }
    return letters;
  }

  private raft(number: NodeNumber): Raft {
    const raft = this.rafts.get(number);
    assert(raft !== undefined, 'voters write to voters');
    return raft;
  }
}

function newVoter(self: NodeNumber): Raft {
  const random = seededRandom(benchSeed + self);
  const hardState = { term: 0, votedFor: 0 };
  return new Raft({
    self,
    configuration: { voters, learners: [], outgoing: [] },
    settings: raftSettingsDefault,
    random,
    hardState,
    entries: [],
    committed: 0,
    now: 0,
  });
}

const bench: Bench = {
  name: 'raft',
  about: `entries of ${payloadBytes} bytes, from the proposal to the commit at all three voters, no network and disk`,
  tasks: () =>
    batchSizes.map((size): BenchTask => {
      const pane = new Pane();
      const random = seededRandom(benchSeed);
      const payloads = Array.from({ length: size }, () => random.bytes(payloadBytes));
      return { name: size === 1 ? 'commit 1' : `commit ${size} together`, run: () => pane.commit(payloads) };
    }),
};

export default bench;
