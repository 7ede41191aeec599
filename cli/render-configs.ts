import { endpointText } from '../src/identity.ts';
import type { LocalConfigs } from '../src/node/local-api.ts';
import { plural } from './count.ts';
import type { Paint } from './paint.ts';
import { statusCell } from './render-members.ts';
import type { HostedService } from './service.ts';
import { type Cell, listed, table } from './table.ts';

export function renderServices(services: readonly HostedService[], withDown: boolean, paint: Paint): string {
  const shown = withDown ? services : services.filter((service) => service.hostStatus !== 'down');
  const hidden = services.length - shown.length;
  const note = hidden > 0 ? `${plural(hidden, 'service')} of hosts that are down, listed with --all.` : '';
  if (shown.length === 0) return note || 'No host publishes a service.';
  const headings = ['SERVICE', 'HOST', 'ADDRESS', 'WEIGHT', 'HEALTHY', 'DOMAINS', 'HOST STATUS'];
  const list = table(headings, shown.map(serviceRow), paint);
  return note ? `${list}\n\n${note}` : list;
}

function serviceRow(service: HostedService): readonly Cell[] {
  const { name, host, addresses, port, protocol, weight, healthy, domains } = service;
  const places = addresses.map((address) => endpointText({ host: address, port }));
  return [
    name,
    host,
    listed(places) + (protocol === 'udp' ? '/udp' : ''),
    weight,
    healthy ? { text: 'yes', tone: 'good' } : { text: 'no', tone: 'bad' },
    listed(domains),
    statusCell({ status: service.hostStatus, hint: false }),
  ];
}

export function renderConfigs(answer: LocalConfigs, paint: Paint): string {
  if (answer.configs.length === 0) return 'No config is known for this role.';
  const rows = answer.configs.map(({ owner, seq, ownerStatus }) => [
    owner,
    seq,
    statusCell({ status: ownerStatus, hint: false }),
  ]);
  return table(['OWNER', 'SEQ', 'OWNER STATUS'], rows, paint);
}
