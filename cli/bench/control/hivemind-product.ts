/** hivemind's control pane as the bench runs it: three control nodes and no members. */
import { HivemindError } from '../../../src/error.ts';
import { AgentClient } from '../../agent-client.ts';
import { HivemindProduct } from '../hivemind-product.ts';
import { type AgentPlace, foundersCount, type Launch } from '../product.ts';
import type { ControlProduct, Standing } from './product.ts';

/** Beside that of the bench of the gossip, so that both may run. */
const network = '127.0.72';

export class HivemindControl implements ControlProduct {
  readonly name = 'hivemind' as const;
  readonly places: readonly AgentPlace[];
  readonly ports: readonly number[];
  private readonly agents: HivemindProduct;

  /** @param program the words after `node` that run `hivemind` */
  constructor(folder: string, program: readonly string[]) {
    this.agents = new HivemindProduct(folder, foundersCount, program, network);
    this.places = this.agents.places;
    this.ports = [this.agents.port];
  }

  async prepare(): Promise<void> {
    await this.agents.prepare();
  }

  launch(place: AgentPlace): Launch {
    return this.agents.launch(place, false);
  }

  doorOf(place: AgentPlace): string {
    return this.agents.socketOf(place);
  }

  async standing(place: AgentPlace): Promise<Standing> {
    const agent = await AgentClient.open({ socket: this.doorOf(place) });
    try {
      const { nodes } = await agent.ask({ kind: 'pane' });
      const own = nodes.find(({ name }) => name === place.name);
      if (own?.term !== undefined) return { leads: own.role === 'leader', term: own.term };
      throw new HivemindError('no-leader', `${place.name} does not know its own term; ask again.`);
    } finally {
      agent.close();
    }
  }
}
