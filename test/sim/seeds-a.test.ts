/** The first hundred seeds; the others are in a file of their own, so that two cores share them. */
import { testSeeds } from './seeds.ts';

testSeeds(1, 100);
