/** A model as nginx's configuration: pure, sorted, and the same text for the same model on every machine. */
import { toHex, utf8 } from '../../src/bytes.ts';
import { sha256 } from '../../src/crypto.ts';
import { endpointText } from '../../src/identity.ts';
import { type Layout, mainFile } from './layout.ts';
import { isServing, type Model, type UpstreamServer, type VirtualHost } from './model.ts';
import type { NginxSettings } from './settings.ts';
import { type Fragment, nginx, UnsafeValue } from './syntax.ts';

/** An old worker that still serves long connections after a reload is ended by then. */
export const workerShutdownMs = 30_000;
export const workerConnections = 4096;
/** What visitors of a site without a server are told to wait. */
export const retryAfterMs = 10_000;
export const connectTimeoutMs = 1000;
/** After so many failures within `failTimeoutMs` a worker leaves a server alone for as long. */
export const failuresMax = 2;
export const failTimeoutMs = 5000;
/** Servers tried for one request. */
export const triesMax = 3;
/** Idle connections that each worker keeps to the servers of one virtual host. */
export const idleConnectionsMax = 16;
export const requestBodyMebibytesMax = 100;
/** The longest name (253) must fit one bucket of nginx's table of names. */
const namesBucketBytes = 512;

export interface RenderedFile {
  /** Below the generation's folder. */
  readonly path: string;
  readonly text: string;
  /** The virtual host that it is about; nothing for the common files. */
  readonly domain?: string;
}

export interface Rendering {
  /** Names the content: equal models have equal hashes. */
  readonly hash: string;
  /** Sorted by path. */
  readonly files: readonly RenderedFile[];
  /** Virtual hosts left out, because a value of theirs cannot be written safely. */
  readonly unsafe: readonly string[];
}

export const statusFile = 'status.conf';

export function render(
  model: Model,
  settings: NginxSettings,
  layout: Layout,
  quarantined: ReadonlySet<string> = new Set(),
): Rendering {
  const unsafe: string[] = [];
  const hosts = model.virtualHosts
    .filter((virtualHost) => !quarantined.has(virtualHost.domain))
    .flatMap((virtualHost) => {
      try {
        return [virtualHostFile(virtualHost, settings)];
      } catch (thrown) {
        if (!(thrown instanceof UnsafeValue)) throw thrown;
        unsafe.push(virtualHost.domain);
        return [];
      }
    });
  const common: readonly RenderedFile[] = [
    { path: mainFile, text: main(settings, layout, hosts.length).text },
    { path: 'maintenance.conf', text: maintenance.text },
  ];
  const hash = hashOf([...common, ...hosts]);
  const status = { path: statusFile, text: statusServer(layout, hash).text };
  return { hash, files: [...common, status, ...hosts].sort((a, b) => (a.path < b.path ? -1 : 1)), unsafe };
}

function hashOf(files: readonly RenderedFile[]): string {
  return toHex(sha256(utf8(JSON.stringify(files.map(({ path, text }) => [path, text]))))).slice(0, 32);
}

const fileNameCharactersMax = 200;

function virtualHostFile(virtualHost: VirtualHost, settings: NginxSettings): RenderedFile {
  const { domain } = virtualHost;
  const isShort = domain.length <= fileNameCharactersMax;
  const name = isShort ? domain : `${domain.slice(0, 100)}-${toHex(sha256(utf8(domain))).slice(0, 32)}`;
  const text = isServing(virtualHost) ? proxied(virtualHost, settings) : unavailable(virtualHost, settings);
  return { path: `hosts/${name}.conf`, text: text.text, domain };
}

function proxied({ domain, service, servers }: VirtualHost, settings: NginxSettings): Fragment {
  return nginx`# service ${service}
upstream ${domain} {
  ${servers.map(upstreamServer)}
  keepalive ${idleConnectionsMax};
}

server {
  ${settings.listen.map((place) => nginx`listen ${place};`)}
  server_name ${domain};

  location / {
    proxy_pass ${`http://${domain}`};
  }
}
`;
}

function upstreamServer(server: UpstreamServer): Fragment {
  const place = endpointText({ host: server.address, port: server.port });
  const use = server.down
    ? nginx`down`
    : nginx`weight=${server.weight} max_fails=${failuresMax} fail_timeout=${failTimeoutMs / 1000}s`;
  return nginx`server ${place} ${use}; # ${server.owner}`;
}

function unavailable({ domain, service }: VirtualHost, settings: NginxSettings): Fragment {
  return nginx`# service ${service}, of which no instance can serve
server {
  ${settings.listen.map((place) => nginx`listen ${place};`)}
  server_name ${domain};
  include maintenance.conf;
}
`;
}

const maintenance: Fragment = nginx`location / {
  default_type text/html;
  add_header Retry-After ${retryAfterMs / 1000} always;
  add_header Cache-Control no-store always;
  return 503 "<!doctype html><title>Back soon</title><h1>Back soon</h1><p>This site has no server just now.</p>\\n";
}
`;

function statusServer(layout: Layout, hash: string): Fragment {
  return nginx`server {
  listen ${`unix:${layout.socket}`};
  location = /generation {
    return 200 ${hash};
  }
}
`;
}

function main(settings: NginxSettings, layout: Layout, virtualHosts: number): Fragment {
  return nginx`# Written by hivemind's nginx role; what you change here is lost.
daemon off;
worker_processes ${settings.workers};
worker_shutdown_timeout ${workerShutdownMs}ms;
pid ${layout.pidFile};
error_log ${layout.errorLog} warn;

events {
  worker_connections ${workerConnections};
}

http {
  access_log off;
  server_tokens off;
  default_type application/octet-stream;
  server_names_hash_bucket_size ${namesBucketBytes};
  server_names_hash_max_size ${namesTableSize(virtualHosts)};
  client_max_body_size ${requestBodyMebibytesMax}m;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((use) => tempPath(use, layout))}

  ${proxying}

  include status.conf;

  server {
    ${settings.listen.map((place) => nginx`listen ${place} default_server;`)}
    default_type text/plain;
    return 404 "No site of this name is served here.\\n";
  }

  include hosts/*.conf;
}
`;
}

/** nginx refuses to start with a table that is too small. A power of two, so that few additions change it. */
function namesTableSize(virtualHosts: number): number {
  return Math.max(512, 2 ** Math.ceil(Math.log2(virtualHosts * 4 + 1)));
}

function tempPath(use: string, layout: Layout): Fragment {
  const directive = nginx`${`${use}_temp_path`}`;
  return nginx`${directive} ${`${layout.temp}/${use}`};`;
}

/** Holds for every virtual host. An empty Connection header keeps connections to the servers open. */
const proxying: Fragment = nginx`map $http_upgrade $connection_to_server {
  default upgrade;
  '' '';
}

proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Connection $connection_to_server;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_connect_timeout ${connectTimeoutMs}ms;
proxy_next_upstream error timeout;
proxy_next_upstream_tries ${triesMax};`;
