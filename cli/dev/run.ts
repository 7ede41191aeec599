/** Runs a dev cluster in the foreground, until Ctrl-C or, with `--once`, until its self-check is over. */
import { findBinary } from '../../roles/nginx/process.ts';
import { HivemindError, toHivemindError } from '../../src/error.ts';
import { endpointText } from '../../src/identity.ts';
import { exitCodes } from '../failure.ts';
import { untilInterrupted } from '../interruption.ts';
import { DevCluster } from './dev-cluster.ts';
import { isDoorOpen, openDoor } from './dev-door.ts';
import { type DevPlan, nginxName, nodeNames, pageDomain, planCluster, serviceName, zone } from './plan.ts';
import { Report } from './report.ts';
import { SelfCheck } from './self-check.ts';

export interface DevFlags {
  readonly json?: true;
  readonly once?: true;
}

/** The exit code: 0, or 1 when `--once` did not see every step. */
export async function runDev(devFolder: string, flags: DevFlags): Promise<number> {
  const report = new Report(flags.json === true);
  const signal = untilInterrupted();
  if (await isDoorOpen(devFolder)) {
    throw new HivemindError('address-in-use', 'A dev cluster runs in this folder already; stop it with Ctrl-C first.');
  }
  const { plan, moved, resumed } = await planCluster(devFolder);
  for (const { what, usual, port } of moved) report.done('port', `${usual} is taken, so ${what} uses ${port}`);
  report.done('cluster', resumed ? `resumed from ${devFolder}` : `made in ${devFolder}`);
  const hasNginx = await findBinary('nginx').then(
    () => true,
    (thrown) => {
      report.missing('nginx', toHivemindError(thrown).message);
      return false;
    },
  );
  const cluster = new DevCluster(devFolder, (name, code, killed) => {
    if (killed !== 'SIGKILL') report.text(`${name} ended with ${killed ?? `exit code ${code}`}.`);
  });
  const door = await openDoor(cluster);
  try {
    for (const name of nodesToStart(hasNginx)) cluster.start(name);
    const ok = await new SelfCheck({ cluster, plan, report, signal, hasNginx }).run();
    tellReady(report, ok, plan, hasNginx, flags.once !== true);
    if (flags.once !== true) await interrupted(signal);
    return ok || flags.once !== true ? exitCodes.done : exitCodes.failed;
  } finally {
    await door.close();
    await cluster.stop();
    if (flags.once !== true) report.text('Stopped; the data stays. `hivemind dev reset` removes it.');
  }
}

function nodesToStart(hasNginx: boolean): readonly string[] {
  return nodeNames.filter((name) => hasNginx || name !== nginxName);
}

function tellReady(report: Report, ok: boolean, plan: DevPlan, hasNginx: boolean, stays: boolean): void {
  if (!ok) {
    report.failure('ready', stays ? 'not everything was seen; what runs goes on' : 'not everything was seen');
    return;
  }
  const page = `http://${pageDomain}:${plan.nginx.port}/`;
  report.done('ready', hasNginx ? page : `${serviceName}.${zone} by DNS at ${endpointText(plan.dns)}`);
  if (stays) report.text(tips(plan, hasNginx ? page : undefined));
}

function tips(plan: DevPlan, page: string | undefined): string {
  const dig = `dig @${plan.dns.host} -p ${plan.dns.port} ${serviceName}.${zone}`;
  const pages = page === undefined ? [] : [`  curl ${page}`];
  return [
    '',
    'Try, in a second terminal in this folder:',
    ...pages,
    `  ${dig}`,
    '  npm run -s hivemind -- members',
    '  npm run -s hivemind -- status',
    '  npm run -s hivemind -- log',
    '  npm run -s hivemind -- dev kill host-b',
    '  npm run -s hivemind -- dev start host-b',
    '',
    'Ctrl-C stops everything. This is for trying things out, not for production.',
  ].join('\n');
}

async function interrupted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
