/** What is wrong with a user's values, told in the user's own terms: where it stands, keys, lists, numbers. */
import type { ZodType, z } from 'zod';
import { HivemindError } from '../error.ts';
import { nearestWord } from './nearest-word.ts';
import { unknownKeys } from './unknown-keys.ts';
import type { Complaint, Locator, Path } from './yaml-source.ts';

/** The values as the schema gives them back, with its defaults, or everything that is wrong with them. */
export type Checked<T> =
  | { readonly kind: 'valid'; readonly value: T }
  | { readonly kind: 'invalid'; readonly complaints: readonly Complaint[] };

/**
 * Checks a value that was read from a file. `prefix` says where in the file it stands, as `roles.dns` does. A
 * message of the schema's own stands behind the path of its value: "must be …", or a sentence with a capital.
 */
export function check<T>(schema: ZodType<T>, value: unknown, locator: Locator, prefix: Path = []): Checked<T> {
  const strangers = unknownKeys(schema, value).map(({ path, validKeys }) => ({
    at: locator.locateKey(path),
    sentence: strangerSentence(path, validKeys, prefix),
  }));
  const result = schema.safeParse(value, { error: messageOf });
  if (result.success) {
    return strangers.length === 0 ? { kind: 'valid', value: result.data } : { kind: 'invalid', complaints: strangers };
  }
  const faults = result.error.issues.flatMap(innermost).map(({ path, message }) => ({
    at: locator.locate(path),
    sentence: faultSentence([...prefix, ...path], message),
  }));
  return { kind: 'invalid', complaints: [...strangers, ...faults] };
}

/** The one sentence for all that is wrong with a file: the first complaint, and how many more there are. */
export function settingsInvalid(fileName: string, complaints: readonly Complaint[]): HivemindError {
  const [first, ...others] = [...complaints].sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  const place = first === undefined ? fileName : `${fileName}:${first.at.line}:${first.at.column}`;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return new HivemindError('settings-invalid', `${place}: ${first?.sentence ?? 'it cannot be used'}${more}.`);
}

function faultSentence(path: Path, message: string): string {
  const continues = /^[a-z]/.test(message);
  return `${pathText(path)}${continues ? ' ' : ': '}${message.replace(/\.$/, '')}`;
}

/** `services[0].port`. */
function pathText(path: Path): string {
  const steps = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`));
  return path.length === 0 ? 'the file' : steps.join('').replace(/^\./, '');
}

function strangerSentence(path: Path, validKeys: readonly string[], prefix: Path): string {
  const key = String(path.at(-1));
  const parent = [...prefix, ...path.slice(0, -1)];
  const known = `"${key}" is not a key ${parent.length === 0 ? 'of this file' : `of ${pathText(parent)}`}`;
  if (validKeys.length === 0) return `${known}, which takes no settings; remove it`;
  const nearest = nearestWord(key, validKeys);
  return nearest === undefined ? `${known}; its keys are ${validKeys.join(', ')}` : `${known}; write "${nearest}"`;
}

interface Fault {
  readonly path: Path;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** What to tell of an issue: of a union, the alternative that came closest. Unknown keys are told elsewhere. */
function innermost(issue: Issue): readonly Fault[] {
  if (issue.code === 'unrecognized_keys') return [];
  if (issue.code === 'invalid_key') return [{ path: issue.path, message: issue.issues[0]?.message ?? issue.message }];
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const wrongTypes = issue.errors.flat().filter(isWrongTypeAtRoot);
  if (wrongTypes.length === issue.errors.length) {
    const kinds = wrongTypes.map(({ expected }) => kindText(expected)).join(' or ');
    return [{ path: issue.path, message: `must be ${kinds}` }];
  }
  const depth = (faults: readonly Fault[]): number => Math.max(...faults.map(({ path }) => path.length));
  const [nearest = []] = issue.errors
    .filter((branch) => !branch.some(isWrongTypeAtRoot))
    .map((branch) => branch.flatMap(innermost))
    .sort((a, b) => depth(b) - depth(a) || a.length - b.length);
  return nearest.map(({ path, message }) => ({ path: [...issue.path, ...path], message }));
}

function isWrongTypeAtRoot(issue: Issue): issue is z.core.$ZodIssueInvalidType {
  return issue.code === 'invalid_type' && issue.path.length === 0;
}

/** The message of an issue for which the schema brings none of its own. Texts are not shown: one may be a secret. */
function messageOf(issue: z.core.$ZodRawIssue): string {
  const isAbsent = issue.input === undefined || issue.input === null;
  const be = isAbsent ? 'is missing; it must be' : 'must be';
  switch (issue.code) {
    case 'invalid_type':
      return `${be} ${kindText(issue.expected)}${isAbsent ? '' : `, not ${shown(issue.input)}`}`;
    case 'invalid_value':
      return `${be} ${choice(issue.values)}${suggestion(issue.input, issue.values)}`;
    case 'invalid_union':
      return Array.isArray(issue.options) ? `must be ${choice(issue.options)}` : 'is not valid';
    case 'too_small':
      return `must ${bound(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum)}`;
    case 'too_big':
      return `must ${bound(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum)}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return `must be a valid ${issue.format}`;
    default:
      return 'is not valid';
  }
}

const kindTexts: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  nonoptional: 'given',
};

function kindText(expected: string): string {
  return kindTexts[expected] ?? expected;
}

function shown(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a mapping';
  return typeof input === 'string' ? 'a text' : String(input);
}

function choice(values: readonly unknown[]): string {
  return values.map(String).join(' or ');
}

function suggestion(input: unknown, values: readonly unknown[]): string {
  const nearest = typeof input === 'string' ? nearestWord(input, values.map(String)) : undefined;
  return nearest === undefined ? '' : `; write "${nearest}"`;
}

function bound(origin: string, comparison: string, limit: number | bigint): string {
  const isOne = Number(limit) === 1;
  if (origin === 'string') return `have ${comparison} ${limit} ${isOne ? 'character' : 'characters'}`;
  if (origin === 'array' || origin === 'object') return `have ${comparison} ${limit} ${isOne ? 'entry' : 'entries'}`;
  return `be ${comparison} ${limit}`;
}
