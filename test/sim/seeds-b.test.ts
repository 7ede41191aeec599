/** The second hundred seeds. */
import { testSeeds } from './seeds.ts';

testSeeds(101, 200);
