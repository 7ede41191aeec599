import { dirname, isAbsolute, join } from 'node:path';
import { type ZodType, z } from 'zod';
import { toHivemindError } from '../error.ts';
import {
  type Address,
  type Endpoint,
  endpointsPerNodeMax,
  isLabel,
  parseAddress,
  portDefault,
  rolesPerNodeMax,
} from '../identity.ts';
import { check, settingsInvalid } from './complaint.ts';
import { durationMsOf } from './duration.ts';
import { type Complaint, fileStart, type Locator, type Path, type Position, readYaml } from './yaml-source.ts';

export type { Position } from './yaml-source.ts';

/** The format that this version reads and writes: the file's `version`. */
export const settingsVersion = 1;
export const settingsBytesMax = 1_048_576;
export const joinAddressesMax = 16;
const dataFolderDefault = './data';
const bindDefault = `0.0.0.0:${portDefault}`;
const stallToleranceMsMin = 1_000;
const stallToleranceMsMax = 60_000;
const reapAfterDefault = '72h';
const replaceControlAfterDefault = '1h';

export const detectionProfiles = ['local', 'lan', 'wan'] as const;
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

/** How patient the failure detector is: one machine, one site, or several. */
export type DetectionProfile = (typeof detectionProfiles)[number];
export type LogLevel = (typeof logLevels)[number];

export interface NodeSettings {
  /** The node's name in the cluster: a lower-case DNS label. */
  readonly name: string;
  /** The folder for keys, log and state; a relative one is relative to the file's. Default `./data`. */
  readonly data: string;
  /** The local address for UDP and TCP: an IP address of this machine, or a name of it. Default `0.0.0.0:7100`. */
  readonly bind: Address;
  /**
   * Where others reach this node, best first, at most `endpointsPerNodeMax`. Default: `bind`; empty when that is a
   * wildcard, and then whoever starts the node chooses from the machine's interfaces.
   */
  readonly advertise: readonly Address[];
  /** How to get into a cluster; absent on a node that needs nobody, as the first one. */
  readonly join?: JoinSettings;
  readonly detection: DetectionSettings;
  readonly membership: MembershipSettings;
  readonly log: { readonly level: LogLevel };
  /** By role name, in the order of the file. */
  readonly roles: ReadonlyMap<string, RoleSection>;
}

export interface JoinSettings {
  /** Members to ask, tried in this order; 1 to `joinAddressesMax`. */
  readonly addresses: readonly Address[];
  /** The secret itself, or the file that holds it: at most one of them, and none once the node is a member. */
  readonly token?: string;
  readonly tokenFile?: string;
}

export interface DetectionSettings {
  /** Default `lan`. */
  readonly profile: DetectionProfile;
  /**
   * How long a node may stall without being convicted; the profile's own value when absent. In the file it is
   * `detection.stallTolerance`, `1s` … `60s`.
   */
  readonly stallToleranceMs?: number;
}

export interface MembershipSettings {
  /**
   * After so long a member that is down is removed for good; 0: never. Read by control nodes. In the file it is
   * `membership.reapAfter`, a duration of up to ten years. Default 72 hours.
   */
  readonly reapAfterMs: number;
  /**
   * After so long a control node that is down is replaced by one that waits, if there is one; 0: never. Read by control
   * nodes. In the file it is `membership.replaceControlAfter`, a duration of up to ten years. Default 1 hour.
   */
  readonly replaceControlAfterMs: number;
}

/** What the file says to one role, unchecked. */
export interface RoleSection extends Locator {
  readonly name: string;
  /** The file of a user's own role (`module: ./greeter.ts`); a relative one is relative to the settings file. */
  readonly module?: string;
  /** Everything else in the section; an empty mapping when nothing is written. */
  readonly settings: unknown;
  /** Where the role's name stands. */
  readonly at: Position;
}

/**
 * @param fileName stands in messages as it is, and its folder is what relative paths are relative to
 * @throws HivemindError `settings-invalid`: one sentence with file, line and column of the first mistake
 */
export function parseSettings(text: string, fileName: string): NodeSettings {
  const size = Buffer.byteLength(text);
  if (size > settingsBytesMax) {
    const sentence = `the file has ${size} bytes and may have ${settingsBytesMax}`;
    throw settingsInvalid(fileName, [{ at: fileStart, sentence }]);
  }
  const source = readYaml(text);
  if (!('value' in source)) throw settingsInvalid(fileName, source);
  const versionComplaint = checkVersion(source.value, source);
  if (versionComplaint !== undefined) throw settingsInvalid(fileName, [versionComplaint]);
  const checked = check(fileSchema, source.value, source);
  if (checked.kind === 'invalid') throw settingsInvalid(fileName, checked.complaints);
  return settingsFrom(checked.value, source, dirname(fileName));
}

/**
 * The settings of one role, checked and completed by its schema; a role without a schema takes none.
 *
 * @throws HivemindError `settings-invalid`
 */
export function parseRoleSettings<Settings>(
  section: RoleSection,
  schema: ZodType<Settings> | undefined,
  fileName: string,
): Settings {
  const known = schema ?? (noSettings as unknown as ZodType<Settings>);
  const checked = check(known, section.settings, section, ['roles', section.name]);
  if (checked.kind === 'invalid') throw settingsInvalid(fileName, checked.complaints);
  return checked.value;
}

