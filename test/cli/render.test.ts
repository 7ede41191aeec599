import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDuration } from '../../cli/duration.ts';
import { sentSentence } from '../../cli/event.ts';
import { printable } from '../../cli/output.ts';
import { choosePaint, colourPaint, plainPaint } from '../../cli/paint.ts';
import { renderBrake } from '../../cli/render-brake.ts';
import { renderConfigs, renderServices } from '../../cli/render-configs.ts';
import { renderPane } from '../../cli/render-control.ts';
import { renderEvents, renderLog } from '../../cli/render-history.ts';
import { renderMembers, renderNode } from '../../cli/render-members.ts';
import { renderStatus } from '../../cli/render-status.ts';
import { renderTags } from '../../cli/render-tags.ts';
import { servicesOf } from '../../cli/service.ts';
import { facts, table } from '../../cli/table.ts';
import type { LocalControlContact, LocalMembers, LocalReplacement, LocalStatus } from '../../src/node/local-api.ts';
import { standingsOf } from '../../src/node/operations.ts';
import { replacementObstacles } from '../../src/wire/peer-message.ts';
import { alarms, brake, configs, entries, events, later, members, node, pane, since, status, tags } from './answers.ts';

/** Compares with lines that are indented here, and names the one that differs. */
function shows(text: string, golden: string): void {
  const lines = golden.split('\n').slice(1, -1);
  const indent = Math.min(...lines.filter((line) => line !== '').map((line) => line.search(/\S/)));
  assert.deepEqual(
    text.split('\n'),
    lines.map((line) => line.slice(indent)),
  );
}

describe('a table', () => {
  test('aligns words to the left and numbers to the right, and ends no line in spaces', () => {
    const rows = [
      ['a', 7, 'x'],
      ['longer', 1234, ''],
    ];
    shows(
      table(['NAME', 'N', 'LAST'], rows),
      `
      NAME       N  LAST
      a          7  x
      longer  1234
      `,
    );
  });

  test('without rows is its headings, and shows a dash where a row is short', () => {
    assert.equal(table(['A', 'B'], []), 'A  B');
    assert.equal(table(['A', 'B'], [['x']]), 'A  B\nx  -');
  });

  test('is as wide with colours as without', () => {
    const rows = [[{ text: 'no', tone: 'bad' } as const, 'x']];
    const coloured = table(['HEALTHY', 'NAME'], rows, colourPaint);
    assert.equal(coloured.split('\n')[1], '\u001b[31;1mno\u001b[0m       x');
    assert.equal(table(['HEALTHY', 'NAME'], rows).split('\n')[1], 'no       x');
  });

  test('of facts puts what each is about in front', () => {
    assert.equal(
      facts([
        ['Node', 'atlas'],
        ['', 4],
      ]),
      'Node  atlas\n      4',
    );
  });
});

test('only a terminal gets colours, and only if nobody refuses them', () => {
  assert.equal(choosePaint({ isTTY: true }, {}), colourPaint);
  assert.equal(choosePaint({ isTTY: false }, {}), plainPaint);
  assert.equal(choosePaint({ isTTY: true }, { NO_COLOR: '1' }), plainPaint);
  assert.equal(choosePaint({ isTTY: true }, { NO_COLOR: '' }), colourPaint);
  assert.equal(choosePaint({ isTTY: true }, { TERM: 'dumb' }), plainPaint);
});

test('what other nodes wrote cannot steer the terminal', () => {
  const hostile = { reason: 'a\n\tb \u001b[2Jc\u009b1m \u202ed', list: ['\u0007', 1, null] };
  assert.deepEqual(printable(hostile), { reason: 'a b \ufffd[2Jc\ufffd1m \ufffdd', list: ['\ufffd', 1, null] });
});

test('a duration is a number and a unit', () => {
  assert.deepEqual(['30s', '30m', '24h', '7d'].map(parseDuration), [30_000, 1_800_000, 86_400_000, 604_800_000]);
  for (const wrong of ['', '5', 'h', '0h', '-1h', '1.5h', '1w', '1h30m', '9999d']) {
    assert.throws(() => parseDuration(wrong), { code: 'usage', message: /like 30m, 24h or 7d/ });
  }
});

