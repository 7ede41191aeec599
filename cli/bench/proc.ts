/** What Linux tells in /proc about sockets and processes (proc(5)). */
import { readFile } from 'node:fs/promises';

/** What utime and stime are counted in, on every architecture: USER_HZ. */
const tickMs = 10;
/** The state of a TCP socket that listens. */
const listenState = '0A';

export interface Usage {
  /** User and system time of all its threads since it started. */
  readonly cpuMs: number;
  readonly residentKiB: number;
}

/** `host:port` of all IPv4 sockets on which somebody listens. */
export async function listeners(): Promise<ReadonlySet<string>> {
  return listenersIn(await readFile('/proc/net/tcp', 'utf8'));
}

export async function usageOf(pid: number): Promise<Usage> {
  const [stat, status] = await Promise.all(
    ['stat', 'status'].map(async (file) => await readFile(`/proc/${pid}/${file}`, 'utf8')),
  );
  return { cpuMs: cpuMsIn(stat ?? ''), residentKiB: residentKiBIn(status ?? '') };
}

/** Reads /proc/net/tcp: an address is four bytes in hexadecimal, the last one first on a little-endian machine. */
export function listenersIn(text: string): ReadonlySet<string> {
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/));
  const addresses = rows.filter(([, , , state]) => state === listenState).map(([, address = '']) => address);
  return new Set(addresses.map(addressText));
}

function addressText(address: string): string {
  const [host = '', port = ''] = address.split(':');
  const bytes = [...Buffer.from(host, 'hex')].reverse();
  return `${bytes.join('.')}:${Number.parseInt(port, 16)}`;
}

/** Reads /proc/PID/stat: utime and stime are its fields 14 and 15, and the name in field 2 may have spaces in it. */
export function cpuMsIn(stat: string): number {
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(afterName[11]) + Number(afterName[12])) * tickMs;
}

/** Reads /proc/PID/status. */
export function residentKiBIn(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}
