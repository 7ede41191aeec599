/**
 * A write without a snapshot as bytes, on its way to the thread that carries it out: a list of entries would be cloned
 * object by object. They never leave the process.
 */
import { entryKinds, type LogEntry, type LogWrite } from '../seam/log-store.ts';

/** Whether there is a hard state, its term, its vote; how many entries. */
const headBytes: number = 1 + 8 + 4 + 4;
/** Index, term, kind, length of the payload. */
const entryHeadBytes: number = 8 + 8 + 1 + 4;

export function packWrite({ hardState, entries }: Omit<LogWrite, 'snapshot'>): Uint8Array<ArrayBuffer> {
  const packedBytes = entries.reduce((sum, { payload }) => sum + entryHeadBytes + payload.length, headBytes);
  const bytes = new Uint8Array(packedBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, hardState === undefined ? 0 : 1);
  view.setFloat64(1, hardState?.term ?? 0);
  view.setUint32(9, hardState?.votedFor ?? 0);
  view.setUint32(13, entries.length);
  let at = headBytes;
  for (const { index, term, kind, payload } of entries) {
    view.setFloat64(at, index);
    view.setFloat64(at + 8, term);
    view.setUint8(at + 16, entryKinds.indexOf(kind));
    view.setUint32(at + 17, payload.length);
    bytes.set(payload, at + entryHeadBytes);
    at += entryHeadBytes + payload.length;
  }
  return bytes;
}

/** The payloads are views of `packed`. */
export function unpackWrite({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): LogWrite {
  const view = new DataView(buffer, byteOffset, byteLength);
  const hardState = { term: view.getFloat64(1), votedFor: view.getUint32(9) };
  const entries: LogEntry[] = [];
  let at = headBytes;
  for (let left = view.getUint32(13); left > 0; left--) {
    const payloadBytes = view.getUint32(at + 17);
    entries.push({
      index: view.getFloat64(at),
      term: view.getFloat64(at + 8),
      kind: entryKinds[view.getUint8(at + 16)] as LogEntry['kind'],
      payload: new Uint8Array(buffer, byteOffset + at + entryHeadBytes, payloadBytes),
    });
    at += entryHeadBytes + payloadBytes;
  }
  return { hardState: view.getUint8(0) === 1 ? hardState : undefined, entries };
}
