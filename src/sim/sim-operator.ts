/**
 * Somebody who runs the cluster: exchanges control nodes, hands the lead over, opens epochs, writes notes, and replaces
 * a control node whose log is lost. What is asked for may be refused or get lost; the operator asks again later.
 */

import { sessionIdBytes } from '../control/client-sessions.ts';
import { controlRole } from '../control/control-state.ts';
import { type SigningKey, seedBytes, signingKeyFrom } from '../crypto.ts';
import type { LogIndex, NodeNumber } from '../identity.ts';
import { type Random, shuffled } from '../seam/random.ts';
import type { PaneAsk } from '../wire/peer-message.ts';
import { simulationBeganAt } from './sim-clock.ts';
import type { SimCluster } from './sim-cluster.ts';
import type { SimNode } from './sim-node.ts';

/** Control nodes that join in one run. */
const joinsMax = 2;
const epochsMax = 2;
/** The smallest control set that the operator asks for while faults go on, and the largest. */
const setSizeMin = 3;
const setSizeMax = 5;
const notesMax = 4;
/** How often a note is sent again, through any node, when no answer said that it is decided. */
const noteRepeatsMax = 3;
/** How many of the notes that are decided are sent once more all the same, as if the answer had been lost, and when. */
const repeatChance = 0.3;
const repeatMsMax = 10_000;
/** Some notes fit into a sector of the disk; others take several, so that a crash can tear their record. */
const noteBytesShort = 32;
const noteBytesMax = 2_000;
const longChance = 0.5;
const tokenLifeMs = 3_600_000;

export const operatorActions = ['joinControl', 'changeSet', 'transfer', 'advanceEpoch', 'note'] as const;
export type OperatorAction = (typeof operatorActions)[number];

