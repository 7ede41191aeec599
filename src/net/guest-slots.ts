/** Counts the connections that no member has proved to be its own, in all and for each remote address. */
export class GuestSlots {
  private readonly inAllMax: number;
  private readonly perAddressMax: number;
  private readonly byAddress = new Map<string, number>();
  private inAll = 0;

  constructor(inAllMax: number, perAddressMax: number) {
    this.inAllMax = inAllMax;
    this.perAddressMax = perAddressMax;
  }

  /** Takes a slot; what it returns gives the slot back, once. Nothing when there is none left. */
  take(address: string): (() => void) | undefined {
    const taken = this.byAddress.get(address) ?? 0;
    if (this.inAll >= this.inAllMax || taken >= this.perAddressMax) return undefined;
    this.inAll++;
    this.byAddress.set(address, taken + 1);
    let isTaken = true;
    return () => {
      if (isTaken) this.giveBack(address);
      isTaken = false;
    };
  }

  private giveBack(address: string): void {
    const left = (this.byAddress.get(address) ?? 1) - 1;
    this.inAll--;
    if (left === 0) this.byAddress.delete(address);
    else this.byAddress.set(address, left);
  }
}
