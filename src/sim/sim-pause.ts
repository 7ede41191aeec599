/** Datagrams that the kernel keeps for a process that is stopped: what a socket's buffer holds of them. */
export const datagramsKeptMax = 256;

/** A process that may be stopped (SIGSTOP): what happens meanwhile waits for it, in order. */
export class SimPause {
  private waiting: (() => void)[] | undefined;
  private datagrams = 0;

  get isOn(): boolean {
    return this.waiting !== undefined;
  }

  begin(): void {
    this.waiting ??= [];
  }

  /** Now, or when the process goes on. */
  awake(then: () => void): void {
    if (this.waiting === undefined) then();
    else this.waiting.push(then);
  }

  /** The same, but it is lost where there is no room for it. */
  hear(then: () => void): void {
    if (this.isOn && ++this.datagrams > datagramsKeptMax) return;
    this.awake(then);
  }

  end(): void {
    for (const then of this.forget()) then();
  }

  /** The process was killed: gives what it did not live to see. */
  forget(): readonly (() => void)[] {
    const waiting = this.waiting ?? [];
    this.waiting = undefined;
    this.datagrams = 0;
    return waiting;
  }
}
