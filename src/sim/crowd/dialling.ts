import type { NodeNumber } from '../../identity.ts';
import type { DialEnd } from './arm.ts';
import type { Links } from './links.ts';
import type { Arrival, Machine } from './machine.ts';

/** How long whoever dials waits for the whole exchange. */
export const dialDeadlineMs = 1_500;

export interface DialSeams {
  readonly links: Links;
  later(afterMs: number, happen: () => void): void;
  machine(number: NodeNumber): Machine | undefined;
  /** Gives it to the process on this machine, when that gets to it. */
  arrive(machine: Machine, arrival: Arrival): void;
  /** Runs out by this machine's own clock: before anything that waits in its sockets. */
  expire(machine: Machine, arrival: Arrival): void;
  /** An exchange of so many is under way. */
  onBytes(bytes: number): void;
}

/**
 * TCP as far as a failure detector sees it: a connection takes one round trip and is accepted or refused by the
 * kernel, an exchange takes three and needs both processes; what is lost is repeated, until the dialler gives up.
 */
export class Dialling {
  private readonly seams: DialSeams;

  constructor(seams: DialSeams) {
    this.seams = seams;
  }

  /** Tries `to` once; with `bytes` to exchange it must answer, with none it is enough that something listens. */
  dial(from: NodeNumber, to: NodeNumber, token: unknown, bytes: number): void {
    const { links, later, machine, arrive, expire } = this.seams;
    const dialler = machine(from);
    if (dialler === undefined) return;
    const { process } = dialler;
    let isOver = false;
    const end = (outcome: DialEnd): Arrival => {
      return (node, now) => {
        if (isOver || dialler.process !== process) return;
        isOver = true;
        node.onDialled(to, token, outcome, now);
      };
    };
    later(dialDeadlineMs, () => expire(dialler, end('silent')));
    later(links.synMs(from, to), () => {
      const answerer = machine(to);
      if (answerer === undefined || answerer.isGone) return;
      const outcome = answerer.runs ? 'accepted' : 'refused';
      const isAllOver = !answerer.runs || bytes === 0;
      if (!isAllOver) this.seams.onBytes(bytes);
      later(links.delayMs(), () => {
        if (isAllOver) arrive(dialler, end(outcome));
        else this.exchange(dialler, answerer, () => arrive(dialler, end('accepted')));
      });
    });
  }

  /** The handshake's two flights, then the request and its answer. */
  private exchange(dialler: Machine, answerer: Machine, then: () => void): void {
    this.pass(dialler, answerer, () =>
      this.pass(answerer, dialler, () =>
        this.pass(dialler, answerer, () => this.seams.later(this.segmentMs(answerer, dialler), then)),
      ),
    );
  }

  private pass(from: Machine, to: Machine, then: () => void): void {
    this.seams.later(this.segmentMs(from, to), () => this.seams.arrive(to, then));
  }

  private segmentMs(from: Machine, to: Machine): number {
    return this.seams.links.segmentMs(from.number, to.number);
  }
}
