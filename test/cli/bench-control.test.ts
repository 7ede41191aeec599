import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { Command } from 'commander';
import { registerBench } from '../../cli/bench/command.ts';
import { type ControlReport, controlCatalog } from '../../cli/bench/control/catalog.ts';
import { checkDisk, fdatasyncMs } from '../../cli/bench/control/disk.ts';
import { putRequest, readFields, readStatus } from '../../cli/bench/control/etcd-message.ts';
import { etcdVersion } from '../../cli/bench/control/etcd-product.ts';
import { GrpcConnection } from '../../cli/bench/control/grpc-connection.ts';
import { quantile } from '../../cli/bench/control/measure-load.ts';
import type { ControlProductName } from '../../cli/bench/control/product.ts';
import { runControlBench } from '../../cli/bench/control/run.ts';
import { Report } from '../../cli/bench/report.ts';
import { compile, program } from '../integration/processes.ts';

const isLinux = process.platform === 'linux';

describe("etcd's messages", () => {
  test('a put reads back as its key and its value, however long', () => {
    for (const length of [0, 1, 127, 128, 256, 20_000]) {
      const fields = readFields(putRequest('key', new Uint8Array(length).fill(7)));
      assert.deepEqual(fields.get(1), Buffer.from('key'));
      assert.equal((fields.get(2) as Uint8Array).length, length);
    }
  });

  test('a status says who leads by the numbers of member and leader, which take 64 bits', () => {
    const member = [0x8a, 0xd5, 0xe2, 0x8d, 0xdf, 0x9f, 0x96, 0xa2, 0x4c];
    const header = [0x10, ...member];
    const status = (leader: readonly number[]): Uint8Array =>
      Uint8Array.from([0x0a, header.length, ...header, 0x20, ...leader, 0x30, 0x85, 0x01]);
    assert.deepEqual(readStatus(status(member)), { leads: true, term: 133 });
    assert.deepEqual(readStatus(status([0x8b, ...member.slice(1)])), { leads: false, term: 133 });
  });
});

describe("the bench's client of gRPC, against Node's own HTTP/2", () => {
  let server: Http2Server;
  let port = 0;

  before(async () => {
    server = createServer().on('stream', answer);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.close());

  /** Gives the message back, or refuses as gRPC does: with trailers alone. */
  function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const type = { ':status': 200, 'content-type': 'application/grpc' };
    if (headers[':path'] !== '/echo') {
      stream.respond({ ...type, 'grpc-status': '12' }, { endStream: true });
      return;
    }
    assert.equal(headers['content-type'], 'application/grpc');
    stream.respond(type, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  }

  test('answers find the calls that they belong to, over more bytes than a window holds', async () => {
    const connection = await GrpcConnection.open('127.0.0.1', port);
    for (let round = 0; round < 10; round++) {
      const texts = Array.from({ length: 100 }, (_, at) => `${round} ${at} ${'x'.repeat(200)}`);
      const answers = await Promise.all(texts.map((text) => connection.call('/echo', Buffer.from(text))));
      for (const [at, text] of texts.entries()) assert.equal(Buffer.from(answers[at] ?? []).toString(), text);
    }
    connection.close();
  });

  test('more calls than a window has room for are refused', async () => {
    const connection = await GrpcConnection.open('127.0.0.1', port);
    const calls = Array.from({ length: 129 }, () => connection.call('/echo', Buffer.alloc(300)));
    await assert.rejects(calls[128] as Promise<unknown>, { code: 'busy' });
    await Promise.all(calls.slice(0, 128));
    connection.close();
  });

  test('a call that is refused, or that loses its connection, fails', async () => {
    const connection = await GrpcConnection.open('127.0.0.1', port);
    await assert.rejects(connection.call('/nothing', Buffer.alloc(1)), { code: 'refused' });
    const lost = connection.call('/echo', Buffer.alloc(1));
    connection.close();
    await assert.rejects(lost, { code: 'address-unreachable' });
    await assert.rejects(connection.call('/echo', Buffer.alloc(1)), { code: 'address-unreachable' });
  });
});

describe('hivemind bench control', () => {
  test('a quantile is a value that was measured', () => {
    const sorted = Float64Array.from([1, 2, 3, 4]);
    assert.deepEqual(
      [0.5, 0.99, 1].map((share) => quantile(sorted, share)),
      [2, 4, 4],
    );
    assert.equal(quantile(new Float64Array(0), 0.5), 0);
  });

  test('memory is no disk', { skip: !isLinux && 'it needs /dev/shm' }, async () => {
    await assert.rejects(checkDisk('/dev/shm'), { code: 'refused' });
    assert(fdatasyncMs(tmpdir()) > 0);
  });

  test('refuses what it cannot do before it starts anything', async () => {
    const parse = async (...words: readonly string[]): Promise<unknown> => {
      const hivemind = new Command('hivemind').configureOutput({ outputError: () => {} });
      registerBench(hivemind.exitOverride());
      return await hivemind.parseAsync(['bench', 'control', ...words], { from: 'user' });
    };
    await assert.rejects(parse('--runs', '0'), { code: 'usage' });
    await assert.rejects(parse('--seconds', 'ten'), { code: 'usage' });
    await assert.rejects(parse('--only', 'consul'), { code: 'commander.invalidArgument' });
  });

  test('measures real control nodes: they commit, and go on when their leader is killed (HM-5)', {
    skip: !isLinux && 'it needs loopback addresses of its own',
    timeout: 180_000,
  }, async () => {
    await compile();
    const versions = { hivemind: 'hivemind', ...((await etcdVersion()) === undefined ? {} : { etcd: 'etcd' }) };
    const products = Object.keys(versions) as readonly ControlProductName[];
    const ground = { nodes: 3, runs: 1, machine: { processors: 2, node: process.version }, versions, method: [] };
    const report: ControlReport = new Report(controlCatalog, ground, () => {});
    const effort = { runs: 1, warmUpMs: 300, loadMs: 300, busyMs: 300, entries: 200, failovers: 1 };
    const measurements = ['single', 'failover', 'restart'] as const;
    const { signal } = new AbortController();
    await runControlBench({ ...effort, products, measurements, program: [program], report, signal });
    const { failures, figures } = report.result();
    assert.deepEqual(failures, []);
    for (const product of products) {
      for (const figure of ['single-rate', 'single-p99', 'failover', 'restart-follower', 'restart-all']) {
        const median = figures.find((each) => each.figure === figure)?.[product]?.median ?? 0;
        assert(median > 0, `${product}: ${figure}`);
      }
    }
  });
});