describe('members', () => {
  const living = { role: undefined, withDown: false };
  const everybody = { role: undefined, withDown: true };

  test('lists who is alive or suspect, names who is down, and says whose view it is (CS-13)', () => {
    shows(
      renderMembers(members, living, plainPaint),
      `
      NAME       NUMBER  ROLES      STATUS   INCARNATION  ADDRESSES
      control-1       1  control    alive              0  10.0.0.1:7100
      atlas           4  host, dns  alive              0  10.0.0.4:7100
      boreas         12  host       suspect            3  10.0.0.12:7100, [fd00::12]:7100

      Down, and listed with --all: chronos, daphne.
      As atlas sees it: 5 members.
      `,
    );
  });

  test('lists everybody on demand, and tells a hint from a conviction', () => {
    const lines = renderMembers(members, everybody, plainPaint).split('\n');
    assert.equal(lines[4], 'chronos        13  host       down                   0  10.0.0.13:7100');
    assert.equal(lines[5], 'daphne         14  -          down (hint)            0  -');
    assert.equal(lines.at(-1), 'As atlas sees it: 5 members.');
  });

  test('says that it is a view of its own while the pane is not healthy (HM-6)', () => {
    const last = (state: LocalStatus['pane']['state']): string | undefined =>
      renderMembers({ ...members, pane: state, size: 1, members: members.members.slice(0, 1) }, living, plainPaint)
        .split('\n')
        .at(-1);
    const head = 'As atlas sees it: 1 member. This is its own view:';
    assert.equal(last('no-quorum'), `${head} the control pane has no quorum.`);
    assert.equal(last('no-pane'), `${head} it reaches no control node.`);
    assert.equal(last('unknown'), `${head} it has just started, and heard from no control node yet.`);
  });

  test('of which many are down are not all named', () => {
    const down = Array.from({ length: 11 }, (_, at) => ({ ...members.members[3], name: `n${at}` }));
    const text = renderMembers({ ...members, members: down as typeof members.members }, living, plainPaint);
    assert.match(text, /listed with --all: n0, n1, n2, n3, n4, n5, n6, n7 and 3 more\.$/m);
  });

  test('says when it lists only those that the node knows, and how many there are (HM-15, CS-13)', () => {
    const last = (answer: Partial<LocalMembers>, role?: string): string | undefined =>
      renderMembers({ ...members, ...answer }, { role, withDown: true }, plainPaint)
        .split('\n')
        .at(-1);
    const part = "It knows 5 of the cluster's 4000; the control pane, which knows all, did not answer.";
    assert.equal(last({ size: 4_000, pane: 'no-pane' }), `As atlas sees it: 5 members. ${part}`);
    assert.equal(last({ size: 4_000, pane: 'no-pane' }, 'dns'), `As atlas sees it: 1 member. ${part}`);
    assert.equal(last({}, 'dns'), 'As atlas sees it: 1 member.');
    assert.equal(last({ source: 'pane' }), 'As the control pane lists them for atlas: 5 members.');
    assert.match(last({ source: 'pane', pane: 'no-quorum' }) ?? '', / That was decided last: it has no quorum\.$/);
  });

  test('says up to which entry it misses nothing when it was asked to be consistent (CS-16)', () => {
    const consistent = { ...members, consistent: true, index: 57 } as const;
    const text = renderMembers(consistent, everybody, plainPaint);
    assert.match(text, /^As decided up to log entry 57, seen by atlas: 5 members\.$/m);
    const shown = renderNode({ ...node, tags: {}, consistent: true, index: 57 }, plainPaint);
    assert.match(shown, /^As of +log entry 57$/m);
  });
});

