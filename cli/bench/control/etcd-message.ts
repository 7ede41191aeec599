/** The few messages of etcd's API that the bench needs, as protocol buffers (etcd's rpc.proto). */
import { assert } from '../../../src/assert.ts';

const varintType = 0;
const bytesType = 2;

/** A message's fields by number; of a repeated one the last. */
export type ProtoFields = ReadonlyMap<number, bigint | Uint8Array>;

/** PutRequest: key = 1, value = 2. */
export function putRequest(key: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([bytesField(1, Buffer.from(key)), bytesField(2, value)]);
}

/** What a StatusResponse says: header = 1 with member_id = 2, leader = 4, raftTerm = 6. */
export function readStatus(message: Uint8Array): { readonly leads: boolean; readonly term: number } {
  const status = readFields(message);
  const header = status.get(1);
  const member = header instanceof Uint8Array ? readFields(header).get(2) : undefined;
  return { leads: member !== undefined && member === status.get(4), term: Number(status.get(6) ?? 0) };
}

/** Reads varints and what has a length; etcd's answers hold nothing else. */
export function readFields(message: Uint8Array): ProtoFields {
  const fields = new Map<number, bigint | Uint8Array>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      assert(byte !== undefined, 'a message of etcd is whole');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = varint();
    if (tag % 8 === varintType) {
      fields.set(tag >> 3, number);
      continue;
    }
    assert(tag % 8 === bytesType, 'a message of etcd holds varints and bytes');
    fields.set(tag >> 3, message.subarray(at, at + Number(number)));
    at += Number(number);
  }
  return fields;
}

function bytesField(field: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([varintBytes((field << 3) | bytesType), varintBytes(content.length), content]);
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Uint8Array.from([...bytes, rest]);
}
