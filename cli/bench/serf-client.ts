/**
 * A client of serf's RPC protocol (version 1): over TCP, each request a msgpack header `{Command, Seq}` and, for most,
 * a body; each answer a header `{Seq, Error}` and, for some, a body. What a stream tells comes under the Seq of the
 * request that began it.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Packr, UnpackrStream } from 'msgpackr';
import { HivemindError } from '../../src/error.ts';

const protocolVersion = 1;
const answerTimeoutMs = 15_000;

/** A user event, in those of its fields that the bench reads. */
export interface SerfUserEvent {
  readonly Payload: Uint8Array | string;
}

/** A line of the agent's log. */
export interface SerfLogLine {
  readonly Log: string;
}

export interface SerfMember {
  readonly Name: string;
  /** `alive`, `leaving`, `left` or `failed`. */
  readonly Status: string;
}

interface AnswerHeader {
  readonly Seq: number;
  readonly Error: string;
}

interface Waiting {
  readonly hasBody: boolean;
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: HivemindError) => void;
}

const packr = new Packr({ useRecords: false, variableMapSize: true });

export class SerfClient {
  private readonly socket: Socket;
  /** Requests under way; bounded by the bench, which has a few at a time. */
  private readonly waiting = new Map<number, Waiting>();
  private readonly streams = new Map<number, (item: unknown) => void>();
  private seq = 0;
  /** The header whose body comes next. */
  private header: AnswerHeader | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.once('close', () => this.onClose());
    socket.on('error', () => {});
    const values = socket.pipe(new UnpackrStream({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' }));
    values.on('data', (value: unknown) => this.onValue(value));
    values.on('error', () => socket.destroy());
  }

  /** @throws Error of the socket while nobody listens there */
  static async open(host: string, port: number): Promise<SerfClient> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    const client = new SerfClient(socket);
    await client.ask('handshake', { Version: protocolVersion });
    return client;
  }

  async members(): Promise<readonly SerfMember[]> {
    const { Members } = (await this.ask('members', undefined, true)) as { readonly Members: readonly SerfMember[] };
    return Members;
  }

  /** Tells all user events from now on, until the connection ends. */
  async followUserEvents(onEvent: (event: SerfUserEvent) => void): Promise<void> {
    await this.follow('stream', { Type: 'user' }, onEvent);
  }

  /** Tells the last lines of the agent's log, and all that come. */
  async followLog(onLine: (line: SerfLogLine) => void): Promise<void> {
    await this.follow('monitor', { LogLevel: 'INFO' }, onLine);
  }

  /** Sends a user event to all, which is not to be merged with others of its name. */
  async event(name: string, payload: string): Promise<void> {
    await this.ask('event', { Name: name, Payload: payload, Coalesce: false });
  }

  close(): void {
    this.socket.destroy();
  }

  private async follow<Item>(command: string, body: unknown, onItem: (item: Item) => void): Promise<void> {
    this.streams.set(this.seq, onItem as (item: unknown) => void);
    await this.ask(command, body);
  }

  private async ask(command: string, body?: unknown, hasBody = false): Promise<unknown> {
    const seq = this.seq++;
    const answer = new Promise<unknown>((resolve, reject) => this.waiting.set(seq, { hasBody, resolve, reject }));
    const timer = setTimeout(() => this.fail(seq, `serf did not answer "${command}" in time`), answerTimeoutMs);
    this.socket.write(packr.pack({ Command: command, Seq: seq }));
    if (body !== undefined) this.socket.write(packr.pack(body));
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  private onValue(value: unknown): void {
    const { header } = this;
    if (header === undefined) {
      this.onHeader(value as AnswerHeader);
      return;
    }
    this.header = undefined;
    const asked = this.waiting.get(header.Seq);
    if (asked === undefined) this.streams.get(header.Seq)?.(value);
    else this.settle(header.Seq, asked, value);
  }

  private onHeader(header: AnswerHeader): void {
    const asked = this.waiting.get(header.Seq);
    if (header.Error !== '') this.fail(header.Seq, `serf refused: ${header.Error}`);
    else if (asked === undefined || asked.hasBody) this.header = header;
    else this.settle(header.Seq, asked, undefined);
  }

  private settle(seq: number, asked: Waiting, body: unknown): void {
    this.waiting.delete(seq);
    asked.resolve(body);
  }

  private fail(seq: number, why: string): void {
    const asked = this.waiting.get(seq);
    this.waiting.delete(seq);
    asked?.reject(new HivemindError('agent-unreachable', `${why}; look at the agent's log.`));
  }

  private onClose(): void {
    for (const seq of [...this.waiting.keys()]) this.fail(seq, 'serf closed the connection');
  }
}
