/** What a dev cluster consists of: its nodes, where each listens, and the settings files that say so. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HivemindError } from '../../src/error.ts';
import { type Address, isPort } from '../../src/identity.ts';
import { writeSettings } from '../../src/settings/draft.ts';
import { writeFileAtomically } from '../../src/store/atomic-file.ts';
import { makeFolder } from '../../src/store/folder.ts';
import { found } from '../init.ts';
import { freePort, isFree } from './ports.ts';

export const controlNames: readonly string[] = ['control-1', 'control-2', 'control-3'];
export const hostNames: readonly string[] = ['host-a', 'host-b'];
export const dnsName = 'dns-a';
export const nginxName = 'nginx-a';
export const memberNames: readonly string[] = [...hostNames, dnsName, nginxName];
export const nodeNames: readonly string[] = [...controlNames, ...memberNames];
/** The service that both hosts offer, and the name that browsers and curl resolve to loopback by themselves. */
export const serviceName = 'web';
export const pageDomain = 'web.localhost';
export const zone = 'hive.internal';

const loopback = '127.0.0.1';
const tokenLifeMs: number = 365 * 86_400_000;
const planVersion = 1;

export interface DevPlan {
  readonly version: number;
  /** Port of each node, by name. */
  readonly ports: Readonly<Record<string, number>>;
  readonly pages: readonly Address[];
  readonly dns: Address;
  readonly nginx: Address;
}

/** A port that is not the usual one, because somebody else has that. */
export interface MovedPort {
  readonly what: string;
  readonly usual: number;
  readonly port: number;
}

export interface Planned {
  readonly plan: DevPlan;
  readonly moved: readonly MovedPort[];
  readonly resumed: boolean;
}

/** Linux answers on all of 127/8, which tells the hosts apart in DNS; other systems have one loopback address. */
function pageHost(position: number): string {
  return process.platform === 'linux' ? `127.0.1.${position + 1}` : loopback;
}

/** Reads the plan of an earlier run, or makes a new cluster. Taken ports give way to the next free ones. */
export async function planCluster(folder: string): Promise<Planned> {
  const path = join(folder, 'dev.json');
  const earlier = await readPlan(path);
  const { plan, moved } = await choosePorts(earlier);
  if (earlier === undefined) {
    makeFolder(folder);
    await foundCluster(folder, plan);
  } else {
    const movedControl = moved.filter(({ what }) => controlNames.includes(what));
    if (movedControl.length > 1) {
      const names = movedControl.map(({ what }) => what).join(' and ');
      throw new HivemindError(
        'port-in-use',
        `The ports of ${names} are taken, perhaps by another dev cluster; stop that, or reset this one.`,
      );
    }
  }
  await writeFileAtomically(path, Buffer.from(JSON.stringify(plan, undefined, 2)));
  for (const name of nodeNames) await writeNodeSettings(folder, plan, name);
  return { plan, moved, resumed: earlier !== undefined };
}

async function readPlan(path: string): Promise<DevPlan | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    const plan: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (isPlan(plan)) return plan;
  } catch {
    // Told below, like any other file that cannot be used.
  }
  throw new HivemindError(
    'data-format',
    `${path} is damaged or of another version; remove the cluster with \`hivemind dev reset\`.`,
  );
}

function isPlan(value: unknown): value is DevPlan {
  if (!isRecord(value) || value.version !== planVersion) return false;
  const { ports, pages, dns, nginx } = value;
  if (!isRecord(ports) || !nodeNames.every((name) => isUsablePort(ports[name]))) return false;
  if (!Array.isArray(pages) || pages.length !== hostNames.length) return false;
  return [...pages, dns, nginx].every(isPlace);
}

function isPlace(value: unknown): boolean {
  return isRecord(value) && typeof value.host === 'string' && isIP(value.host) !== 0 && isUsablePort(value.port);
}

