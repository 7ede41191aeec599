/**
 * A role of one's own, as small as one can be: it serves a page that says which node it is. The dev cluster's hosts
 * perform it beside `host`; a settings file names it with `module:`.
 */
import { createServer } from 'node:http';
import { z } from 'zod';
import { defineRole, HivemindError, type RoleDefinition } from '../../src/role/role.ts';

export interface PageSettings {
  /** Where the page is served: an IP address of this machine. */
  readonly host: string;
  readonly port: number;
}

const page: RoleDefinition<PageSettings> = defineRole<PageSettings>({
  name: 'page',
  settings: z.strictObject({ host: z.string(), port: z.number().int().min(1).max(65_535) }),
  async start(context) {
    const { host, port } = context.settings;
    const server = createServer((request, response) => {
      context.metrics.count('requests');
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(
        `<!doctype html><title>hivemind</title><h1>Hello from ${context.self.name}</h1><p>${request.method}\n`,
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        const sentence = `The page cannot listen on ${host}:${port}; choose another port in its settings.`;
        reject(new HivemindError('port-in-use', sentence, cause));
      });
      server.listen({ host, port }, resolve);
    });
    return {
      status: () => ({ address: `${host}:${port}` }),
      async stop() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  },
});

export default page;
