/** What programs on this machine ask about the control nodes: how each is, and how this node fares with them. */
import { toHivemindError } from '../error.ts';
import { type NodeNumber, wallText } from '../identity.ts';
import type { Member } from '../member/member.ts';
import { type PaneStatus, paneStatus, type ReplacementStatus } from '../wire/peer-message.ts';
import type {
  LocalControlContact,
  LocalPane,
  LocalPaneNode,
  LocalReplacement,
  LocalSilentControlNode,
} from './local-api.ts';
import type { Node } from './node.ts';

/** How long a control node has to answer `control ls`. */
const paneStatusMs = 2_000;

export class PaneDesk {
  private readonly node: Node;

  constructor(node: Node) {
    this.node = node;
  }

  /** Each control node as it answers for itself, then those that wait to become one. */
  async pane(): Promise<LocalPane> {
    const { directory } = this.node.member;
    const control = directory.controlNumbers();
    const known = directory.list().map(({ number }) => number);
    const standby = known.filter((number) => directory.keepsLog(number) && !directory.isControl(number));
    const answers = await Promise.all([...control, ...standby].map((number) => this.answerOf(number)));
    const replacement = answers.map(({ status }) => status?.replacement).find((each) => each !== undefined);
    return {
      nodes: answers.map(({ shown }) => shown),
      ...(replacement === undefined ? {} : { replacement: this.describeReplacement(replacement) }),
    };
  }

  /** @throws HivemindError when it does not answer */
  async statusOf(number: NodeNumber): Promise<PaneStatus> {
    const { member } = this.node;
    if (number === member.number && member.pane !== undefined) return member.pane.status(this.node.time);
    return await this.node.ask<PaneStatus>((asked, then, at) =>
      asked.askMember(number, { kind: 'pane-status' }, paneStatus, paneStatusMs, then, at),
    );
  }

  private async answerOf(number: NodeNumber): Promise<{ readonly shown: LocalPaneNode; readonly status?: PaneStatus }> {
    const { directory } = this.node.member;
    const head = { name: directory.nameOf(number), votes: directory.isControl(number) };
    try {
      const status = await this.statusOf(number);
      const { role, term, commitIndex, lastIndex, health } = status;
      const { silent, voting } = health;
      const body = { role, term, commitIndex, lastIndex, voting, silent: describeSilent(this.node.member, silent) };
      return { shown: { ...head, ...body }, status };
    } catch (thrown) {
      return { shown: { ...head, error: toHivemindError(thrown).message } };
    }
  }

  private describeReplacement({ number, since, dueAt, successor, obstacle }: ReplacementStatus): LocalReplacement {
    const { directory } = this.node.member;
    return {
      node: directory.nameOf(number),
      since: wallText(since),
      obstacle,
      ...(dueAt > 0 ? { dueAt: wallText(dueAt) } : {}),
      ...(successor > 0 ? { by: directory.nameOf(successor) } : {}),
    };
  }
}

/** How this node fares with each control node; as one of them, what it hears of the others. */
export function describeContacts(member: Member): readonly LocalControlContact[] {
  const describe = member.pane === undefined ? describeAsked : describeHeard;
  return member.directory.controlNumbers().map((number) => describe(member, number));
}

function describeAsked(member: Member, number: NodeNumber): LocalControlContact {
  const name = member.directory.nameOf(number);
  const contact = member.client.contacts.of(number);
  if (contact === undefined) return { name, contact: 'untried' };
  const { state, since, triedAt, health } = contact;
  return {
    name,
    contact: state,
    since: wallText(since),
    triedAt: wallText(triedAt),
    ...(health === undefined ? {} : { voting: health.voting, silent: describeSilent(member, health.silent) }),
  };
}

function describeHeard(member: Member, number: NodeNumber): LocalControlContact {
  const name = member.directory.nameOf(number);
  const { health, hearsAll } = member.pane?.watch ?? { health: undefined, hearsAll: false };
  if (health === undefined) return { name, contact: 'untried' };
  const silent = describeSilent(member, health.silent);
  if (number === member.number) return { name, contact: 'self', voting: health.voting, silent };
  const since = silent.find((each) => each.name === name)?.since;
  if (since !== undefined) return { name, contact: 'silent', since };
  return { name, contact: hearsAll || number === health.leader ? 'answers' : 'untried' };
}

function describeSilent(
  { directory }: Member,
  silent: PaneStatus['health']['silent'],
): readonly LocalSilentControlNode[] {
  return silent.map(({ number, since }) => ({ name: directory.nameOf(number), since: wallText(since) }));
}
