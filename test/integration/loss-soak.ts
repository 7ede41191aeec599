/**
 * `npm run soak:loss -- [MINUTES] [AGENTS]`: agents in network namespaces of their own lose 30 % of all packets, in
 * both directions. Nobody may be convicted, or be down for anybody, until one of them is killed; that one has to be
 * convicted everywhere within 30 s. Ends with 1 where that does not hold. Needs root.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalEvent } from '../../src/node/local-api.ts';
import { NetnsCluster } from './netns-cluster.ts';
import { whyNoNetwork } from './netns-network.ts';

const minutesDefault = 5;
const agentsDefault = 32;
const controlNodes = 3;
const lossPercent = 30;
const convictedMs = 30_000;
const minuteMs = 60_000;

const isDown = ({ kind }: LocalEvent): boolean => kind === 'down';
const isSuspicion = ({ kind }: LocalEvent): boolean => kind === 'suspected';

const [minutes = minutesDefault, agents = agentsDefault] = process.argv.slice(2).map(Number);
const why = await whyNoNetwork();
if (why !== false) {
  console.error(why);
  process.exit(1);
}
const names = Array.from({ length: agents }, (_, index) => `n${index + 1}`);
const victim = names.at(-1) ?? '';
const cluster = await NetnsCluster.found(names.slice(0, controlNodes), names.slice(controlNodes));
try {
  const beganAt = Date.now();
  cluster.network.lose(lossPercent);
  await sleep(minutes * minuteMs);
  const downs = cluster.since(beganAt, isDown);
  const suspicions = cluster.since(beganAt, isSuspicion).length;
  const ofWhom = [...new Set(downs.map(({ event }) => event.node))].join(', ');
  console.log(
    `${downs.length === 0 ? 'PASS' : 'FAIL'}  ${minutes} min of ${lossPercent} % loss at ${agents} agents: ` +
      `${downs.length} reports of somebody down${ofWhom && ` (${ofWhom})`}, ${suspicions} suspicions`,
  );
  const killedAt = Date.now();
  await cluster.kill(victim);
  const { firstMs, lastMs } = await cluster.reportedByAll(
    `${victim} as convicted`,
    (event) => isDown(event) && event.node === victim && event.detail.hint === false,
    cluster.names,
    killedAt,
    convictedMs,
  );
  console.log(`PASS  a killed agent is convicted for the first after ${firstMs} ms, for the last after ${lastMs} ms`);
  if (downs.length > 0) process.exitCode = 1;
} finally {
  await cluster.close();
}
