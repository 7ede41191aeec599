/**
 * Every way in which a request can fail, by code. A code is part of the public interface: programs match
 * on it, people read the sentence beside it.
 */
export const errorCodes = [
  'address-invalid',
  'address-in-use',
  'address-unreachable',
  'agent-unreachable',
  'already-initialised',
  'busy',
  'cluster-mismatch',
  'config-too-large',
  'data-corrupt',
  'data-format',
  'disk-failed',
  'frame-invalid',
  'internal',
  'join-refused',
  'key-invalid',
  'name-invalid',
  'name-taken',
  'no-leader',
  'no-quorum',
  'not-admitted',
  'not-found',
  'not-leader',
  'port-in-use',
  'refused',
  'role-failed',
  'role-unknown',
  'roles-not-allowed',
  'session-expired',
  'settings-invalid',
  'time-out',
  'token-expired',
  'token-invalid',
  'token-used-up',
  'unknown-outcome',
  'usage',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

const known: ReadonlySet<string> = new Set(errorCodes);

export function isErrorCode(text: string): text is ErrorCode {
  return known.has(text);
}

/**
 * An operating error, told to whoever asked: a literal code for programs, and one sentence that says what
 * is wrong and what to do. Bytes from a peer never become one (they are counted and dropped), and a broken
 * invariant is an `AssertionError` instead.
 */
export class HivemindError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, sentence: string, cause?: unknown) {
    super(sentence, cause === undefined ? undefined : { cause });
    this.name = 'HivemindError';
    this.code = code;
  }
}

/** Wraps whatever was thrown, so that a caller always holds a code and a sentence. */
export function toHivemindError(thrown: unknown): HivemindError {
  if (thrown instanceof HivemindError) return thrown;
  const sentence = thrown instanceof Error ? thrown.message : String(thrown);
  return new HivemindError('internal', sentence, thrown);
}