function isUsablePort(value: unknown): boolean {
  return typeof value === 'number' && isPort(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

class PortChooser {
  readonly moved: MovedPort[] = [];
  private readonly chosen = new Set<string>();
  private readonly reserved = new Set<string>();

  /** A port that is its owner's usual one and free: nobody else moves there. */
  async reserve(host: string, usual: number): Promise<void> {
    if (await isFree(host, usual)) this.reserved.add(`${host}:${usual}`);
  }

  async choose(what: string, host: string, usual: number): Promise<number> {
    const isUsable = this.reserved.has(`${host}:${usual}`);
    const port = isUsable ? usual : await freePort(host, usual + 1, new Set([...this.chosen, ...this.reserved]));
    if (!isUsable) this.moved.push({ what, usual, port });
    this.chosen.add(`${host}:${port}`);
    return port;
  }
}

async function choosePorts(
  earlier: DevPlan | undefined,
): Promise<{ readonly plan: DevPlan; readonly moved: readonly MovedPort[] }> {
  const chooser = new PortChooser();
  const usualPorts = nodeNames.map((name, position) => earlier?.ports[name] ?? 7101 + position);
  const usualPages = hostNames.map((_, position) => earlier?.pages[position]?.port ?? 8101 + position);
  const [usualDns, usualNginx] = [earlier?.dns.port ?? 5300, earlier?.nginx.port ?? 8080];
  for (const port of [...usualPorts, usualDns, usualNginx]) await chooser.reserve(loopback, port);
  for (const [position, port] of usualPages.entries()) await chooser.reserve(pageHost(position), port);
  const ports: Record<string, number> = {};
  for (const [position, name] of nodeNames.entries()) {
    ports[name] = await chooser.choose(name, loopback, usualPorts[position] as number);
  }
  const pages: Address[] = [];
  for (const [position, name] of hostNames.entries()) {
    const host = pageHost(position);
    const port = await chooser.choose(`the page of ${name}`, host, usualPages[position] as number);
    pages.push({ host, port });
  }
  const dns = { host: loopback, port: await chooser.choose('DNS', loopback, usualDns) };
  const nginx = { host: loopback, port: await chooser.choose('nginx', loopback, usualNginx) };
  return { plan: { version: planVersion, ports, pages, dns, nginx }, moved: chooser.moved };
}

async function foundCluster(folder: string, plan: DevPlan): Promise<void> {
  const control = controlNames.map((name) => `${name}=${loopback}:${plan.ports[name]}`).join(',');
  const { token } = await found(control, folder, tokenLifeMs);
  await writeFileAtomically(join(folder, 'token'), Buffer.from(`${token}\n`));
}

async function writeNodeSettings(folder: string, plan: DevPlan, name: string): Promise<void> {
  const bind = { host: loopback, port: plan.ports[name] ?? 0 };
  const isControl = controlNames.includes(name);
  const addresses = controlNames.map((each) => ({ host: loopback, port: plan.ports[each] ?? 0 }));
  const join_ = isControl ? {} : { join: { addresses, tokenFile: join('..', 'token') } };
  makeFolder(join(folder, name));
  const text = writeSettings({ name, data: './data', bind, advertise: [], ...join_, roles: rolesOf(plan, name) });
  await writeFileAtomically(join(folder, name, 'hivemind.yaml'), Buffer.from(text), 0o644);
}

function rolesOf(plan: DevPlan, name: string): Readonly<Record<string, unknown>> {
  const address = ({ host, port }: Address): string => `${host}:${port}`;
  if (name === dnsName) return { dns: { zones: [zone], listen: [address(plan.dns)] } };
  if (name === nginxName) return { nginx: { listen: [address(plan.nginx)] } };
  const position = hostNames.indexOf(name);
  const page = plan.pages[position];
  if (page === undefined) return {};
  const service = {
    name: serviceName,
    addresses: [page.host],
    port: page.port,
    domains: [pageDomain],
    check: { kind: 'http', path: '/', intervalMs: 500 },
  };
  return { page: { module: pageModule(), ...page }, host: { services: [service] } };
}

/** The example role beside this program: compiled when this is, source when this is. */
function pageModule(): string {
  const here = fileURLToPath(import.meta.url);
  return fileURLToPath(new URL(`../../examples/page/page${extname(here)}`, import.meta.url));
}
