import dns, { dnsSettings } from '../../roles/dns/dns.ts';
import host from '../../roles/host/host.ts';
import { hostSettings } from '../../roles/host/settings.ts';
import { roleConformance } from '../conformance/role.ts';
import { freePort } from '../roles/dns/cluster.ts';
import echo from './echo.ts';
import { MemoryHost, memberOf } from './memory-host.ts';

roleConformance('a small one', async () => ({
  definition: echo,
  settings: { greeting: 'hello', everyMs: 1 },
  makeHost: (clock) => new MemoryHost(memberOf(1, 'one', 'echo'), clock),
}));

roleConformance('host', async () => {
  const port = await freePort();
  const check = { kind: 'http', path: '/', intervalMs: 100, timeoutMs: 1000 };
  return {
    definition: host,
    settings: hostSettings.parse({
      services: [
        { name: 'git', port, check },
        { name: 'web', port: 80 },
      ],
    }),
    makeHost: (clock) => new MemoryHost(memberOf(1, 'atlas', 'host'), clock),
  };
});

roleConformance('dns', async () => {
  const port = await freePort();
  return {
    definition: dns,
    settings: dnsSettings.parse({ listen: [`127.0.0.1:${port}`] }),
    makeHost(clock) {
      const node = new MemoryHost(memberOf(1, 'ns1', 'dns'), clock);
      node.meet(memberOf(2, 'atlas', 'host'));
      const service = { name: 'git', addresses: ['10.0.0.21'], port: 3000, protocol: 'tcp', weight: 1, healthy: true };
      node.publishFrom(2, 'host', { services: [{ ...service, tags: [], domains: [] }] });
      return node;
    },
  };
});
