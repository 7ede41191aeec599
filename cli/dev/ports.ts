/** Finds ports that nobody uses, and says so when the usual one is taken. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { HivemindError } from '../../src/error.ts';

/** How far above the usual port a free one is looked for. */
const triesMax = 200;

/** The first port from `usual` on that is free for UDP and TCP on `host` and not in `chosen`. */
export async function freePort(host: string, usual: number, chosen: ReadonlySet<string>): Promise<number> {
  for (let port = usual; port < usual + triesMax; port++) {
    if (!chosen.has(`${host}:${port}`) && (await isFree(host, port))) return port;
  }
  const sentence = `No port from ${usual} to ${usual + triesMax - 1} is free on ${host}; stop what uses them.`;
  throw new HivemindError('port-in-use', sentence);
}

export async function isFree(host: string, port: number): Promise<boolean> {
  return (await isFreeForTcp(host, port)) && (await isFreeForUdp(host, port));
}

async function isFreeForTcp(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function isFreeForUdp(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
