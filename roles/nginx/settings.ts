/** The `nginx` section of hivemind.yaml. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { isPort } from '../../src/identity.ts';

export interface NginxSettings {
  /** Where visitors are served: `127.0.0.1:8080`, `[::1]:8080`, or `*:80` for every IPv4 address. */
  readonly listen: readonly string[];
  /** A path, or a name looked for on PATH and in the usual `sbin` folders. */
  readonly binary: string;
  /** nginx's worker processes, 1 … 64. */
  readonly workers: number;
}

export const listensMax = 16;
export const workersMax = 64;

const listenForm = /^(?:(\*|[\d.]+)|\[([^\]]+)\]):(\d{1,5})$/;

export function isListen(text: string): boolean {
  const parts = listenForm.exec(text);
  if (parts === null || !isPort(Number(parts[3]))) return false;
  const [plain, bracketed] = [parts[1], parts[2]];
  return bracketed === undefined ? plain === '*' || isIP(plain ?? '') === 4 : isPlainIpv6(bracketed);
}

const isPlainIpv6 = (text: string): boolean => isIP(text) === 6 && !text.includes('%');

const listen = z.string().refine(isListen, {
  error: (issue) =>
    `"${issue.input}" is not a place to listen on; write an address and a port, like 127.0.0.1:8080 or *:80.`,
});

export const nginxSettings: z.ZodType<NginxSettings> = z.strictObject({
  listen: z
    .array(listen)
    .min(1, 'Name at least one place to listen on, like 127.0.0.1:8080.')
    .max(listensMax, `At most ${listensMax} places to listen on are allowed.`)
    .refine((all) => new Set(all).size === all.length, 'A place to listen on is named twice; leave one out.')
    .default(['127.0.0.1:8080']),
  binary: z.string().min(1, 'Name the nginx program, or leave "binary" out.').max(4096).default('nginx'),
  workers: z.int().min(1).max(workersMax).default(1),
});
