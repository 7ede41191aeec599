/** The `host` section of hivemind.yaml. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { isLabel } from '../../src/identity.ts';
import {
  addressesPerServiceMax,
  domainsPerServiceMax,
  isDomain,
  servicesPerHostMax,
  tagsPerServiceMax,
} from './contract.ts';

export interface HostSettings {
  readonly services: readonly ServiceSettings[];
}

/** One service as its host's operator writes it; the meaning of the fields is that of `Service`. */
export interface ServiceSettings {
  readonly name: string;
  readonly port: number;
  /** Without them, this node's own advertised addresses. */
  readonly addresses?: readonly string[] | undefined;
  readonly protocol: 'tcp' | 'udp';
  readonly weight: number;
  readonly tags: readonly string[];
  readonly domains: readonly string[];
  /** Without a check the service always counts as healthy. */
  readonly check?: CheckSettings | undefined;
}

export type CheckSettings = HttpCheck | TcpCheck;

interface CheckTiming {
  /** The service's own port when left out. */
  readonly port?: number | undefined;
  /** From the start of one check to the start of the next, 100 ms … 1 h. */
  readonly intervalMs: number;
  /** For the whole check, 10 ms … 1 min. */
  readonly timeoutMs: number;
  /** Failures in a row until the service counts as unhealthy, 1 … 100. */
  readonly failuresMax: number;
  /** Successes in a row until it counts as healthy, 1 … 100. */
  readonly successesMin: number;
}

/** A GET that is answered with 200 … 399. Redirects are not followed. */
export interface HttpCheck extends CheckTiming {
  readonly kind: 'http';
  readonly path: string;
}

/** A connection that is accepted. */
export interface TcpCheck extends CheckTiming {
  readonly kind: 'tcp';
}

const port = z.int('A port is a whole number.').min(1, 'Ports start at 1.').max(65_535, 'Ports end at 65535.');
const count = z.int().min(1).max(100);

const timing = {
  port: port.optional(),
  intervalMs: z.int().min(100).max(3_600_000).default(2000),
  timeoutMs: z.int().min(10).max(60_000).default(1000),
  failuresMax: count.default(2),
  successesMin: count.default(1),
};

const check = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('http'),
    path: z
      .string()
      .max(1024)
      .regex(/^\/[\x21-\x7e]*$/, 'Write the path from its first slash, without spaces, like /health.')
      .default('/'),
    ...timing,
  }),
  z.strictObject({ kind: z.literal('tcp'), ...timing }),
]);

const name = z.string().refine(isLabel, {
  error: (issue) => `"${issue.input}" cannot name a service; use lower-case letters, digits and hyphens, at most 63.`,
});
const address = z.string().refine((text) => isIP(text) !== 0, {
  error: (issue) => `"${issue.input}" is not an IP address; write one like 10.0.0.21 or fd00::21.`,
});
const domain = z.string().refine(isDomain, {
  error: (issue) =>
    `"${issue.input}" is not a domain; write it in lower case and without a final dot, like git.lab.test.`,
});
const tag = z.string().regex(/^[\x20-\x7e]{1,64}$/, 'A tag has 1 to 64 printable ASCII characters.');

const service = z
  .strictObject({
    name,
    port,
    addresses: z
      .array(address)
      .min(1, 'Name an address, or leave "addresses" out.')
      .max(addressesPerServiceMax)
      .optional(),
    protocol: z.enum(['tcp', 'udp']).default('tcp'),
    weight: z.int().min(0).max(65_535).default(100),
    tags: z.array(tag).max(tagsPerServiceMax).default([]),
    domains: z.array(domain).max(domainsPerServiceMax).default([]),
    check: check.optional(),
  })
  .refine(({ protocol, check }) => protocol === 'tcp' || check === undefined || check.port !== undefined, {
    path: ['check', 'port'],
    error: 'A check speaks TCP; name the TCP port at which this UDP service can be checked.',
  });

export const hostSettings: z.ZodType<HostSettings> = z.strictObject({
  services: z
    .array(service)
    .max(servicesPerHostMax, `A host publishes at most ${servicesPerHostMax} services.`)
    .superRefine(refuseRepetitions)
    .default([]),
});

/** A name stands for one service of a host, and a domain leads to one service. */
function refuseRepetitions(
  services: readonly Pick<ServiceSettings, 'name' | 'domains'>[],
  context: z.RefinementCtx,
): void {
  const ownerOfDomain = new Map<string, string>();
  const names = new Set<string>();
  services.forEach((service, position) => {
    if (names.has(service.name)) {
      const message = `Two services are called "${service.name}"; give each a name of its own.`;
      context.addIssue({ code: 'custom', path: [position, 'name'], message });
    }
    names.add(service.name);
    service.domains.forEach((domain, at) => {
      const other = ownerOfDomain.get(domain);
      ownerOfDomain.set(domain, service.name);
      if (other === undefined) return;
      const message = `The domain ${domain} is named twice, in "${other}" and "${service.name}"; leave one out.`;
      context.addIssue({ code: 'custom', path: [position, 'domains', at], message });
    });
  });
}
