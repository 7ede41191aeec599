/** The table in docs/control.md, row by row: each is tried on a cluster without a quorum, or without a pane. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HivemindError } from '../../src/error.ts';
import type { LocalMember, LocalPane, LocalRequest } from '../../src/node/local-api.ts';
import { type Operation, standingsOf, type Works } from '../../src/node/operations.ts';
import { Cluster } from './cluster.ts';

/** Reads that are consistent are tried where they are at home. */
type Tried = Exclude<Operation, 'consistent-read'>;
type Degraded = 'no-quorum' | 'no-pane';

const noticedMs = 15_000;
/** A joiner gives up after the member that it asked. */
const patienceMs = 40_000;
const control = ['c1', 'c2', 'c3'];
const hosts = ['atlas', 'host-b', 'spare', 'away', 'leaver', 'mortal'];
/** The control nodes, in the order in which they fail. */
let fallen: readonly [string, string, string];
let lostAt = 0;
let cluster: Cluster;

before(async () => {
  cluster = await Cluster.found(3);
  const { token } = cluster.founded;
  for (const name of hosts) await cluster.join({ name, through: 'c1', token, role: 'host' });
  await cluster.until('all know all', async () => {
    const views = await Promise.all([...control, ...hosts].map((name) => cluster.members(name)));
    return views.every((view) => view.length === 9 && view.every((line) => line.endsWith('alive')));
  });
});
after(() => cluster.close());

async function seenByAtlas(name: string): Promise<LocalMember | undefined> {
  const { members } = await cluster.ask('atlas', { kind: 'members' });
  return members.find((member) => member.name === name);
}

async function isSeen(name: string, status: LocalMember['status'], hint: boolean): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const seen = await seenByAtlas(name);
    return seen?.status === status && seen.hint === hint;
  };
  await cluster.until(`${name} is ${status}, ${hint ? 'by a hint' : 'by the pane'}`, isSo, 60_000);
}

/** Whether the pane decides it when atlas asks. */
async function decided(request: LocalRequest): Promise<Works> {
  try {
    await cluster.ask('atlas', request);
    return 'yes';
  } catch (thrown) {
    assert(thrown instanceof HivemindError);
    assert.equal(thrown.code, 'no-quorum', `${request.kind}: ${thrown.message}`);
    return 'no';
  }
}

/** A host dies: it is suspected, and a hint says so; the pane says nothing. */
let mourning: Promise<void> | undefined;
function mourn(): Promise<void> {
  mourning ??= cluster
    .agent('mortal')
    .kill()
    .then(() => isSeen('mortal', 'down', true));
  return mourning;
}

let published = 0;

