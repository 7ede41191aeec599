/** What the tests of streams share: nodes that are closed at the end, and patience. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { NodeNumber } from '../../src/identity.ts';
import type { TlsStreams } from '../../src/net/streams.ts';
import type { StreamTarget } from '../../src/seam/streams.ts';
import { type Changes, keyOf, listenAs } from './stream-node.ts';

const open: TlsStreams[] = [];
after(() => Promise.all(open.map((streams) => streams.close())));

export async function start(key: NodeNumber, changes: Changes = {}): Promise<TlsStreams> {
  const streams = await listenAs(key, changes);
  open.push(streams);
  return streams;
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const textOf = (body: Uint8Array): string => Buffer.from(body).toString();
export const targetOf = (streams: TlsStreams, number: NodeNumber): StreamTarget => ({
  endpoints: [streams.local],
  number,
  publicKey: keyOf(number),
});
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function ask(from: TlsStreams, to: StreamTarget, text: string, timeoutMs = 3_000): Promise<string> {
  return textOf((await from.request(to, bytes(text), timeoutMs)).body);
}

export async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    assert.ok(tries < 400, 'did not happen within 4 s');
    await pause(10);
  }
}
