/** The simulator, `hivemind/sim`: whole clusters on virtual time, replayed by seed. */
export { InvariantViolation } from './invariant-violation.ts';
export { LivenessFailure, runSeed, type SeedReport } from './seed-run.ts';
export { type NewNode, SimCluster, type SimClusterOptions } from './sim-cluster.ts';
export type { LinkFaults } from './sim-network.ts';
export { SimNode, type SimNodeOptions } from './sim-node.ts';