test('a node is shown with what each of its roles requires, bootstraps from and consumes (HM-16)', () => {
  shows(
    renderNode({ ...node, tags: tags.tags }, plainPaint),
    `
    Name         atlas (this node)
    Number       4
    Status       alive since ${since}
    Incarnation  0
    Addresses    10.0.0.4:7100
    Roles        host, dns
    Tags         note=a=b, c, rack=b2
    Key          ${node.key}

    ROLE  REQUIRES  BOOTSTRAPS FROM  CONSUMES
    host  -         -                -
    dns   host      dns, host        host
    `,
  );
});

describe('status', () => {
  test('is a readable page that leaves out what did not happen', () => {
    shows(
      renderStatus(status, plainPaint),
      `
      Node           atlas (number 4), hivemind 0.1.0
      Cluster        2c1f, epoch 1
      Addresses      10.0.0.4:7100, [fd00::4]:7100
      Started        ${since}, boot 77aa
      Control pane   healthy since ${later}
      Leader         control-2
      Control nodes  control-1, control-2, control-3
      Log index      17
      View           complete, 5 members: 2 alive, 1 suspect, 2 down
      Kept as        4 subjects, 4 observers, 1 co-observer, 0 in reserve, 1 control node, 0 peers of related roles
      Load           0.42 over 15 minutes on 4 cores, 3.0 of 8.0 GiB memory free
      Dropped        3 replayed
      Counted        12 requestsAnswered

      ROLE  STATE    SINCE                     RESTARTS  DETAIL
      host  running  ${since}         0  services 2, healthy 1
      dns   waiting  ${later}        12  no living member performs host
      `,
    );
  });

  const lines = (pane: Partial<LocalStatus['pane']>): readonly string[] =>
    renderStatus(
      {
        ...status,
        pane: { ...status.pane, ...pane },
        operations: standingsOf(pane.state ?? 'healthy'),
        leaving: true,
        roles: [],
      },
      plainPaint,
    ).split('\n');

  test('says since when there is no quorum, and what still works (HM-6)', () => {
    const degraded = lines({ state: 'no-quorum' });
    assert.equal(
      degraded[4],
      `Control pane   DEGRADED since ${later} (no quorum: control nodes answer, but are no majority)`,
    );
    assert.deepEqual(degraded.slice(5, 11), [
      'Because        control-1 was not asked since the start',
      '               control-2 answers',
      '               control-3 was not asked since the start',
      'Works          hints, detection, events, configs, roles, read, log',
      'Works later    leave, return',
      'Does not       join, remove, token, note, epoch, control-set, conviction, consistent-read',
    ]);
    assert.match(degraded[11] ?? '', /^Leaving {8}asked for/);
    assert.equal(degraded.at(-1), 'This node performs no role.');
  });

  test('says of each control node whether it answers, and if not, how that failed (HM-6)', () => {
    const silent = [{ name: 'control-2', since }];
    const contacts: readonly LocalControlContact[] = [
      { name: 'control-1', contact: 'answers', since, triedAt: later, voting: 'votes', silent },
      { name: 'control-2', contact: 'silent', since, triedAt: later },
      { name: 'control-3', contact: 'refused', since, triedAt: later },
      { name: 'control-4', contact: 'not-admitted', since, triedAt: later },
      { name: 'control-5', contact: 'streams-only', since, triedAt: later },
      { name: 'control-6', contact: 'self', voting: 'log-damaged', silent },
    ];
    const text = lines({ state: 'no-quorum', contacts })
      .slice(5, 11)
      .map((line) => line.slice(15));
    assert.deepEqual(text, [
      `control-1 answers; it does not hear control-2 since ${since}`,
      `control-2 is silent since ${since}, tried ${later}`,
      `control-3 refuses connections since ${since}, tried ${later}: nothing listens at its address`,
      `control-4 says that this node is no member since ${since}, tried ${later}`,
      `control-5 answers by TCP and not by UDP since ${since}, tried ${later}; open its UDP port, or this node's`,
      'control-6 is this node; it does not vote until its event log, which was damaged, is repaired from the others, ' +
        `and does not hear control-2 since ${since}`,
    ]);
  });

  test('says how much of the cluster this node keeps, and why (HM-15)', () => {
    const view = { ...status.view, size: 62, alive: 60, suspect: 1, down: 1, cluster: 4_000, complete: false };
    const made = { subjects: 10, observers: 10, coObservers: 38, reserve: 10, control: 3, peers: 4 };
    const shown = renderStatus({ ...status, view: { ...view, ...made } }, plainPaint).split('\n');
    assert.equal(shown[8], 'View           62 of 4000 members: 60 alive, 1 suspect, 1 down');
    const kept = '10 subjects, 10 observers, 38 co-observers, 10 in reserve, 3 control nodes, 4 peers of related roles';
    assert.equal(shown[9], `Kept as        ${kept}`);
  });

  test('tells no quorum from no control node at all (HM-6)', () => {
    const text = `Control pane   DEGRADED: no control node reachable since ${later}`;
    assert.equal(lines({ state: 'no-pane', heardAt: since })[4], `${text} (last heard ${since})`);
    assert.match(lines({ state: 'unknown' })[4] ?? '', /^Control pane {3}not known: /);
  });
});

