import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import { connectLocal, type LocalListener, type LocalOptions, listenLocal } from '../../src/net/local-socket.ts';
import { silentLogger } from '../../src/seam/logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'hivemind-local-'));
after(() => rmSync(folder, { recursive: true }));

let sockets = 0;
const freshPath = (): string => join(folder, `${++sockets}.sock`);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (body: Uint8Array | undefined): string | undefined => body && Buffer.from(body).toString();

async function agent(options: Partial<LocalOptions> = {}): Promise<LocalListener> {
  const onRequest = async (body: Uint8Array): Promise<Uint8Array> => body;
  const onSubscribe = async (body: Uint8Array): Promise<Uint8Array> => body;
  return listenLocal({ path: freshPath(), onRequest, onSubscribe, log: silentLogger, ...options });
}

test('only its own user may open the socket, from the first moment', async () => {
  const path = freshPath();
  const before = process.umask();
  const listening = listenLocal({ path, onRequest: async (b) => b, onSubscribe: async (b) => b, log: silentLogger });
  const modes = new Set<number>();
  let listener: LocalListener | undefined;
  void listening.then((done) => {
    listener = done;
  });
  while (!listener) {
    modes.add((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([...modes], [0]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(process.umask(), before);
  await listener.close();
  assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
});

test('requests are answered out of order, and errors keep their code and sentence (EC-13)', async () => {
  const listener = await agent({
    async onRequest(body) {
      const text = textOf(body);
      if (text === 'refuse') throw new HivemindError('not-found', 'There is no node "x"; see `hivemind node ls`.');
      if (text === 'break') throw new Error('secret detail');
      if (text === 'slow') await new Promise((resolve) => setTimeout(resolve, 50));
      return body;
    },
  });
  const client = await connectLocal(listener.path);
  const order: string[] = [];
  const ask = async (text: string): Promise<void> => {
    order.push(textOf(await client.request(bytes(text), 2_000)) ?? '');
  };
  await Promise.all([ask('slow'), ask('quick')]);
  assert.deepEqual(order, ['quick', 'slow']);
  await assert.rejects(ask('refuse'), { code: 'not-found', message: /^There is no node "x"/ });
  await assert.rejects(ask('break'), { code: 'internal', message: /its log says why/ });
  await assert.rejects(client.request(bytes('slow'), 5), { code: 'time-out' });
  client.close();
  await client.closed;
  await assert.rejects(ask('quick'), { code: 'agent-unreachable' });
  await listener.close();
});

test('a subscription yields items until its answer, and ends when cancelled or with the connection', async () => {
  const aborted: string[] = [];
  const listener = await agent({
    async onSubscribe(body, call) {
      const name = textOf(body) ?? '';
      for (let item = 0; item < 3; item++) call.item(bytes(`${name} ${item}`));
      if (name === 'short') return bytes('end');
      await once(call.signal, 'abort');
      aborted.push(name);
      return body;
    },
  });
  const client = await connectLocal(listener.path);
  const items: string[] = [];
  const short = client.subscribe(bytes('short'), (item) => items.push(textOf(item) ?? ''));
  assert.equal(textOf(await short.ended), 'end');
  assert.deepEqual(items, ['short 0', 'short 1', 'short 2']);
  const cancelled = client.subscribe(bytes('cancelled'), () => cancelled.cancel());
  assert.equal(await cancelled.ended, undefined);
  const lasting = client.subscribe(bytes('lasting'), () => {});
  assert.equal(textOf(await client.request(bytes('later'), 2_000)), 'later');
  const ended = assert.rejects(lasting.ended, { code: 'agent-unreachable' });
  await listener.close();
  await ended;
  await client.closed;
  assert.deepEqual(aborted, ['cancelled', 'lasting']);
});

test('a subscriber that does not read costs the agent no more than its queue, and its handler is told', async () => {
  let refused = 0;
  const finished = new Promise<void>((resolve) => {
    void agent({
      async onSubscribe(body, call) {
        const item = Buffer.alloc(1024 * 1024);
        for (let sent = 0; sent < 40; sent++) if (!call.item(item)) refused++;
        resolve();
        return body;
      },
    }).then((listener) => {
      const reader = connect(listener.path).pause();
      const attach = Buffer.from([0x93, 11, 0xa8, ...Buffer.from('hivemind'), 1]);
      const subscribe = Buffer.from([0x93, 12, 1, 0xc4, 0]);
      for (const frame of [attach, subscribe])
        reader.write(Buffer.concat([Buffer.from([0, 0, 0, frame.length]), frame]));
      void finished.then(() => {
        reader.destroy();
        return listener.close();
      });
    });
  });
  await finished;
  assert.ok(refused >= 30);
});

test('bytes that are no frames cost their connection and nothing else', async () => {
  const listener = await agent();
  const client = await connectLocal(listener.path);
  for (const junk of ['GET / HTTP/1.1\r\n\r\n', '\0\0\0\u0001\xc1', '\0\0\0\0']) {
    const raw = connect(listener.path);
    raw.end(Buffer.from(junk, 'latin1'));
    raw.resume();
    await once(raw, 'close');
  }
  assert.equal(textOf(await client.request(bytes('still here'), 2_000)), 'still here');
  client.close();
  await listener.close();
});

test('another version is refused with a sentence', async () => {
  const listener = await agent();
  const raw = connect(listener.path);
  raw.write(Buffer.concat([Buffer.from([0, 0, 0, 12, 0x93, 11, 0xa8]), Buffer.from('hivemind'), Buffer.from([2])]));
  const chunks: Buffer[] = [];
  raw.on('data', (chunk) => chunks.push(chunk));
  await once(raw, 'close');
  assert.match(Buffer.concat(chunks).toString(), /frame-invalid.*version 1 of the socket protocol/s);
  await listener.close();
});

test('a living agent keeps its socket; the socket of a killed one is replaced', async () => {
  const living = await agent();
  await assert.rejects(agent({ path: living.path }), { code: 'address-in-use', message: /Another agent already/ });
  await living.close();

  const path = freshPath();
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.ok(statSync(path).isSocket());
  const replaced = await agent({ path });
  const client = await connectLocal(path);
  assert.equal(textOf(await client.request(bytes('x'), 2_000)), 'x');
  client.close();
  await replaced.close();
});

test('paths that cannot be a socket are refused in words', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, 'kept');
  await assert.rejects(agent({ path: file }), { code: 'address-in-use', message: /is not a socket/ });
  await assert.rejects(agent({ path: join(folder, 'x'.repeat(108)) }), {
    code: 'address-invalid',
    message: /107 bytes/,
  });
  await assert.rejects(agent({ path: join(folder, 'none', 'x') }), { code: 'address-invalid' });
  const missing = freshPath();
  await assert.rejects(connectLocal(missing), {
    code: 'agent-unreachable',
    message: [
      `No agent answers at ${missing}; start one with \`hivemind agent -c hivemind.yaml\``,
      'or name its socket with --socket.',
    ].join(' '),
  });
});
