/** Which number holds which name and which key: members, and those who are about to be. */
import { toHex } from '../bytes.ts';
import type { NodeNumber } from '../identity.ts';

/** What nobody else may hold at the same time. */
export interface Claim {
  readonly name: string;
  readonly signingKey: Uint8Array;
}

/** Found at once, however many there are: a join costs the same at ten members and at ten thousand. */
export class Claims {
  private readonly byName = new Map<string, NodeNumber>();
  /** By the signing key in hexadecimal. */
  private readonly byKey = new Map<string, NodeNumber>();

  take(number: NodeNumber, { name, signingKey }: Claim): void {
    this.byName.set(name, number);
    this.byKey.set(toHex(signingKey), number);
  }

  release({ name, signingKey }: Claim): void {
    this.byName.delete(name);
    this.byKey.delete(toHex(signingKey));
  }

  holderOfName(name: string): NodeNumber | undefined {
    return this.byName.get(name);
  }

  holderOfKey(signingKey: Uint8Array): NodeNumber | undefined {
    return this.byKey.get(toHex(signingKey));
  }
}
