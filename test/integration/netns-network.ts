/**
 * Machines for agents: network namespaces on one bridge, which is in a namespace of its own, and what goes wrong
 * between them. This machine's own interfaces, rules and forwarding are not touched.
 *
 * Packets are dropped where they arrive, so that whoever sent them is not told: as on a wire.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { missing } from './processes.ts';

/** The machines are 10.77.0.1, 10.77.0.2 and so on, all within one /24. */
const machinesMax = 254;
const port = 7100;
const table = 'inet faults';
const fromOthers = 'iifname "e0"';

/** Why there can be no such network here, or false. A tool that is required and missing fails the tests instead. */
export async function whyNoNetwork(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root may make network namespaces';
  const reason = (await missing('ip', '-Version')) || (await missing('nft', '--version'));
  if (reason) return reason;
  try {
    execute('unshare', ['--net', '--mount', 'true']);
    return false;
  } catch {
    return 'this system does not let root make network namespaces';
  }
}

/** Mends what was done, and nothing else that is wrong. */
export type Undo = () => void;

interface Machine {
  readonly name: string;
  readonly position: number;
  readonly namespace: string;
  /** What is dropped of that which others send it, each as an nft match. */
  readonly drops: string[];
  isPlugged: boolean;
}

export class Network {
  private readonly hub: string = namespaceOf(0);
  private readonly machines: readonly Machine[];
  private readonly made: string[] = [];

  private constructor(names: readonly string[]) {
    assert(names.length <= machinesMax, `at most ${machinesMax} machines`);
    this.machines = names.map((name, index) => {
      const position = index + 1;
      return { name, position, namespace: namespaceOf(position), drops: [], isPlugged: true };
    });
  }

  /** A run that is cut short must call `remove` as well, once its agents are dead. */
  static build(names: readonly string[]): Network {
    const network = new Network(names);
    try {
      network.make();
      return network;
    } catch (thrown) {
      network.remove();
      throw thrown;
    }
  }

  addressOf(name: string): string {
    return `${hostAt(this.machine(name).position)}:${port}`;
  }

  /** The words that make a command run on a machine; its process keeps the pid of the first of them. */
  on(name: string): readonly [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.machine(name).namespace];
  }

  /** Every machine loses this share of all that arrives, TCP and UDP alike. */
  lose(percent: number): Undo {
    return together(this.machines.map(({ name }) => this.drop(name, `numgen random mod 100 < ${percent}`)));
  }

  /** It hears nobody; all hear it. */
  deafen(name: string): void {
    this.drop(name, 'meta nfproto ipv4');
  }

  /** `to` does not hear `from`; all else passes. */
  cut(from: string, to: string): Undo {
    return this.silence([from], [to]);
  }

  /** None of `to` hears any of `from`; all else passes. */
  silence(from: readonly string[], to: readonly string[]): Undo {
    const hosts = from.map((name) => hostAt(this.machine(name).position)).join(', ');
    return together(to.map((name) => this.drop(name, `ip saddr { ${hosts} }`)));
  }

  /** No datagram reaches it or comes from it; streams pass. */
  blockDatagrams(name: string): void {
    this.drop(name, 'meta l4proto udp');
    const own = hostAt(this.machine(name).position);
    for (const other of this.machines) {
      if (other.name !== name) this.drop(other.name, `ip saddr ${own} meta l4proto udp`);
    }
  }

  /** Its cable is out. */
  unplug(name: string): Undo {
    this.plug(this.machine(name), false);
    return () => this.plug(this.machine(name), true);
  }

  /** Nothing is wrong any more. */
  heal(): void {
    for (const machine of this.machines) {
      if (!machine.isPlugged) this.plug(machine, true);
      if (machine.drops.length > 0) this.setDrops(machine, []);
    }
  }

  remove(): void {
    for (const namespace of this.made.splice(0)) execute('ip', ['netns', 'delete', namespace]);
  }

  private make(): void {
    this.addNamespace(this.hub);
    configure(this.hub, ['link add lan type bridge', 'link set lan up']);
    for (const { position, namespace } of this.machines) {
      this.addNamespace(namespace);
      configure(namespace, [
        'link set lo up',
        `link add e0 type veth peer name ${portAt(position)} netns ${this.hub}`,
        `address add ${hostAt(position)}/24 dev e0`,
        'link set e0 up',
      ]);
      configure(this.hub, [`link set ${portAt(position)} master lan up`]);
    }
  }

  private addNamespace(namespace: string): void {
    execute('ip', ['netns', 'add', namespace]);
    this.made.push(namespace);
  }

  private machine(name: string): Machine {
    const machine = this.machines.find((each) => each.name === name);
    assert(machine !== undefined, `there is a machine ${name}`);
    return machine;
  }

  private drop(name: string, match: string): Undo {
    const machine = this.machine(name);
    this.setDrops(machine, [...machine.drops, match]);
    return () => {
      const position = machine.drops.lastIndexOf(match);
      if (position !== -1) this.setDrops(machine, machine.drops.toSpliced(position, 1));
    };
  }

  private setDrops(machine: Machine, drops: readonly string[]): void {
    machine.drops.splice(0, machine.drops.length, ...drops);
    const lines = [
      // What is deleted must exist; so it is added first.
      `add table ${table}`,
      `delete table ${table}`,
      `add table ${table}`,
      `add chain ${table} input { type filter hook input priority 0; }`,
      ...drops.map((match) => `add rule ${table} input ${fromOthers} ${match} drop`),
    ];
    execute('ip', ['netns', 'exec', machine.namespace, 'nft', '-f', '-'], lines);
  }

  private plug(machine: Machine, isPlugged: boolean): void {
    machine.isPlugged = isPlugged;
    configure(this.hub, [`link set ${portAt(machine.position)} ${isPlugged ? 'up' : 'down'}`]);
  }
}

function together(undos: readonly Undo[]): Undo {
  return () => {
    for (const undo of undos) undo();
  };
}

/** Unlike that of any other run, on this machine and at this time. */
function namespaceOf(position: number): string {
  return `hm${process.pid}-${position}`;
}

function hostAt(position: number): string {
  return `10.77.0.${position}`;
}

/** The end of a machine's cable at the bridge. */
function portAt(position: number): string {
  return `p${position}`;
}

function configure(namespace: string, lines: readonly string[]): void {
  execute('ip', ['-netns', namespace, '-batch', '-'], lines);
}

/**
 * Runs a command, with lines for it to read, to its end, so that it can be done while this process exits.
 *
 * @throws Error with what the command complained of
 */
function execute(tool: string, words: readonly string[], lines: readonly string[] = []): void {
  execFileSync(tool, words, { input: lines.map((line) => `${line}\n`).join(''), encoding: 'utf8', stdio: 'pipe' });
}
