/** Raft as the engine that keeps the pane's log. */
import { engineConformance } from '../../conformance/engine.ts';
import { RaftLab } from './raft-lab.ts';

engineConformance('raft', async (seed) => new RaftLab(seed));