test('the log is one sentence for each decision, with its index and time (HM-7, PF-22)', () => {
  const lines = renderLog({ entries, commitIndex: 9, first: 1 }, plainPaint).split('\n');
  const time = since;
  assert.deepEqual(lines, [
    `      1  ${'-'.padEnd(time.length)}  leader-elected       a leader opens term 3`,
    `      2  ${time}  create-token         token k3yk3yk3… admits 1 node as host, dns until ${later}`,
    `      3  ${time}  begin-admission      atlas may join as host, dns once a majority has signed`,
    `      4  ${time}  complete-admission   atlas (number 4) belongs, signed by control-1, control-2`,
    `      5  ${time}  convict              down: chronos, daphne`,
    `      6  ${time}  return               daphne (number 14) is back at incarnation 1`,
    `      7  ${time}  begin-removal        daphne (number 14) no longer belongs (it was down for too long)`,
    `      8  ${time}  release-brake        whoever is accused may be convicted, however many they are, until ${later}`,
    `      9  ${time}  of-a-later-version   color blue, tags 1 2, none none`,
  ]);
  assert.equal(
    renderLog({ entries: [], commitIndex: 8, first: 1 }, plainPaint),
    'No entries; the log ends at index 8.',
  );
});

test('events are a line each, with the node that they are about (HM-14)', () => {
  shows(
    renderEvents({ events }, plainPaint),
    `
    ${since}  joined             boreas        number 12, roles host
    ${later}  pane               -             state no-quorum, since ${later}
    ${since}  user-event         web-1         deploy from web-1: v42
    ${since}  user-event         web-1         tick from web-1
    ${since}  view               -             62 of 4000 members
    ${since}  view               -             complete, 5 members
    ${since}  datagrams-open     boreas        boreas answers by UDP again
    ${since}  brake              -             convictions go on
    `,
  );
  assert.equal(renderEvents({ events: [] }, plainPaint), 'No events yet.');
});

test('an event that is sent names the members by way of whom it goes (CS-14)', () => {
  assert.equal(
    sentSentence('deploy', { neighbours: ['atlas', 'boreas'], size: 9 }),
    'deploy goes by way of atlas, boreas to all 8 other members; `hivemind events` shows it once on each.',
  );
  const many = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  assert.match(sentSentence('deploy', { neighbours: many, size: 300 }), /of a, b, c, d, e and 2 more to all 299 other/);
  assert.match(sentSentence('deploy', { neighbours: [], size: 1 }), /stays here/);
});

test('an event that asks for an operator says what to do', () => {
  const sentences = alarms.map((event) => renderEvents({ events: [event] }, plainPaint).slice(since.length + 2));
  assert.deepEqual(sentences, [
    'brake              -             too many are accused at once to be convicted: atlas, boreas; ' +
      'see `hivemind brake status`',
    'datagrams-blocked  boreas        boreas answers by TCP, not by UDP: ' +
      'open UDP 10.0.0.12:7100, [fd00::12]:7100 between it and this node',
    'datagrams-blocked  atlas         nobody answers this node by UDP, and they do by TCP: ' +
      'open UDP 10.0.0.4:7100 on this machine',
  ]);
});

