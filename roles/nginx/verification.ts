/**
 * What nginx really does after a start or a reload. Exit codes prove nothing: with a taken port `nginx -t` and the
 * reload both succeed and the old configuration stays. Nor does one answer: nginx starts the new workers 100 ms before
 * it retires the old ones, and meanwhile both answer. Even ten in a row may come from the new ones by luck, so they are
 * spread over longer than that, and count only while no old worker accepts.
 */
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { HivemindError } from '../../src/role/role.ts';
import { emergencies, logSince } from './error-log.ts';
import type { Layout } from './layout.ts';

/** Fresh connections in a row that must be answered by the new configuration. */
export const answersInARow = 10;
export const verificationMs = 5000;
export const answerTimeoutMs = 1000;
export const answerBytesMax = 256;
/** Between two questions, answered or not. */
const questionMs = 15;

export interface Expectation {
  readonly hash: string;
  /** The length of error.log before the attempt. */
  readonly logFrom: number;
  readonly isRunning: () => Promise<boolean>;
  /** Whether none but the new workers accept, as far as the system tells. */
  readonly isSettled: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** Nothing when nginx serves what is expected, else why not. Throws the signal's reason when that aborts. */
export async function verify(layout: Layout, expectation: Expectation): Promise<HivemindError | undefined> {
  const { hash, logFrom, isRunning, isSettled, signal } = expectation;
  const deadline = performance.now() + verificationMs;
  let inARow = 0;
  while (inARow < answersInARow) {
    signal.throwIfAborted();
    const isNew = (await servedHash(layout)) === hash && (await isSettled());
    inARow = isNew ? inARow + 1 : 0;
    if (!isNew) {
      const isHopeless = performance.now() > deadline || hasGivenUp(await logSince(layout, logFrom));
      if (isHopeless || !(await isRunning())) return fault(await logSince(layout, logFrom));
    }
    await pause(questionMs);
  }
  const log = await logSince(layout, logFrom);
  return emergencies(log).length === 0 && (await isRunning()) ? undefined : fault(log);
}

/** The hash of the configuration that answers on a fresh connection; nothing when none does. */
export function servedHash(layout: Layout): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = request({ socketPath: layout.socket, path: '/generation', agent: false, timeout: answerTimeoutMs });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        if (text.length > answerBytesMax) asked.destroy();
      });
      response.on('close', () => resolve(response.complete && response.statusCode === 200 ? text : undefined));
    });
    asked.end();
  });
}

const bindFailure = /bind\(\) to (\S+) failed \((?:98|48): /;
const bindDenial = /bind\(\) to (\S+) failed \(13: /;

/** A taken address is tried five times; only then has nginx gone back to its old configuration, or ended. */
function hasGivenUp(log: string): boolean {
  return emergencies(log).some((line) => !bindFailure.test(line));
}

function fault(log: string): HivemindError {
  const taken = bindFailure.exec(log)?.[1];
  if (taken !== undefined) {
    const sentence = `nginx cannot listen on ${taken}: another process has that address; end it, or change "listen".`;
    return new HivemindError('port-in-use', sentence);
  }
  const denied = bindDenial.exec(log)?.[1];
  if (denied !== undefined) {
    const sentence = `nginx may not listen on ${denied}: name a port above 1023 in "listen", or run as root.`;
    return new HivemindError('role-failed', sentence);
  }
  const said = emergencies(log)[0] ?? 'it does not answer with its new configuration; look into its error.log';
  return new HivemindError('role-failed', `nginx did not take its configuration: ${said}`);
}
