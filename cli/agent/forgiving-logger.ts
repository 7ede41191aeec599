import type { Logger } from '../../src/seam/logger.ts';

type Write = Logger['info'];

/**
 * The same log, but one that cannot be written (a full disk, a pipe that nobody reads) costs its lines and never the
 * node: a member that ends because of its log would be one less to keep the quorum.
 */
export function forgivingLogger(log: Logger): Logger {
  const forgiving =
    (write: Write): Write =>
    (message, fields) => {
      try {
        write(message, fields);
      } catch {
        // There is nowhere to tell it.
      }
    };
  return {
    debug: forgiving(log.debug),
    info: forgiving(log.info),
    warn: forgiving(log.warn),
    error: forgiving(log.error),
    with: (fields) => forgivingLogger(log.with(fields)),
  };
}
