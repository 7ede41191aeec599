/** The data of the resource records that this role serves. */
import { isIP } from 'node:net';
import type { Name } from './name.ts';

export type RecordData = AddressData | NameServerData | StartOfAuthorityData | TextData | ServiceData;

/** A (RFC 1035 §3.4.1) or AAAA (RFC 3596). */
export interface AddressData {
  readonly kind: 'A' | 'AAAA';
  /** The 4 or 16 bytes in lower-case hexadecimal: one spelling for each address. */
  readonly address: string;
}

export interface NameServerData {
  readonly kind: 'NS';
  readonly target: Name;
}

export interface StartOfAuthorityData {
  readonly kind: 'SOA';
  readonly primary: Name;
  /** The mailbox of whoever answers for the zone, its `@` written as a dot. */
  readonly mailbox: Name;
  readonly serial: number;
  readonly refreshSeconds: number;
  readonly retrySeconds: number;
  readonly expireSeconds: number;
  /** How long "there is none" may be cached (RFC 2308 §4). */
  readonly negativeTtlSeconds: number;
}

export interface TextData {
  readonly kind: 'TXT';
  /** At least one, of at most 255 ASCII characters each. */
  readonly strings: readonly string[];
}

/** SRV (RFC 2782). */
export interface ServiceData {
  readonly kind: 'SRV';
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: Name;
}

export const recordTypes: Readonly<Record<RecordData['kind'], number>> = {
  A: 1,
  NS: 2,
  SOA: 6,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
};

/** The record data of a literal address; nothing for one with a zone (`fe80::1%eth0`), which no record can hold. */
export function addressData(text: string): AddressData | undefined {
  switch (text.includes('%') ? 0 : isIP(text)) {
    case 4:
      return { kind: 'A', address: ipv4Hex(text) };
    case 6:
      return { kind: 'AAAA', address: ipv6Hex(text) };
    default:
      return undefined;
  }
}

function ipv4Hex(text: string): string {
  return Buffer.from(text.split('.').map(Number)).toString('hex');
}

/** RFC 4291 §2.2: groups, `::` for as many zeros as are missing, and perhaps a dotted IPv4 address at the end. */
function ipv6Hex(text: string): string {
  const [head = '', tail] = text.split('::');
  const [left, right] = [groups(head), groups(tail ?? '')];
  const missing = 8 - left.length - right.length;
  return [...left, ...Array<string>(tail === undefined ? 0 : missing).fill('0000'), ...right].join('');
}

function groups(text: string): readonly string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [group.toLowerCase().padStart(4, '0')];
    const hex = ipv4Hex(group);
    return [hex.slice(0, 4), hex.slice(4)];
  });
}
