/**
 * The agent's own socket: frames over a unix socket that only the agent's user can open (mode 0600), for the
 * command line and for applications on the same machine.
 *
 * ```ts
 * const listener = await listenLocal({ path, onRequest, onSubscribe, log });
 * const agent = await connectLocal(path);
 * const answer = await agent.request(question, 5_000);
 * ```
 */
import type { Stats } from 'node:fs';
import { chmod, lstat, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { HivemindError } from '../error.ts';
import type { Logger } from '../seam/logger.ts';
import { Answering, type Call } from './answering.ts';
import { Asking, requestsInFlightMax } from './asking.ts';
import { errorOf, type Frame, frameBytesMax, frameMagic, frameVersion } from './frame.ts';
import { FrameSocket } from './frame-socket.ts';

/** `sun_path` of Linux, without its closing zero; a longer path would listen under another name (unix(7)). */
export const socketPathBytesMax = 107;
/** Command lines and applications connected at a time; more are closed unanswered. */
const localConnectionsMax = 128;

export interface LocalOptions {
  /** At most 107 bytes. What a dead process left there is replaced. */
  readonly path: string;
  readonly onRequest: (body: Uint8Array) => Promise<Uint8Array>;
  /**
   * Sends items while it runs; what it resolves with ends the subscription. `call.signal` aborts when the
   * subscriber has cancelled or is gone; `call.item` gives `false` when it reads too slowly.
   */
  readonly onSubscribe: (body: Uint8Array, call: Call) => Promise<Uint8Array>;
  readonly log: Logger;
}

export interface LocalListener {
  readonly path: string;
  /** Closes all connections in good order and removes the socket. */
  close(): Promise<void>;
}

/** @throws HivemindError `address-in-use`, `address-invalid` */
export async function listenLocal(options: LocalOptions): Promise<LocalListener> {
  checkPath(options.path);
  await removeStale(options.path);
  const listener = new Listener(options);
  await listener.listen();
  return listener;
}

class Listener implements LocalListener {
  readonly path: string;
  private readonly options: LocalOptions;
  private readonly server: Server;
  private readonly sockets = new Set<FrameSocket>();

  constructor(options: LocalOptions) {
    this.options = options;
    this.path = options.path;
    this.server = createServer((stream) => this.onConnection(stream));
    this.server.maxConnections = localConnectionsMax;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause) => reject(listenError(this.path, cause)));
      // A pipe is bound before `listen` returns, so nobody else can open it even for a moment.
      const umask = process.umask(0o077);
      try {
        this.server.listen(this.path, resolve);
      } finally {
        process.umask(umask);
      }
    });
    await chmod(this.path, 0o600);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const open = [...this.sockets];
    for (const socket of open) socket.close({ kind: 'goodbye' });
    await Promise.all([closed, ...open.map((socket) => socket.closed)]);
  }

  private onConnection(stream: Socket): void {
    const socket: FrameSocket = new FrameSocket(stream, {
      onFrame: (frame) => this.onAttach(frame, socket),
      onClose: () => this.sockets.delete(socket),
    });
    this.sockets.add(socket);
  }

  private onAttach(frame: Frame, socket: FrameSocket): void {
    if (frame.kind !== 'attach' || frame.magic !== frameMagic || frame.version !== frameVersion) {
      const sentence = `This agent speaks version ${frameVersion} of the socket protocol; use the same release.`;
      socket.close({ kind: 'refused', code: 'frame-invalid', sentence });
      return;
    }
    socket.incomingBytesMax = frameBytesMax;
    const answering = new Answering(socket, requestsInFlightMax, this.options.log);
    socket.listen({
      onFrame: (next) => this.onFrame(next, socket, answering),
      onClose: () => {
        this.sockets.delete(socket);
        answering.cancelAll();
      },
    });
  }

  private onFrame(frame: Frame, socket: FrameSocket, answering: Answering): void {
    if (frame.kind === 'cancel') answering.cancel(frame.id);
    else if (!this.start(frame, answering)) socket.destroy('malformed');
  }

  private start(frame: Frame, answering: Answering): boolean {
    const { onRequest, onSubscribe } = this.options;
    switch (frame.kind) {
      case 'request':
        return answering.start(frame.id, () => onRequest(frame.body));
      case 'subscribe':
        return answering.start(frame.id, (call) => onSubscribe(frame.body, call));
      default:
        return false;
    }
  }
}

export interface LocalSubscription {
  /** Resolves with the answer that ended it, or with nothing once cancelled; rejects with what else ended it. */
  readonly ended: Promise<Uint8Array | undefined>;
  /** Asks for no more items. */
  cancel(): void;
}

