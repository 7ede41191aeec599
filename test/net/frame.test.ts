import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import {
  encodeFrame,
  errorFields,
  errorOf,
  type Frame,
  FrameDecoder,
  frameBytesMax,
  frameMagic,
  frameVersion,
  guestFrameBytesMax,
} from '../../src/net/frame.ts';
import { seededRandom } from '../../src/seam/random.ts';

const body = Buffer.from('body');
const one: Readonly<Record<Frame['kind'], Frame>> = {
  open: {
    kind: 'open',
    magic: frameMagic,
    version: frameVersion,
    cluster: Buffer.alloc(16, 1),
    epoch: 3,
    initiator: 7,
    target: 4_000_000_000,
    targetKey: Buffer.alloc(32, 2),
    credential: body,
  },
  welcome: { kind: 'welcome', number: 5, boot: Buffer.alloc(32, 3), epoch: 2 ** 40 },
  refused: { kind: 'refused', code: 'busy', sentence: 'Ask again later.' },
  request: { kind: 'request', id: 1, body },
  answer: { kind: 'answer', id: 0xffff_ffff, body },
  failure: { kind: 'failure', id: 2, code: 'not-found', sentence: 'There is none.' },
  post: { kind: 'post', body },
  cancel: { kind: 'cancel', id: 3 },
  goodbye: { kind: 'goodbye' },
  item: { kind: 'item', id: 4, body },
  attach: { kind: 'attach', magic: frameMagic, version: frameVersion },
  subscribe: { kind: 'subscribe', id: 5, body },
};

test('every kind of frame reads as it was written, in whatever pieces its bytes arrive', () => {
  const kinds = Object.values(one);
  const bytes = Buffer.concat(kinds.map(encodeFrame));
  for (const piece of [1, 3, 7, 100, bytes.length]) {
    const decoder = new FrameDecoder();
    const read: (Frame | 'malformed')[] = [];
    for (let at = 0; at < bytes.length; at += piece) {
      decoder.push(bytes.subarray(at, at + piece));
      for (let frame = decoder.next(frameBytesMax); frame; frame = decoder.next(frameBytesMax)) read.push(frame);
    }
    assert.deepEqual(read, kinds);
  }
});

test('a frame stays what it is while later bytes arrive', () => {
  const decoder = new FrameDecoder();
  const chunk = Buffer.from(encodeFrame(one.post));
  decoder.push(chunk);
  const frame = decoder.next(frameBytesMax);
  chunk.fill(0xff);
  assert.deepEqual(frame, one.post);
});

test('a length beyond the limit, or of nothing, is malformed before anything of it arrives', () => {
  const announce = (length: number): FrameDecoder => {
    const decoder = new FrameDecoder();
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    decoder.push(head);
    return decoder;
  };
  assert.equal(announce(0).next(frameBytesMax), 'malformed');
  assert.equal(announce(frameBytesMax + 1).next(frameBytesMax), 'malformed');
  assert.equal(announce(guestFrameBytesMax + 1).next(guestFrameBytesMax), 'malformed');
  assert.equal(announce(guestFrameBytesMax).next(guestFrameBytesMax), undefined);
});

test('random bodies, unknown kinds, missing and mistyped fields are malformed and never thrown', () => {
  const random = seededRandom(7);
  const bodies = [
    Buffer.from([0x90]),
    Buffer.from([0x91, 99]),
    Buffer.from([0x92, 4, 1]),
    Buffer.from([0x93, 4, 0xa1, 0x61, 0xc4, 0]),
    Buffer.from([0xc1]),
    ...Array.from({ length: 2_000 }, () => random.bytes(1 + random.below(40))),
  ];
  for (const packed of bodies) {
    const decoder = new FrameDecoder();
    const head = Buffer.alloc(4);
    head.writeUInt32BE(packed.length);
    decoder.push(Buffer.concat([head, packed]));
    assert.equal(decoder.next(frameBytesMax), 'malformed');
  }
});

test('an error travels as code and sentence; a long sentence is cut, an unknown code reads as refused', () => {
  const sent = errorFields(new HivemindError('busy', 'x'.repeat(5_000)));
  assert.equal(sent.sentence.length, 1_000);
  const read = errorOf({ kind: 'failure', id: 1, ...sent });
  assert.equal(read.code, 'busy');
  assert.equal(errorOf({ kind: 'refused', code: 'from-the-future', sentence: 'No.' }).code, 'refused');
});
