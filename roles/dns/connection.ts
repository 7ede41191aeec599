/** One TCP connection of an asker (RFC 7766): queries one behind the other, answered in the order they came. */
import type { Socket } from 'node:net';
import type { Clock } from '../../src/role/role.ts';
import { queryBytesMax } from './message.ts';

/** A connection that brought no whole query for so long is closed (RFC 7766 §6.2.3: "a few seconds"). */
export const connectionIdleMs = 10_000;

const lengthBytes = 2;

/** The response to one query; nothing for what is no query. */
export type AnswerStream = (query: Uint8Array) => Uint8Array | undefined;

/**
 * Serves the connection until either side closes it; its errors end it, and nothing else. The socket is one that
 * stays open for writing when the asker has said its last word, because some close their half behind a query.
 */
export function serveConnection(socket: Socket, clock: Clock, answer: AnswerStream): void {
  let unread: Buffer = Buffer.alloc(0);
  let ended = false;
  let stopIdle = clock.after(connectionIdleMs, () => socket.destroy());

  const pump = (): void => {
    // Responses that the asker does not fetch stay in our memory, so no query is answered before it has done so.
    while (!socket.writableNeedDrain && !socket.destroyed) {
      const frame = nextFrame(unread);
      if (frame === undefined) {
        if (ended) socket.end();
        return;
      }
      unread = unread.subarray(lengthBytes + frame.length);
      const response = answer(frame);
      if (response === undefined) {
        socket.destroy();
        return;
      }
      stopIdle();
      stopIdle = clock.after(connectionIdleMs, () => socket.destroy());
      socket.write(framed(response));
    }
    socket.pause();
  };

  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => stopIdle());
  socket.on('drain', () => {
    socket.resume();
    pump();
  });
  socket.on('end', () => {
    ended = true;
    pump();
  });
  socket.on('data', (chunk) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    if (announcedBytes(unread) > queryBytesMax) socket.destroy();
    else pump();
  });
}

/** The first whole query in what was read, without its length. */
function nextFrame(unread: Buffer): Buffer | undefined {
  const end = lengthBytes + announcedBytes(unread);
  return unread.length < lengthBytes || unread.length < end ? undefined : unread.subarray(lengthBytes, end);
}

function announcedBytes(unread: Buffer): number {
  return unread.length < lengthBytes ? 0 : unread.readUInt16BE(0);
}

/** Length and response in one write, so that they leave in one segment (RFC 7766 §8). */
function framed(response: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(lengthBytes + response.length);
  frame.writeUInt16BE(response.length, 0);
  frame.set(response, lengthBytes);
  return frame;
}