const trials: Readonly<Record<Tried, (state: Degraded) => Promise<Works>>> = {
  join: async (state) => {
    const { token } = cluster.founded;
    const agent = await cluster.beginJoin({ name: `late-${state}`, through: 'atlas', token, role: 'host' });
    return (await agent.ends(patienceMs)).code === 0 ? 'yes' : 'no';
  },
  leave: async () => {
    const outcome = await cluster.run('leave', '-n', 'leaver');
    const { leaving } = await cluster.ask('leaver', { kind: 'status' });
    return outcome.code === 0 ? 'yes' : leaving && cluster.agent('leaver').isRunning ? 'later' : 'no';
  },
  remove: () => decided({ kind: 'remove', name: 'spare' }),
  return: async () => {
    if (!cluster.agent('away').isRunning) await cluster.start('away');
    const seen = await seenByAtlas('away');
    return seen?.status === 'down' && !seen.hint ? 'later' : 'yes';
  },
  token: () => decided({ kind: 'create-token', roles: ['host'], ttlMs: 60_000, usesMax: 1 }),
  note: () => decided({ kind: 'note', text: 'deployed', session: '', sequence: 1 }),
  epoch: () => decided({ kind: 'advance-epoch' }),
  'control-set': () => decided({ kind: 'change-control', change: 'demote', name: fallen[0] }),
  conviction: async () => {
    await mourn();
    return (await seenByAtlas('mortal'))?.hint === true ? 'no' : 'yes';
  },
  hints: async () => {
    await mourn();
    return 'yes';
  },
  detection: async () => {
    await mourn();
    await cluster.until('host-b misses it, too', async () =>
      (await cluster.events('host-b')).some(({ kind, node }) => kind === 'down' && node === 'mortal'),
    );
    return 'yes';
  },
  events: async (state) => {
    await cluster.ask('atlas', { kind: 'send-event', name: 'deploy', payload: state });
    await cluster.until('host-b hears of it', async () =>
      (await cluster.events('host-b')).some(({ detail }) => detail.event === 'deploy' && detail.payload === state),
    );
    return 'yes';
  },
  configs: async (state) => {
    const version = `${state}-${published++}`;
    await cluster.ask('atlas', { kind: 'set-tags', set: { version }, drop: [] });
    await cluster.until('spare reads it', async () => {
      return (await cluster.ask('spare', { kind: 'tags', name: 'atlas' })).tags.version === version;
    });
    return 'yes';
  },
  roles: async () => {
    const { roles } = await cluster.ask('atlas', { kind: 'status' });
    return roles.length === 1 && roles.every((role) => role.state === 'running') ? 'yes' : 'no';
  },
  read: async () => {
    const { observer, members } = await cluster.ask('atlas', { kind: 'members' });
    return observer === 'atlas' && members.length === 9 ? 'yes' : 'no';
  },
  log: async () => {
    try {
      return (await cluster.ask('atlas', { kind: 'log', from: 1, most: 100 })).entries.length > 0 ? 'yes' : 'no';
    } catch (thrown) {
      assert(thrown instanceof HivemindError);
      return 'no';
    }
  },
};

async function isEverywhere(state: Degraded, names: readonly string[]): Promise<void> {
  await cluster.until(
    `${state} is said everywhere`,
    async () => {
      const answers = await Promise.all(names.map((name) => cluster.ask(name, { kind: 'status' })));
      return answers.every(({ pane }) => pane.state === state);
    },
    noticedMs,
  );
}

/** All at once: most of what is refused is refused after twelve seconds only. */
function tryEachRow(state: Degraded): void {
  const ends = new Map<Operation, Promise<Works | Error>>();
  before(() => {
    for (const [operation, trial] of Object.entries(trials) as [Tried, (typeof trials)[Tried]][]) {
      ends.set(
        operation,
        trial(state).catch((thrown: Error) => thrown),
      );
    }
  });

  for (const { operation, works } of standingsOf(state)) {
    if (operation !== 'consistent-read') {
      test(`${operation}: ${works}`, async () => assert.equal(await ends.get(operation), works));
    }
  }

  test('every node says so itself, row by row (HM-6)', async () => {
    for (const name of ['atlas', 'host-b', 'spare']) {
      const { operations, pane } = await cluster.ask(name, { kind: 'status' });
      assert.deepEqual(operations, standingsOf(state), name);
      assert.equal(pane.state, state);
    }
  });
}

test('while one control node is dead the cluster is healthy, and says that nobody stands by for it', async () => {
  const leader = (await cluster.leader()) ?? assert.fail('nobody leads');
  const [first = '', second = ''] = control.filter((name) => name !== leader);
  fallen = [first, second, leader];
  await Promise.all([cluster.agent(first).kill(), cluster.agent('away').kill()]);
  for (const name of [first, 'away']) await isSeen(name, 'down', false);
  const { replacement } = await cluster.json<LocalPane>('control', 'ls', '-n', 'atlas');
  assert.equal(replacement?.node, first);
  assert.equal(replacement.obstacle, 'no-standby');
  const { stdout } = await cluster.run('control', 'ls', '-n', 'atlas');
  assert.match(stdout, /no standby control node; `hivemind join --role control` gives one/);
  assert.equal((await cluster.ask('atlas', { kind: 'status' })).pane.state, 'healthy');
});