describe('the brake', () => {
  test('that holds names the accused, their share, and how to release it', () => {
    shows(
      renderBrake({ ...brake, members: 40 }, plainPaint),
      `
      On since ${since}: 12 of 40 members are accused at once, which is more often a cut network than so many deaths.
      Accused: host-1, host-2, host-3, host-4, host-5, host-6, host-7, host-8, host-9, host-10, host-11, host-12.
      Nobody is convicted until enough of them answer again. If they are dead indeed, let them be convicted:
        hivemind brake release --for 10m
      `,
    );
  });

  test('that is released says until when, and that is off says so', () => {
    const released = { on: false, accused: [], releasedUntil: later, members: 40 };
    assert.equal(renderBrake(released, plainPaint), `Released until ${later}: whoever is accused is convicted.`);
    const off = renderBrake({ on: false, accused: [], members: 40 }, plainPaint);
    assert.equal(off, 'Off: no more members are accused at once than may die together.');
  });
});

test('tags are listed with how often they were changed', () => {
  shows(
    renderTags(tags, plainPaint),
    `
    TAG   VALUE
    note  a=b, c
    rack  b2

    Tags of atlas, changed 3 times.
    `,
  );
  assert.equal(renderTags({ node: 'atlas', seq: 0, tags: {} }, plainPaint), 'atlas has no tags.');
});

describe('services', () => {
  const services = servicesOf(configs.configs);

  test('are listed by name with their addresses; malformed ones and those of dead hosts are not', () => {
    shows(
      renderServices(services, false, plainPaint),
      `
      SERVICE  HOST   ADDRESS                          WEIGHT  HEALTHY  DOMAINS       HOST STATUS
      git      atlas  10.0.0.21:3000, [fd00::21]:3000     100  yes      git.lab.test  alive
      ntp      atlas  10.0.0.21:123/udp                   100  no       -             alive

      1 service of hosts that are down, listed with --all.
      `,
    );
  });

  test('of dead hosts are listed on demand', () => {
    const lines = renderServices(services, true, plainPaint).split('\n');
    assert.equal(lines.length, 4);
    assert.match(lines[2] ?? '', /^git {6}chronos .* down$/);
    assert.equal(renderServices([], true, plainPaint), 'No host publishes a service.');
  });
});

test('configs are listed by owner with their seq', () => {
  shows(
    renderConfigs(configs, plainPaint),
    `
    OWNER    SEQ  OWNER STATUS
    chronos    9  down
    atlas      2  alive
    `,
  );
});

test('control nodes are listed as each answers for itself, also the one that does not', () => {
  shows(
    renderPane(pane, plainPaint),
    `
    NAME       ROLE      TERM  COMMIT  LAST  ERROR
    control-1  follower     3      17    17  -
    control-2  leader       3      17    18  -
    control-3  -            -       -     -  No answer within 2 s.
    atlas      standby      3      17    17  -
    control-1 does not vote: its disk is full.
    control-2 does not hear control-3 since ${since}.
    control-3 is down since ${since}; its vote goes to atlas, not before ${later}.
    `,
  );
});

test('a dead control node that stays is listed with the reason, for each reason', () => {
  const { by: _by, ...replacement } = pane.replacement ?? assert.fail();
  const last = (change: Partial<LocalReplacement>): string =>
    renderPane({ nodes: [], replacement: { ...replacement, ...change } }, plainPaint)
      .split('\n')
      .at(-1) ?? '';
  assert.equal(
    last({ obstacle: 'no-standby' }),
    `control-3 is down since ${since}; it is to be replaced from ${later} on, and is not: ` +
      'no standby control node; `hivemind join --role control` gives one.',
  );
  for (const obstacle of replacementObstacles)
    if (obstacle !== 'none') assert.match(last({ obstacle }), /is not: .+\.$/);
});