export class SimOperator {
  /** Changes of the control set that were decided. */
  changes = 0;
  private readonly cluster: SimCluster;
  private readonly random: Random;
  /** The size of the smallest set that was asked for, or is there. */
  private smallest: number;
  private readonly tokenSeed: Uint8Array;
  private readonly tokenKey: SigningKey;
  private joins = 0;
  private epochs = 0;
  private session: { readonly id: Uint8Array; readonly since: LogIndex } | undefined;
  private sequence = 0;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    this.random = cluster.random;
    this.smallest = cluster.control.length;
    this.tokenSeed = this.random.bytes(seedBytes);
    this.tokenKey = signingKeyFrom(this.tokenSeed);
  }

  /** How many damaged disks every control set withstands. */
  get minority(): number {
    return Math.floor((this.smallest - 1) / 2);
  }

  act(action: OperatorAction): void {
    this[action]();
  }

  /** Brings on its way what is not done yet: joins, and the replacement of whoever lost its log. */
  tend(): void {
    const waiting = this.cluster.nodes.some((node) => node.keepsLog() && node.number === 0 && node.running);
    if (waiting) this.createToken();
    for (const node of this.cluster.nodes) if (node.isLost) this.replace(node);
  }

  private joinControl(): void {
    this.createToken();
    if (this.joins >= joinsMax) return;
    const name = `c${this.cluster.control.length + ++this.joins}`;
    const roles = [{ name: controlRole, requires: [], bootstrapFrom: [], consumes: [] }];
    const node = this.cluster.add({ name, roles, token: this.cluster.tokenFrom(this.tokenSeed) });
    this.cluster.start([node]);
  }

  /** One comes in, goes out, or both. */
  private changeSet(): void {
    const present = this.present;
    const [newcomer] = shuffled(
      this.candidates.filter((number) => !present.includes(number)),
      this.random,
    );
    const [leaver] = shuffled(present, this.random);
    const goes = newcomer === undefined || present.length >= setSizeMax || this.random.next() < 0.5;
    const wanted = present.filter((number) => !goes || number !== leaver);
    if (newcomer !== undefined && (wanted.length < setSizeMin || this.random.next() < 0.8)) wanted.push(newcomer);
    if (wanted.length >= setSizeMin && this.withstandsItsDisks(wanted)) this.askFor(wanted);
  }

  private askFor(numbers: readonly NodeNumber[]): void {
    this.smallest = Math.min(this.smallest, numbers.length);
    const through = this.pick();
    const base = through?.member?.directory.charter.length ?? 0;
    const sorted = [...numbers].sort((a, b) => a - b);
    this.ask({ kind: 'amend', change: { kind: 'control-set', numbers: sorted, base } }, through, () => this.changes++);
  }

  private transfer(): void {
    const [to] = shuffled(this.present, this.random);
    if (to !== undefined) this.ask({ kind: 'transfer', to });
  }

  private advanceEpoch(): void {
    if (this.epochs >= epochsMax) return;
    this.epochs++;
    this.ask({ kind: 'amend', change: { kind: 'epoch' } });
  }

  /** Some at once, so that entries are on their way while others are decided. */
  private note(): void {
    for (let left = 1 + this.random.below(notesMax); left > 0; left--) this.writeNote();
  }

  /** Sends the same turn again, until an answer says that it is decided, and sometimes after that. */
  private writeNote(): void {
    this.session ??= { id: this.random.bytes(sessionIdBytes), since: this.pick()?.member?.client.pane.logIndex ?? 0 };
    const { id: session, since } = this.session;
    const text = this.random.bytes(this.noteBytes());
    const ask: PaneAsk = { kind: 'note', session, since, sequence: ++this.sequence, text };
    const send = (left: number): void => {
      const again = (): void => {
        if (left > 0) send(left - 1);
      };
      this.ask(ask, this.pick(), () => this.repeatLater(ask), again);
    };
    send(noteRepeatsMax);
  }

  private noteBytes(): number {
    return this.random.next() < longChance ? 1 + this.random.below(noteBytesMax) : noteBytesShort;
  }

  /** Not at once: the step that answers is still under way, and is checked only at its end. */
  private repeatLater(ask: PaneAsk): void {
    if (this.random.next() >= repeatChance) return;
    const { timeline } = this.cluster;
    timeline.schedule(timeline.now + this.random.below(repeatMsMax), () => this.ask(ask));
  }

  // — whose log is lost —

  /** Out of the control set first, then out of the cluster. */
  private replace({ number }: SimNode): void {
    const state = this.cluster.leader?.member?.pane?.state;
    if (state === undefined || !state.members.has(number)) return;
    if (!state.isControl(number)) {
      this.ask({ kind: 'remove', number });
      return;
    }
    const others = state.controlNumbers.filter((each) => each !== number);
    const spare = this.candidates.find((each) => !state.isControl(each));
    if (others.length < setSizeMin && spare !== undefined) others.push(spare);
    if (this.withstandsItsDisks(others)) this.askFor(others);
  }

  private createToken(): void {
    const { publicKey } = this.tokenKey;
    const notAfter = simulationBeganAt + tokenLifeMs;
    this.ask({ kind: 'create-token', publicKey, roles: [controlRole], notAfter, usesMax: 0 });
  }

  private ask(ask: PaneAsk, through = this.pick(), then = (): void => {}, otherwise = (): void => {}): void {
    if (through === undefined) return;
    this.cluster.ask(through, ask, ({ ok }) => {
      if (ok) then();
      else otherwise();
    });
  }

  /** Who may sign and vote: the control nodes of the genesis, and those that joined as such. */
  private get candidates(): readonly NodeNumber[] {
    const fit = this.cluster.nodes.filter((node) => node.number > 0 && node.keepsLog() && !node.hasLeft);
    return fit.map(({ number }) => number);
  }

  /** The control set, as the leader knows it, or anybody. */
  private get present(): readonly NodeNumber[] {
    const { leader } = this.cluster;
    return (leader ?? this.pick())?.member?.directory.controlNumbers() ?? [];
  }

  private withstandsItsDisks(numbers: readonly NodeNumber[]): boolean {
    const damaged = this.cluster.nodes.filter(({ number, disk }) => {
      return numbers.includes(number) && (disk.isRotten || disk.isWiped);
    });
    return damaged.length * 2 < numbers.length;
  }

  private pick(): SimNode | undefined {
    return shuffled(
      this.cluster.nodes.filter((node) => node.member !== undefined && !node.isPaused),
      this.random,
    )[0];
  }
}
