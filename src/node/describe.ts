/** Turns what the member knows into what people are shown: names for numbers, ISO times, text for bytes. */
import { toBase64Url } from '../bytes.ts';
import { verifyJoinRequest } from '../certificate/join-request.ts';
import { verifyLocator } from '../certificate/locator.ts';
import type { Command } from '../control/command.ts';
import { endpointText, type NodeNumber, wallText } from '../identity.ts';
import type { MemberEvent } from '../member/effect.ts';
import type { Member } from '../member/member.ts';
import { decodeConfiguration } from '../raft/configuration.ts';
import type { Instant } from '../seam/instant.ts';
import type { LogEntry } from '../seam/log-store.ts';
import { decodeCommand } from '../wire/command.ts';
import type { MemberLine } from '../wire/peer-message.ts';
import type { LocalEvent, LocalLogEntry, LocalMember, LocalView } from './local-api.ts';

export function describeMember(member: Member, number: NodeNumber, at: Instant): LocalMember | undefined {
  const record = member.directory.get(number);
  if (record === undefined) return undefined;
  const state = member.membership.swim.statusOf(number);
  return {
    number,
    name: record.name,
    roles: record.roles,
    status: state?.status ?? 'alive',
    incarnation: state?.incarnation ?? 0,
    hint: state?.hint ?? false,
    since: wallText(at.wall - (state === undefined ? 0 : at.now - state.sinceMs)),
    addresses: record.endpoints.map(endpointText),
    self: number === member.number,
  };
}

export function describeMembers(member: Member, at: Instant): readonly LocalMember[] {
  return member.directory.list().flatMap((record) => describeMember(member, record.number, at) ?? []);
}

/** A member as the pane lists it, with what this node thinks of it itself, if it knows it. */
export function describeLine(member: Member, line: MemberLine): LocalMember {
  const { number, name, roles, incarnation, since } = line;
  const opinion = member.membership.swim.statusOf(number);
  const isSuspect = line.status === 'alive' && opinion?.status === 'suspect';
  const locator = line.locator === undefined ? undefined : verifyLocator(line.locator, member.directory.cluster);
  return {
    number,
    name,
    roles,
    status: isSuspect ? 'suspect' : line.status,
    incarnation,
    hint: false,
    since: wallText(since),
    addresses: (locator?.endpoints ?? member.directory.get(number)?.endpoints ?? []).map(endpointText),
    self: number === member.number,
  };
}

/** What the view is made of (HM-15). */
export function describeView(member: Member): LocalView {
  const { membership } = member;
  const { slice } = membership.swim;
  const statuses = membership.swim.members().map((each) => each.status);
  const count = (status: string): number => statuses.filter((each) => each === status).length;
  const coObservers = new Set(slice.subjects.flatMap(({ observers }) => observers));
  coObservers.delete(member.number);
  return {
    size: statuses.length,
    alive: count('alive'),
    suspect: count('suspect'),
    down: count('down'),
    cluster: membership.size,
    complete: membership.isComplete,
    subjects: slice.subjects.length,
    observers: slice.observers.length,
    coObservers: coObservers.size,
    reserve: slice.reserve.length,
    control: slice.control.length,
    peers: slice.peers.length,
  };
}

/** An event with the name of the member it is about, and the rest as it is. */
export function describeEvent(member: Member, event: MemberEvent, at: Instant): LocalEvent {
  const { kind, ...detail } = event;
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(detail)) shown[name] = describeValue(member, name, value);
  const about = 'number' in event ? event.number : 'owner' in event ? event.owner : undefined;
  const node = 'name' in event ? event.name : about === undefined ? undefined : member.directory.nameOf(about);
  return { at: wallText(at.wall), kind, ...(node === undefined ? {} : { node }), detail: shown };
}

/** Fields of events that are lists of members. */
const namesOfLists: ReadonlySet<string> = new Set(['accused', 'from', 'control']);

function describeValue(member: Member, name: string, value: unknown): unknown {
  if (name === 'since' && typeof value === 'number') return wallText(value);
  if (name === 'by' && typeof value === 'number') return member.directory.nameOf(value);
  if (name === 'payload' && value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (namesOfLists.has(name) && Array.isArray(value))
    return value.map((number: number) => member.directory.nameOf(number));
  if (name === 'endpoints' && Array.isArray(value)) return value.map(endpointText);
  return value;
}

/** Who votes from here on; while `outgoing` is not empty, a majority of those before is needed as well. */
function describeConfiguration({ directory }: Member, { index, term, payload }: LogEntry): LocalLogEntry {
  const configuration = decodeConfiguration(payload);
  const names = (numbers: readonly NodeNumber[] = []): readonly string[] =>
    numbers.map((each) => directory.nameOf(each));
  const detail = {
    voters: names(configuration?.voters),
    learners: names(configuration?.learners),
    outgoing: names(configuration?.outgoing),
  };
  return { index, term, kind: 'voters', detail };
}

/** A committed entry for people; signatures and keys are left out. */
export function describeEntry(member: Member, entry: LogEntry): LocalLogEntry {
  const { index, term } = entry;
  if (entry.kind === 'configuration') return describeConfiguration(member, entry);
  if (entry.kind === 'opening') return { index, term, kind: 'leader-elected', detail: {} };
  const command = decodeCommand(entry.payload);
  if (command === undefined) return { index, term, kind: 'unknown', detail: {} };
  return { index, term, at: wallText(command.at), kind: command.kind, detail: describeCommand(member, command) };
}

function describeCommand(member: Member, command: Command): Readonly<Record<string, unknown>> {
  const { directory } = member;
  switch (command.kind) {
    case 'begin-admission': {
      const request = verifyJoinRequest(command.request, directory.cluster, directory.genesisHash);
      return { name: request?.name ?? '', roles: request?.roles.map((role) => role.name) ?? [] };
    }
    case 'complete-admission':
    case 'complete-removal':
      return {
        number: command.number,
        name: directory.nameOf(command.number),
        signedBy: command.shares.map((share) => directory.nameOf(share.signer)),
      };
    case 'withdraw-admission':
      return { number: command.number };
    case 'begin-removal':
      return { number: command.number, name: directory.nameOf(command.number), reason: command.reason };
    case 'convict':
      return { nodes: command.subjects.map((subject) => directory.nameOf(subject.number)) };
    case 'return':
      return { number: command.number, name: directory.nameOf(command.number), incarnation: command.incarnation };
    case 'create-token': {
      const { roles, usesMax, notAfter } = command;
      return { key: toBase64Url(command.publicKey), roles, usesMax, notAfter: wallText(notAfter) };
    }
    case 'revoke-token':
      return { key: toBase64Url(command.publicKey) };
    case 'begin-amendment':
      return command.change.kind === 'epoch'
        ? { change: 'epoch' }
        : { change: 'control-set', nodes: command.change.numbers.map((number) => directory.nameOf(number)) };
    case 'complete-amendment':
      return { signedBy: command.shares.map((each) => directory.nameOf(each.signer)) };
    case 'withdraw-amendment':
      return {};
    case 'release-brake':
      return { until: wallText(command.until) };
    case 'note':
      return { by: directory.nameOf(command.by), text: new TextDecoder().decode(command.text) };
    case 'raise-feature-level':
      return { level: command.level };
  }
}
