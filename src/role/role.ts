/** The role kit, `hivemind/role`: what a role file needs. */
export { type ErrorCode, HivemindError } from '../error.ts';
export type { Endpoint, NodeNumber, Seq } from '../identity.ts';
export type { Clock } from '../seam/clock.ts';
export type { Logger } from '../seam/logger.ts';
export type { Random } from '../seam/random.ts';
export * from './contract.ts';