describe('without a quorum', () => {
  before(async () => {
    lostAt = Date.now();
    await cluster.agent(fallen[1]).kill();
    await isEverywhere('no-quorum', ['atlas', 'host-b', 'spare', fallen[2]]);
  });

  test('every node says why: who answers, who does not, and whom those that answer do not hear (HM-6)', async () => {
    const [first, second, last] = fallen;
    await cluster.until('the last control node misses the others', async () => {
      const { contacts } = (await cluster.ask('atlas', { kind: 'status' })).pane;
      const answering = contacts.find(({ name }) => name === last);
      return answering?.contact === 'answers' && answering.silent?.length === 2;
    });
    const { contacts } = (await cluster.ask('atlas', { kind: 'status' })).pane;
    const silent = contacts.find(({ name }) => name === last)?.silent ?? [];
    assert.deepEqual(silent.map(({ name }) => name).sort(), [first, second].sort());
    assert(silent.some(({ name, since }) => name === second && Date.parse(since) >= lostAt - 2_000));
    for (const name of [first, second]) {
      const { contact = '', triedAt = '' } = contacts.find((each) => each.name === name) ?? {};
      assert(['silent', 'refused'].includes(contact), `${name}: ${contact}`);
      assert(Date.parse(triedAt) >= lostAt, 'it was tried since');
    }
    const own = (await cluster.ask(last, { kind: 'status' })).pane.contacts;
    assert.deepEqual(
      own.map(({ name, contact }) => `${name} ${contact}`),
      control.map((name) => `${name} ${name === last ? 'self' : 'silent'}`),
    );
    const { stdout } = await cluster.run('status', '-n', 'atlas');
    assert.match(stdout, new RegExp(`${last} answers; it does not hear`));
    const listed = await cluster.run('control', 'ls', '-n', 'atlas');
    assert.match(listed.stdout, new RegExp(`${last} does not hear`));
  });

  tryEachRow('no-quorum');
});

describe('without a pane', () => {
  before(async () => {
    await cluster.start('mortal');
    await isSeen('mortal', 'alive', false);
    mourning = undefined;
    await cluster.agent(fallen[2]).kill();
    await isEverywhere('no-pane', ['atlas', 'host-b', 'spare']);
  });

  test('every node says which control nodes it tried, and how each failed (HM-6)', async () => {
    const { contacts } = await cluster.until('all were asked why', async () => {
      const { pane } = await cluster.ask('atlas', { kind: 'status' });
      return pane.contacts.every(({ contact }) => contact === 'refused') && pane;
    });
    for (const { since, triedAt } of contacts) assert(since !== undefined && triedAt !== undefined && since <= triedAt);
    const { stdout } = await cluster.run('status', '-n', 'atlas');
    assert.match(stdout, /c1 refuses connections since .*: nothing listens at its address/);
  });

  tryEachRow('no-pane');
});

describe('when the control nodes are back', () => {
  test('what was to be done later is done by itself (HM-10)', async () => {
    await Promise.all(control.map((name) => cluster.start(name)));
    await cluster.until('all are healthy', async () => {
      const names = ['atlas', 'host-b', 'spare', 'away', ...control];
      const answers = await Promise.all(names.map((name) => cluster.ask(name, { kind: 'status' })));
      return answers.every(({ pane }) => pane.state === 'healthy');
    });
    assert.equal((await cluster.agent('leaver').ends()).code, 0);
    await isSeen('away', 'alive', false);
    await isSeen('mortal', 'down', false);
    await cluster.until('it is forgotten', async () => (await seenByAtlas('leaver')) === undefined);
    assert.equal(await decided({ kind: 'note', text: 'mended', session: '', sequence: 1 }), 'yes');
  });
});
