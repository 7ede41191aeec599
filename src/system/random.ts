import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from '../seam/random.ts';

/** The largest range of `randomInt`. */
const steps = 2 ** 48 - 1;

/** The system's entropy: good for keys. */
export const systemRandom: Random = {
  next: () => randomInt(steps) / steps,
  below: (limit) => randomInt(limit),
  bytes: (length) => randomBytes(length),
};
