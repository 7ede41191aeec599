/** Who belongs to the cluster, for programs on this machine. */
import { toHex } from '../bytes.ts';
import { HivemindError } from '../error.ts';
import type { LogIndex, NodeNumber } from '../identity.ts';
import { wallText } from '../identity.ts';
import type { MemberRecord } from '../member/directory.ts';
import { type MemberLine, type MemberPage, memberPage } from '../wire/peer-message.ts';
import { describeLine, describeMember, describeMembers } from './describe.ts';
import type { LocalConsistency, LocalMember, LocalMembers, LocalNode } from './local-api.ts';
import type { Node } from './node.ts';

export class MembersDesk {
  private readonly node: Node;

  constructor(node: Node) {
    this.node = node;
  }

  /**
   * A node with a slice asks the pane, and falls back to what it knows itself, unless that might miss something.
   *
   * @throws HivemindError for a consistent read that no majority backs
   */
  async list(consistent: boolean): Promise<LocalMembers> {
    const { member } = this.node;
    const index = consistent ? await this.sync() : 0;
    const { state, heardAt } = member.client.pane;
    const observer = member.directory.nameOf(member.number);
    const heard = heardAt > 0 ? { heardAt: wallText(heardAt) } : {};
    const common = { observer, pane: state, ...heard, ...consistencyOf(index) };
    const listed = member.membership.isComplete ? undefined : await this.listed(index);
    if (listed !== undefined) return { ...common, source: 'pane', size: listed.length, members: listed };
    const members = describeMembers(member, this.node.time);
    return { ...common, source: 'view', size: member.membership.size, members };
  }

  /** One member in full; of a name that this node does not know, the pane is asked. */
  async show(name: string, consistent: boolean): Promise<LocalNode> {
    const { member } = this.node;
    const index = consistent ? await this.sync() : 0;
    const isListed = consistent && !member.membership.isComplete;
    const [line] = isListed ? await this.lines(name, index) : [];
    if (isListed && line === undefined) throw unknownName(name);
    const record = await this.named(name);
    const { number, roles, signingKey } = record;
    const described = line === undefined ? describeMember(member, number, this.node.time) : describeLine(member, line);
    const declarations = roles.flatMap((role) => member.directory.declarations.get(role) ?? []);
    return { ...(described as LocalMember), declarations, key: toHex(signingKey), ...consistencyOf(index) };
  }

  /** @throws HivemindError `not-found` */
  async named(name: string): Promise<MemberRecord> {
    const number = await new Promise<NodeNumber | undefined>((resolve) => {
      this.node.act((member, at) => member.finder.byName(name, resolve, at));
    });
    const record = number === undefined ? undefined : this.node.member.directory.get(number);
    if (record !== undefined) return record;
    throw unknownName(name);
  }

  /** Everything decided by now ends there, and is in this node's view, as far as it has to do with it. */
  private async sync(): Promise<LogIndex> {
    return await this.node.ask<LogIndex>((asked, then, at) => asked.reads.sync(then, at));
  }

  private async listed(atLeast: LogIndex): Promise<readonly LocalMember[] | undefined> {
    const { member } = this.node;
    try {
      return (await this.lines('', atLeast)).map((line) => describeLine(member, line));
    } catch (thrown) {
      if (atLeast > 0) throw thrown;
      return undefined;
    }
  }

  /** @throws HivemindError when no control node answers that has applied as much */
  private async lines(name: string, atLeast: LogIndex): Promise<readonly MemberLine[]> {
    const lines: MemberLine[] = [];
    for (let from = 0; ; ) {
      const request = { kind: 'members', from, name, atLeast } as const;
      const page = await this.node.ask<MemberPage>((asked, then, at) =>
        asked.client.ask(request, memberPage, then, at),
      );
      lines.push(...page.members);
      if (page.next <= from) return lines;
      from = page.next;
    }
  }
}

function consistencyOf(index: LogIndex): LocalConsistency {
  return index > 0 ? { consistent: true, index } : {};
}

function unknownName(name: string): HivemindError {
  return new HivemindError('not-found', `No member is called ${name}; \`hivemind members\` lists them.`);
}
