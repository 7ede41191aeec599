/** Finds members outside this node's slice: the pane knows all by role, name and number. */
import type { NodeNumber } from '../../identity.ts';
import type { Instant } from '../../seam/instant.ts';
import { facts, factsNumbersMax, type MemberPage, memberPage, roleMembers } from '../../wire/peer-message.ts';
import type { Membership } from '../membership.ts';
import type { PaneClient } from './pane-client.ts';

type Done = (at: Instant) => void;

export class MemberFinder {
  private readonly membership: Membership;
  private readonly client: PaneClient;

  constructor(membership: Membership, client: PaneClient) {
    this.membership = membership;
    this.client = client;
  }

  /** Gets to know the member of this name; nothing when there is none, or no control node answers. */
  byName(name: string, then: (number: NodeNumber | undefined, at: Instant) => void, at: Instant): void {
    const known = this.membership.directory.byName(name)?.number;
    if (known !== undefined || this.membership.isComplete) {
      then(known, at);
      return;
    }
    this.client.ask<MemberPage>(
      { kind: 'members', from: 0, name, atLeast: 0 },
      memberPage,
      (outcome, later) => {
        const number = outcome.ok ? outcome.value.members[0]?.number : undefined;
        if (number === undefined) then(undefined, later);
        else this.introduce([number], (last) => then(number, last), later);
      },
      at,
    );
  }

  /** Gets to know everybody who performs one of `roles`; when the pane does not answer, with those who are known. */
  performing(roles: readonly string[], done: Done, at: Instant): void {
    const [role, ...rest] = roles;
    if (role === undefined || this.membership.isComplete) {
      done(at);
      return;
    }
    this.client.ask(
      { kind: 'role-members', role },
      roleMembers,
      (outcome, later) => {
        const next: Done = (last) => this.performing(rest, done, last);
        if (outcome.ok) this.introduce(outcome.value.numbers, next, later);
        else next(later);
      },
      at,
    );
  }

  private introduce(numbers: readonly NodeNumber[], done: Done, at: Instant): void {
    const unknown = numbers.filter((number) => this.membership.directory.get(number) === undefined);
    if (unknown.length === 0) {
      done(at);
      return;
    }
    const page = unknown.slice(0, factsNumbersMax);
    this.client.ask(
      { kind: 'facts', numbers: page },
      facts,
      (outcome, later) => {
        if (outcome.ok && outcome.from.kind === 'member')
          this.membership.merge(outcome.value, outcome.from.number, later);
        // What a page did not bring is not asked for again.
        const isNews = outcome.ok && outcome.value.members.length > 0;
        if (isNews) this.introduce(unknown.slice(page.length), done, later);
        else done(later);
      },
      at,
    );
  }
}