export interface LocalConnection {
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;
  /** @throws HivemindError `time-out`, `agent-unreachable`, `busy`, or whatever the agent refused with */
  request(body: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  subscribe(body: Uint8Array, onItem: (body: Uint8Array) => void): LocalSubscription;
  close(): void;
}

/** @throws HivemindError `agent-unreachable`, `address-invalid` */
export async function connectLocal(path: string): Promise<LocalConnection> {
  checkPath(path);
  return new Connection(await dial(path), path);
}

class Connection implements LocalConnection {
  readonly closed: Promise<void>;
  private readonly socket: FrameSocket;
  private readonly asking: Asking;
  private refusal: HivemindError | undefined;

  constructor(stream: Socket, path: string) {
    this.closed = new Promise((resolve) => stream.once('close', () => resolve()));
    const onClose = (): void => this.asking.onClose(this.refusal);
    this.socket = new FrameSocket(stream, { onFrame: (frame) => this.onFrame(frame), onClose });
    this.socket.incomingBytesMax = frameBytesMax;
    this.asking = new Asking(this.socket, `the agent at ${path}`, 'agent-unreachable');
    this.socket.notify({ kind: 'attach', magic: frameMagic, version: frameVersion });
  }

  request(body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      let takeBack = (): void => {};
      const timer = setTimeout(() => {
        takeBack();
        reject(new HivemindError('time-out', `The agent did not answer within ${timeoutMs} ms; ask again later.`));
      }, timeoutMs);
      const onAnswer = (answer: Uint8Array): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      const onFailure = (error: HivemindError): void => {
        clearTimeout(timer);
        reject(error);
      };
      takeBack = this.asking.ask('request', body, { onAnswer, onFailure });
    });
  }

  subscribe(body: Uint8Array, onItem: (body: Uint8Array) => void): LocalSubscription {
    let cancel = (): void => {};
    const ended = new Promise<Uint8Array | undefined>((resolve, reject) => {
      const takeBack = this.asking.ask('subscribe', body, { onAnswer: resolve, onFailure: reject, onItem });
      cancel = () => {
        takeBack();
        resolve(undefined);
      };
    });
    return { ended, cancel };
  }

  close(): void {
    this.socket.close({ kind: 'goodbye' });
  }

  private onFrame(frame: Frame): void {
    switch (frame.kind) {
      case 'answer':
        this.asking.onAnswer(frame);
        break;
      case 'failure':
        this.asking.onFailure(frame);
        break;
      case 'item':
        this.asking.onItem(frame);
        break;
      case 'refused':
        this.refusal = errorOf(frame);
        break;
      default:
        this.socket.destroy('malformed');
    }
  }
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const stream = connect(path);
    stream.once('connect', () => {
      stream.removeAllListeners('error');
      resolve(stream);
    });
    stream.once('error', (cause) => {
      const remedy = 'start one with `hivemind agent -c hivemind.yaml` or name its socket with --socket.';
      reject(new HivemindError('agent-unreachable', `No agent answers at ${path}; ${remedy}`, cause));
    });
  });
}

function checkPath(path: string): void {
  if (Buffer.byteLength(path) <= socketPathBytesMax) return;
  throw new HivemindError(
    'address-invalid',
    `The socket path ${path} is longer than ${socketPathBytesMax} bytes; choose a shorter one.`,
  );
}

/** Removes the socket of a process that is dead; refuses when a living one answers there. */
async function removeStale(path: string): Promise<void> {
  const found: Stats | undefined = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new HivemindError(
      'address-in-use',
      `${path} exists and is not a socket; move it away or choose another path.`,
    );
  }
  if (await isAnswered(path)) throw taken(path);
  await rm(path, { force: true });
}

/** Only a refusal says that nobody is there: a stopped process with a full queue does not refuse. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    (await dial(path)).destroy();
    return true;
  } catch (thrown) {
    const cause = thrown instanceof HivemindError ? (thrown.cause as NodeJS.ErrnoException) : undefined;
    return cause?.code !== 'ECONNREFUSED';
  }
}

function listenError(path: string, cause: NodeJS.ErrnoException): HivemindError {
  if (cause.code === 'EADDRINUSE') return taken(path, cause);
  return new HivemindError(
    'address-invalid',
    `Cannot listen at ${path}: ${cause.message}; choose a path in a folder that exists and is this user's own.`,
    cause,
  );
}

function taken(path: string, cause?: unknown): HivemindError {
  return new HivemindError(
    'address-in-use',
    `Another agent already answers at ${path}; stop it, or give this one a socket of its own.`,
    cause,
  );
}
