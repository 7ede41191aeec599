/** Three raft engines with disks in memory, on virtual time: as `Member` and `Node` drive them, without the rest. */
import type { MonotonicMs, NodeNumber } from '../../../src/identity.ts';
import type { MemberEffect } from '../../../src/member/effect.ts';
import { Outbox } from '../../../src/member/outbox.ts';
import { Compaction } from '../../../src/member/pane/compaction.ts';
import { RaftEngine } from '../../../src/member/pane/raft-engine.ts';
import type { AddressedRaftMessage } from '../../../src/raft/message.ts';
import { Raft, type RaftSettings, raftSettingsDefault } from '../../../src/raft/raft.ts';
import type { Engine } from '../../../src/seam/engine.ts';
import type { Instant } from '../../../src/seam/instant.ts';
import { type Random, seededRandom } from '../../../src/seam/random.ts';
import type { EngineLab } from '../../conformance/engine-stage.ts';
import { TestDisk, votersOnly } from '../../raft/voter.ts';

const numbers: readonly NodeNumber[] = [1, 2, 3];
const snapshotEveryEntries = 25;
const delayMsMax = 10;
const fsyncMsMax = 8;

/** Small limits, so that they are met. */
const settings: RaftSettings = {
  ...raftSettingsDefault,
  electionTimeoutMs: 500,
  uncommittedEntriesMax: 50,
  snapshotChunkBytes: 256,
};

interface Place {
  readonly disk: TestDisk;
  readonly random: Random;
  /** Counts its processes: what belongs to a dead one dies with it. */
  generation: number;
  running: { readonly engine: RaftEngine; readonly outbox: Outbox } | undefined;
}

interface Happening {
  readonly at: MonotonicMs;
  readonly run: () => void;
}

export class RaftLab implements EngineLab {
  readonly numbers: readonly NodeNumber[] = numbers;
  onProgress: EngineLab['onProgress'] = () => {};
  private readonly random: Random;
  private readonly places: ReadonlyMap<NodeNumber, Place>;
  private happenings: Happening[] = [];
  private isolated: NodeNumber | undefined;
  private lossRate = 0;
  private now: MonotonicMs = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.places = new Map(numbers.map((number) => [number, this.placeOf(number, seed)]));
    for (const number of numbers) this.begin(number);
  }

  private placeOf(number: NodeNumber, seed: number): Place {
    const disk = new TestDisk({ term: 0, votedFor: 0 }, []);
    return { disk, random: seededRandom(seed * 10 + number), generation: 0, running: undefined };
  }

  private place(number: NodeNumber): Place {
    return this.places.get(number) as Place;
  }

  private get at(): Instant {
    return { now: this.now, wall: this.now };
  }

  engine(number: NodeNumber): Engine | undefined {
    return this.place(number).running?.engine;
  }

  act(number: NodeNumber, call: (engine: RaftEngine, at: Instant) => void): void {
    const { running } = this.place(number);
    if (running === undefined) return;
    call(running.engine, this.at);
    for (const effect of running.outbox.take()) this.carryOut(number, effect);
  }

  async run(forMs: MonotonicMs): Promise<void> {
    const until = this.now + forMs;
    for (let due = this.dueBy(until); due !== undefined; due = this.dueBy(until)) {
      this.now = Math.max(this.now, due.at);
      due.run();
    }
    this.now = until;
  }

  /** What comes next: a message, a disk, or an engine that wants to be called. */
  private dueBy(until: MonotonicMs): Happening | undefined {
    const calls = numbers.flatMap((number) => {
      const engine = this.engine(number);
      const run = (): void => this.act(number, (each, at) => each.campaign(at));
      return engine === undefined ? [] : [{ at: engine.campaignAt(), run }];
    });
    const [next] = [...this.happenings, ...calls].sort((a, b) => a.at - b.at);
    if (next === undefined || next.at > until) return undefined;
    this.happenings = this.happenings.filter((each) => each !== next);
    return next;
  }

  async crash(number: NodeNumber): Promise<void> {
    const place = this.place(number);
    place.generation++;
    place.running = undefined;
  }

  async start(number: NodeNumber): Promise<void> {
    this.begin(number);
  }

  isolate(number: NodeNumber): void {
    this.isolated = number;
  }

  heal(): void {
    this.isolated = undefined;
  }

  lose(share: number): void {
    this.lossRate = share;
  }

  async close(): Promise<void> {}

  private begin(number: NodeNumber): void {
    const place = this.place(number);
    const { disk, random } = place;
    const { hardState, snapshot, entries } = disk;
    const outbox = new Outbox();
    const raft = new Raft({
      self: number,
      configuration: votersOnly(...numbers),
      settings,
      random,
      hardState,
      ...(snapshot === undefined ? {} : { snapshot }),
      entries,
      committed: 0,
      now: this.now,
    });
    const engine: RaftEngine = new RaftEngine({
      raft,
      outbox,
      courier: { send: (addressed) => this.send(number, addressed) },
      compaction: new Compaction(snapshot, snapshotEveryEntries),
      onProgress: (at) => this.onProgress(number, engine, at),
    });
    place.running = { engine, outbox };
  }

  private send(from: NodeNumber, { to, message }: AddressedRaftMessage): void {
    if (this.random.next() < this.lossRate) return;
    this.later(to, this.random.below(delayMsMax), (engine, at) => {
      if (this.isolated !== from && this.isolated !== to) engine.receive(from, message, at);
    });
  }

  private carryOut(number: NodeNumber, effect: MemberEffect): void {
    const { disk } = this.place(number);
    const fsyncMs = this.random.below(fsyncMsMax);
    if (effect.kind === 'write') {
      this.later(number, fsyncMs, (engine, at) => {
        disk.save(effect.write);
        engine.onDisk({ kind: 'written', id: effect.id }, at);
      });
    } else if (effect.kind === 'compact') {
      this.later(number, fsyncMs, (engine, at) => {
        disk.compact(effect.snapshot, effect.keepFrom);
        engine.onDisk({ kind: 'compacted' }, at);
      });
    }
  }

  /** Nothing when its process has died meanwhile. */
  private later(number: NodeNumber, delayMs: number, call: (engine: RaftEngine, at: Instant) => void): void {
    const place = this.place(number);
    const { generation } = place;
    const run = (): void => {
      if (place.generation === generation) this.act(number, call);
    };
    this.happenings.push({ at: this.now + delayMs, run });
  }
}
