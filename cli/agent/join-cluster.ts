/** The effectful half of a join: asks the given members in turn until one brings an answer. */
import { type ErrorCode, HivemindError, toHivemindError } from '../../src/error.ts';
import { type Address, endpointText } from '../../src/identity.ts';
import { acceptAdmission, type Joined, type JoinerOptions, prepareJoin } from '../../src/member/joining.ts';
import { resolveAddress } from '../../src/net/resolve.ts';
import type { Clock } from '../../src/seam/clock.ts';
import type { Streams } from '../../src/seam/streams.ts';

/** The pane waits for signatures and retries elections within this. */
const answerMs = 20_000;
/** An agent that nobody lets in yet asks again, ever more slowly (DC-2). */
const pauseMinMs = 1_000;
const pauseMaxMs = 30_000;

/** What may pass by itself: another member, or a later time, may bring the admission. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'address-unreachable',
  'time-out',
  'busy',
  'no-leader',
  'no-quorum',
  'not-leader',
  'not-admitted',
  'unknown-outcome',
]);

export interface JoinPlan {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly addresses: readonly Address[];
  readonly joiner: Omit<JoinerOptions, 'at'>;
  /** Goes on asking while the reason may pass; else the first round's last reason is thrown. */
  readonly patient: boolean;
  readonly signal: AbortSignal;
  readonly onAsking: (address: string) => void;
  readonly onRefused: (address: string, reason: HivemindError, nextInMs: number) => void;
}

/** @throws HivemindError with the reason of the refusal */
export async function joinCluster(plan: JoinPlan): Promise<Joined> {
  let pauseMs = pauseMinMs;
  for (;;) {
    const reason = await askEach(plan);
    if (!(reason instanceof HivemindError)) return reason;
    if (!plan.patient || !passing.has(reason.code)) throw reason;
    plan.onRefused(plan.addresses.map(endpointText).join(', '), reason, pauseMs);
    await pause(plan, pauseMs);
    pauseMs = Math.min(pauseMaxMs, pauseMs * 2);
  }
}

/** The admission, or why the last one asked did not give it. */
async function askEach(plan: JoinPlan): Promise<Joined | HivemindError> {
  let last = new HivemindError('address-unreachable', 'No address of a member was given; name one to join through.');
  for (const address of plan.addresses) {
    plan.onAsking(endpointText(address));
    try {
      return await askOne(plan, address);
    } catch (thrown) {
      last = toHivemindError(thrown);
      if (!passing.has(last.code)) return last;
    }
  }
  return last;
}

async function askOne(plan: JoinPlan, address: Address): Promise<Joined> {
  const options: JoinerOptions = { ...plan.joiner, at: plan.clock.wallNow() };
  const attempt = prepareJoin(options);
  const endpoints = await resolveAddress(address);
  const answer = await plan.streams.request({ endpoints, number: 0 }, attempt.request, answerMs);
  return acceptAdmission(answer.body, attempt, options);
}

async function pause(plan: JoinPlan, delayMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const cancel = plan.clock.after(delayMs, () => {
      plan.signal.removeEventListener('abort', stop);
      resolve();
    });
    const stop = (): void => {
      cancel();
      reject(new HivemindError('refused', 'Stopped before the cluster let this node in.'));
    };
    if (plan.signal.aborted) stop();
    plan.signal.addEventListener('abort', stop, { once: true });
  });
}
