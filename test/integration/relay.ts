/** A wire that listens in: UDP and TCP on one port of its own, both handed on to a node and back. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './processes.ts';

const host = '127.0.0.1';

export class Relay {
  readonly port: number;
  /** Every datagram that went to the node, in order. */
  readonly captured: Buffer[] = [];
  private readonly toPort: number;
  private readonly front: UdpSocket = createSocket('udp4');
  /** The relay's own socket for each sender, by port: the node's answers find their way back. */
  private readonly backs = new Map<number, UdpSocket>();
  private readonly server: Server;
  private readonly streams = new Set<Socket>();

  private constructor(port: number, toPort: number) {
    this.port = port;
    this.toPort = toPort;
    this.front.on('message', (bytes, from) => {
      this.captured.push(bytes);
      this.backFor(from.port).send(bytes, toPort, host);
    });
    this.server = createServer((stream) => this.onStream(stream));
  }

  static async open(toPort: number): Promise<Relay> {
    const relay = new Relay(await freePort(), toPort);
    relay.front.bind(relay.port, host);
    relay.server.listen(relay.port, host);
    await Promise.all([once(relay.front, 'listening'), once(relay.server, 'listening')]);
    return relay;
  }

  get address(): string {
    return `${host}:${this.port}`;
  }

  close(): void {
    this.front.close();
    for (const back of this.backs.values()) back.close();
    this.server.close();
    for (const stream of this.streams) stream.destroy();
  }

  private backFor(senderPort: number): UdpSocket {
    const known = this.backs.get(senderPort);
    if (known !== undefined) return known;
    const back = createSocket('udp4');
    back.on('message', (bytes) => this.front.send(bytes, senderPort, host));
    this.backs.set(senderPort, back);
    return back;
  }

  private onStream(stream: Socket): void {
    const onward = connect(this.toPort, host);
    for (const [each, partner] of [
      [stream, onward],
      [onward, stream],
    ] as const) {
      this.streams.add(each);
      each
        .on('error', () => {})
        .on('close', () => {
          this.streams.delete(each);
          partner.destroy();
        });
      each.pipe(partner);
    }
  }
}
