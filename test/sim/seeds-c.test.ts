/** The third hundred seeds. */
import { testSeeds } from './seeds.ts';

testSeeds(201, 300);
