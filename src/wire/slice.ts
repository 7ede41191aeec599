/** A view's make-up, as a control node tells it to whose view it is. */
import { type Codec, list, record } from '../codec.ts';
import { reserveMax, type Slice, type Watched } from '../swim/slice.ts';
import { nodeNumber } from './fields.ts';

/** Each member is observed by at most ten; it observes about as many, and a few more where the rings meet so. */
const observersMax = 10;
const subjectsMax = 64;
/** At most 16 for each of a node's related roles. */
export const slicePeersMax = 96;
const controlMax = 15;

const watched: Codec<Watched> = record<Watched>({ number: nodeNumber, observers: list(nodeNumber, observersMax) });

export const slice: Codec<Slice> = record<Slice>({
  subjects: list(watched, subjectsMax),
  observers: list(nodeNumber, observersMax),
  reserve: list(nodeNumber, reserveMax),
  control: list(nodeNumber, controlMax),
  peers: list(nodeNumber, slicePeersMax),
});
