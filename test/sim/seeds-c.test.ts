/** The third hundred seeds, and some beyond that once failed. */
import { testSeeds } from './seeds.ts';

testSeeds(201, 300);

// A record torn within its length; a candidate that is elected when the next term has committed already.
for (const seed of [2080, 8431]) testSeeds(seed, seed);
