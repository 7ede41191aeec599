import type { Endpoint } from '../identity.ts';

export type DatagramListener = (from: Endpoint, bytes: Uint8Array) => void;

/** One UDP socket. It promises nothing: packets are lost, doubled, reordered, forged. */
export interface Datagrams {
  readonly local: Endpoint;
  /** Hands a packet to the network at once; a failure to send counts as a lost packet. */
  send(to: Endpoint, bytes: Uint8Array): void;
  onDatagram(listener: DatagramListener): void;
  close(): Promise<void>;
}
