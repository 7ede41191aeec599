/** What a recovery does, or did: for operators who have to decide whether to do it. */
import { toHex } from '../../src/bytes.ts';
import { verifyLocator } from '../../src/certificate/locator.ts';
import { resumedIndex } from '../../src/certificate/recovery.ts';
import type { AdmittedMember } from '../../src/control/control-state.ts';
import type { RecoveryPlan } from '../../src/control/recovering.ts';
import { endpointText, type LogIndex, wallText } from '../../src/identity.ts';
import type { SurveyedLog } from '../../src/member/pane/log-recovery.ts';
import { plural } from '../count.ts';
import type { Paint } from '../paint.ts';
import { type Cell, facts, listed } from '../table.ts';

interface ReportedNode {
  readonly name: string;
  readonly number: number;
  readonly addresses: readonly string[];
}

export interface RecoveryReport {
  /** Whether it was done; else nothing was changed. */
  readonly done: boolean;
  readonly cluster: string;
  /** Who goes on. */
  readonly node: ReportedNode;
  readonly log: {
    readonly term: number;
    readonly index: number;
    readonly writtenAt: string;
    /** Entries up to here are committed, as far as this node knew: more of them may be. */
    readonly committed: number;
    /** Some of this log was damaged and never came back. */
    readonly damage?: string;
  };
  readonly members: number;
  readonly tokens: number;
  readonly sessions: number;
  readonly givenUp: readonly ReportedNode[];
  readonly kept: readonly ReportedNode[];
  /** By the clock of this machine: the time of the log goes on from here, and never runs back. */
  readonly datedAt: string;
  readonly epoch: { readonly from: number; readonly to: number };
  readonly nextNumber: { readonly from: number; readonly to: number };
  /** The first entry from then on. */
  readonly resumesAt: number;
  /** Where the files of the old log are; nothing where there were none. */
  readonly aside?: string;
}

/** Before `plan` is carried out. */
export function reportOf(
  { state, lastIndex, lastTerm, lastAt }: SurveyedLog,
  { statement, givenUp, kept }: RecoveryPlan,
  known: { readonly committed: LogIndex; readonly damage?: string | undefined },
): RecoveryReport {
  const { node, nextNumber, epoch } = statement;
  const report = (member: AdmittedMember): ReportedNode => {
    const { name, number, locator } = member;
    const said = locator === undefined ? undefined : verifyLocator(locator, state.genesis.cluster)?.endpoints;
    const founded = state.charter.founders.find((founder) => founder.number === number)?.endpoints;
    return { name, number, addresses: (said ?? founded ?? []).map(endpointText) };
  };
  const { committed, damage } = known;
  const log = { term: lastTerm, index: lastIndex, writtenAt: wallText(lastAt), committed };
  return {
    done: false,
    cluster: toHex(state.genesis.cluster),
    node: { name: node.name, number: node.number, addresses: node.endpoints.map(endpointText) },
    log: damage === undefined ? log : { ...log, damage },
    members: state.members.size,
    tokens: state.tokens.size,
    sessions: state.sessions.kept.records.length,
    givenUp: givenUp.map(report),
    kept: kept.map(report),
    datedAt: wallText(statement.at),
    epoch: { from: state.epoch, to: epoch },
    nextNumber: { from: state.nextNumber, to: nextNumber },
    resumesAt: resumedIndex(statement) + 1,
  };
}

type Fact = readonly [label: string, value: Cell];

export function renderRecovery(report: RecoveryReport, paint: Paint): string {
  const { done, cluster, node, log, epoch, nextNumber, givenUp, kept } = report;
  const [members, tokens, sessions] = [report.members, report.tokens, report.sessions];
  const sheet: readonly Fact[] = [
    ['Cluster', cluster],
    ['Goes on', nodeText(node)],
    ['Event log', `ends at term ${log.term}, index ${log.index}, written ${log.writtenAt}`],
    ...uncertainFacts(log),
    ['It holds', [plural(members, 'member'), plural(tokens, 'token'), plural(sessions, 'session')].join(', ')],
    ['Given up', { text: givenUp.length === 0 ? 'nobody' : givenUp.map(nodeText).join('; '), tone: 'bad' }],
    ...(kept.length === 0 ? [] : [['Kept', kept.map(nodeText).join('; ')] as const]),
    ['Dated', `${report.datedAt}, by the clock of this machine`],
    ['Epoch', `${epoch.from}, then ${epoch.to}`],
    ['Next number', `${nextNumber.from}, then ${nextNumber.to}`],
    ['Log goes on', `at index ${report.resumesAt}`],
    ...(report.aside === undefined ? [] : [['Old log', report.aside] as const]),
  ];
  return `${facts(sheet, paint)}\n\n${(done ? after(report) : before(report)).join('\n')}`;
}

function nodeText({ name, number, addresses }: ReportedNode): string {
  return `${name} (#${number}) at ${listed(addresses)}`;
}

function uncertainFacts({ index, committed, damage }: RecoveryReport['log']): readonly Fact[] {
  const open = Math.max(0, index - committed);
  const kept = `${open === 1 ? '1 entry' : `${open} entries`} behind kept, which may have been acknowledged`;
  const text = open === 0 ? 'all of it' : `up to ${committed} for certain; ${kept}`;
  const lines: Fact[] = [['Committed', text]];
  if (damage !== undefined) lines.push(['Damage', { text: damage, tone: 'bad' }]);
  return lines;
}

function before({ givenUp }: RecoveryReport): readonly string[] {
  const names = listed(givenUp.map(({ name }) => name));
  const lost = `Lost for good: whatever ${names} decided and this log does not hold: members, tokens, removals, notes.`;
  const banned = `Whoever is given up must never start with its old data again: see to it that ${names} cannot.`;
  const isAlone = givenUp.length === 0;
  return [
    ...(isAlone ? [] : [lost]),
    'If another control node still has its disk, compare first: `hivemind control verify FOLDER` there shows term and',
    'index of its last entry. Recover on the one with the highest term and, among those, the highest index.',
    ...(isAlone ? [] : [banned]),
    'The time of the log never runs back: if the date above is not the right one, set the clock of this machine first.',
    '',
    'Nothing was changed. Run it again with --yes to do it.',
  ];
}

function after({ node, givenUp, kept }: RecoveryReport): readonly string[] {
  return [
    `Recovered. Start ${node.name}: it is the only control node now, and every member follows within a minute.`,
    'Then have more: `hivemind token create --role control`, `hivemind join … --role control` with an empty folder,',
    'and `hivemind control promote NAME`. Three survive the loss of one.',
    ...(kept.length === 0 ? [] : [`Start ${listed(kept.map(({ name }) => name))} as well, and promote them again.`]),
    ...(givenUp.length === 0
      ? []
      : [`Delete what is left of the data of ${listed(givenUp.map(({ name }) => name))}: it must not run again.`]),
  ];
}