/** Of a file in another version nothing else can be said. */
function checkVersion(value: unknown, locator: Locator): Complaint | undefined {
  const start = `start the file with "version: ${settingsVersion}"`;
  if (value === null) return { at: fileStart, sentence: `the file is empty; ${start}` };
  if (typeof value !== 'object' || Array.isArray(value)) {
    return { at: fileStart, sentence: `the file must be a mapping; ${start}` };
  }
  if (!('version' in value)) return { at: fileStart, sentence: `version is missing; ${start}` };
  if (value.version === settingsVersion) return undefined;
  return { at: locator.locate(['version']), sentence: `version must be ${settingsVersion}, the only one there is` };
}

const label = z.string().refine(isLabel, 'must be 1 to 63 lower-case letters, digits and hyphens, like "atlas-2"');
const path = z.string().min(1).max(4096);

const address = z.string().transform((text, context): Address => {
  try {
    return parseAddress(text);
  } catch (thrown) {
    context.addIssue({ code: 'custom', message: `is wrong: ${toHivemindError(thrown).message}` });
    return z.NEVER;
  }
});

const joinSchema = z
  .object({
    addresses: z.array(address).min(1).max(joinAddressesMax),
    token: z.string().min(1).max(4096).optional(),
    tokenFile: path.optional(),
  })
  .refine(({ token, tokenFile }) => token === undefined || tokenFile === undefined, {
    message: 'must have either token or tokenFile, not both',
  });

/** A duration as it is written, which YAML takes for a number when it is a bare 0. */
const writtenDuration = z
  .unknown()
  .transform((written) => (typeof written === 'string' || typeof written === 'number' ? String(written) : ''));

/** A duration, or 0. */
const patience = writtenDuration.transform((text, context): number => {
  const durationMs = text === '0' ? 0 : durationMsOf(text);
  if (durationMs !== undefined) return durationMs;
  const message = 'must be a number and a unit, like 72h or 7d, up to ten years; or 0 for never';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const stallTolerance = writtenDuration.transform((text, context): number => {
  const durationMs = durationMsOf(text) ?? 0;
  if (durationMs >= stallToleranceMsMin && durationMs <= stallToleranceMsMax) return durationMs;
  context.addIssue({ code: 'custom', message: 'must be a number and a unit, like 4s, from 1s to 60s' });
  return z.NEVER;
});

const detectionSchema = z.object({
  profile: z.enum(detectionProfiles).default('lan'),
  stallTolerance: stallTolerance.optional(),
});

const membershipSchema = z.object({
  reapAfter: patience.prefault(reapAfterDefault),
  replaceControlAfter: patience.prefault(replaceControlAfterDefault),
});

const roleSchema = z.looseObject({ module: path.optional() }).nullable();

const fileSchema = z.object({
  version: z.literal(settingsVersion),
  name: label,
  data: path.default(dataFolderDefault),
  bind: address.prefault(bindDefault),
  advertise: z.array(address).min(1).max(endpointsPerNodeMax).optional(),
  join: joinSchema.optional(),
  detection: detectionSchema.prefault({}),
  membership: membershipSchema.prefault({}),
  log: z.object({ level: z.enum(logLevels).default('info') }).prefault({}),
  roles: z
    .record(label, roleSchema)
    .refine((roles) => Object.keys(roles).length <= rolesPerNodeMax, `must have at most ${rolesPerNodeMax} roles`)
    .default({}),
});

const noSettings = z.object({});

function settingsFrom(file: z.output<typeof fileSchema>, locator: Locator, folder: string): NodeSettings {
  const { profile, stallTolerance: stallToleranceMs } = file.detection;
  const { reapAfter: reapAfterMs, replaceControlAfter: replaceControlAfterMs } = file.membership;
  return {
    name: file.name,
    data: pathFrom(folder, file.data),
    bind: file.bind,
    advertise: file.advertise ?? (isWildcard(file.bind) ? [] : [file.bind]),
    ...(file.join && { join: joinFrom(file.join, folder) }),
    detection: { profile, ...(stallToleranceMs !== undefined && { stallToleranceMs }) },
    membership: { reapAfterMs, replaceControlAfterMs },
    log: file.log,
    roles: new Map(Object.entries(file.roles).map(([name, raw]) => [name, sectionFrom(name, raw, locator, folder)])),
  };
}

function joinFrom({ addresses, token, tokenFile }: z.output<typeof joinSchema>, folder: string): JoinSettings {
  return {
    addresses,
    ...(token !== undefined && { token }),
    ...(tokenFile !== undefined && { tokenFile: pathFrom(folder, tokenFile) }),
  };
}

function sectionFrom(name: string, raw: z.output<typeof roleSchema>, locator: Locator, folder: string): RoleSection {
  const { module, ...settings } = raw ?? {};
  const within = (inside: Path): Path => ['roles', name, ...inside];
  return {
    name,
    ...(module !== undefined && { module: pathFrom(folder, module) }),
    settings,
    at: locator.locateKey(within([])),
    locate: (inside) => locator.locate(within(inside)),
    locateKey: (inside) => locator.locateKey(within(inside)),
  };
}

function pathFrom(folder: string, written: string): string {
  return isAbsolute(written) ? written : join(folder, written);
}

function isWildcard({ host }: Endpoint): boolean {
  return host === '0.0.0.0' || host === '::';
}
