export type { Instant } from '../seam/instant.ts';
