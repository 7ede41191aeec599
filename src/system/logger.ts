import type { Logger as PinoLogger } from 'pino';
import type { Logger } from '../seam/logger.ts';

/** What cannot be written, because a disk is full, say, is kept up to so many bytes; then lines are dropped. */
const unwrittenBytesMax = 1_048_576;

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** The least important level that is written. */
  readonly level: LogLevel;
  /** `stderr` by default: the answers of a command go to stdout. */
  readonly destination?: 'stdout' | 'stderr';
}

const descriptors = { stdout: 1, stderr: 2 } as const;

/**
 * One JSON object per line: `level`, `time` (ISO 8601 in UTC), `msg` and the fields given. Lines are written at
 * once, so that the last ones before a crash are there. An error goes into the field `error`.
 */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  // Loaded late, for it takes longer to load than many commands take to run.
  const { destination, pino, stdSerializers, stdTimeFunctions } = await import('pino');
  const settings = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err },
  };
  return over(
    pino(
      settings,
      destination({ fd: descriptors[options.destination ?? 'stderr'], sync: true, maxLength: unwrittenBytesMax }),
    ),
  );
}

function over(pino: PinoLogger): Logger {
  return {
    debug: (message, fields = {}) => pino.debug(fields, message),
    info: (message, fields = {}) => pino.info(fields, message),
    warn: (message, fields = {}) => pino.warn(fields, message),
    error: (message, fields = {}) => pino.error(fields, message),
    with: (fields) => over(pino.child(fields)),
  };
}
