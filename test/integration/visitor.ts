/** A web site behind the cluster, and those who visit it: `dig` and a browser that knows only nginx. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A service whose health a test decides. */
export class WebSite {
  healthy = true;
  readonly port: number;
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (incoming, response) => {
      if (incoming.url === '/health') response.writeHead(this.healthy ? 200 : 503).end();
      else response.end(`Welcome to ${incoming.headers.host}.`);
    });
  }

  static async open(): Promise<WebSite> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new WebSite(server);
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }
}

/** The addresses that `dig` gets for a name; an empty list when there are none, or nobody answers. */
export async function digFor(port: number, name: string): Promise<readonly string[]> {
  const words = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=1', '+short', name, 'A'];
  const text = await new Promise<string>((resolve) => execFile('dig', words, (_error, stdout) => resolve(stdout)));
  return text.split('\n').filter((line) => /^[\d.]+$/.test(line));
}

export interface Page {
  readonly status: number;
  readonly text: string;
}

/** Fetches `/` from a port of this machine as if `domain` led there. */
export async function fetchFrom(port: number, domain: string): Promise<Page> {
  return await new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, headers: { Host: domain }, agent: false, timeout: 2_000 });
    asked.on('error', reject).on('timeout', () => asked.destroy(new Error(`No answer from port ${port}.`)));
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
  });
}
