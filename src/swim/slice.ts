/**
 * The part of the membership that one node keeps (design rule 1). Up to `viewMax` members it is everybody; beyond,
 * it is what the node needs to watch, to be watched and to spread news, whatever the size of the cluster.
 */
import type { NodeNumber } from '../identity.ts';
import { chooseObservers, type Places, type Rings, ringsMax, stepsBack } from './rings.ts';

/** Members of one required role that a view holds. */
export const peersPerRoleMax = 16;
/** Members of a slice that are there for nothing but to be remembered: where to begin when all others are gone. */
export const reserveMax = 10;

/** Lists are ascending and without the node itself. A member may be in several of them. */
export interface Slice {
  /** Whom this node probes, each with all others who probe it: those speak for themselves when it is silent. */
  readonly subjects: readonly Watched[];
  /** Who probes this node. */
  readonly observers: readonly NodeNumber[];
  /** Random members. */
  readonly reserve: readonly NodeNumber[];
  readonly control: readonly NodeNumber[];
  /** Some members of the roles that this node's roles require. */
  readonly peers: readonly NodeNumber[];
}

export interface Watched {
  readonly number: NodeNumber;
  /** This node apart. */
  readonly observers: readonly NodeNumber[];
}

/** Those whom a node needs for what they do, and not for where they stand. */
export interface Needs {
  readonly control: readonly NodeNumber[];
  readonly required: readonly Required[];
}

/** One required role. */
export interface Required {
  readonly members: readonly NodeNumber[];
  isMember(number: NodeNumber): boolean;
}

/** The slice of a member of these rings. */
export function sliceOf(rings: Rings, number: NodeNumber, { control, required }: Needs): Slice {
  const others = (numbers: readonly NodeNumber[]): readonly NodeNumber[] =>
    ascending(new Set(numbers.filter((each) => each !== number)));
  return {
    subjects: rings
      .subjectsOf(number)
      .map((subject) => ({ number: subject, observers: others(rings.observersOf(subject)) })),
    observers: others(rings.observersOf(number)),
    reserve: others(rings.oppositesOf(number).slice(0, reserveMax)),
    control: others(control),
    peers: others(required.flatMap((role) => nextOnFirstRing(rings, number, role))),
  };
}

/** Everybody who is in the view, ascending, without the node itself. */
export function membersOf(slice: Slice): readonly NodeNumber[] {
  const watchers = slice.subjects.flatMap(({ number, observers }) => [number, ...observers]);
  return ascending(new Set([...watchers, ...slice.observers, ...slice.reserve, ...slice.control, ...slice.peers]));
}

/** Whether a number is in the view. */
export function includes(slice: Slice, number: NodeNumber): boolean {
  const { subjects, observers, reserve, control, peers } = slice;
  if ([observers, reserve, control, peers].some((numbers) => numbers.includes(number))) return true;
  return subjects.some((subject) => subject.number === number || subject.observers.includes(number));
}

/**
 * What a join changes in a slice; nothing when it changes nothing. Observers, this node's and its subjects', come
 * out as the rings have them, and so do subjects that are lost to the joiner. The joiner itself becomes a subject
 * when this node stands right before it on some ring; where this node would observe it from further back, only a
 * control node can tell, which knows who stands between. The observers of a new subject are the likeliest in view.
 */
export function adjust(slice: Slice, self: NodeNumber, joined: NodeNumber, places: Places): Slice | undefined {
  if (joined === self || slice.subjects.some(({ number }) => number === joined)) return undefined;
  const observers = withObserver(slice.observers, self, joined, places);
  const subjects = slice.subjects.flatMap((subject) => withCoObserver(subject, self, joined, places));
  const isSame = subjects.length === slice.subjects.length && subjects.every((each, at) => each === slice.subjects[at]);
  const isNext = isNextOnSomeRing(slice, self, joined, places);
  if (isSame && !isNext && observers === slice.observers) return undefined;
  if (isNext) {
    const chosen = chooseObservers(places, joined, [self, ...membersOf(slice)]);
    subjects.push({ number: joined, observers: ascending(chosen.filter((number) => number !== self)) });
  }
  return { ...slice, subjects: subjects.sort((a, b) => a.number - b.number), observers };
}

/** The slice without somebody who is a member no longer; who takes the place is the control nodes' to say. */
export function without(slice: Slice, gone: NodeNumber): Slice {
  const others = (numbers: readonly NodeNumber[]): readonly NodeNumber[] => numbers.filter((number) => number !== gone);
  return {
    subjects: slice.subjects
      .filter(({ number }) => number !== gone)
      .map(({ number, observers }) => ({ number, observers: others(observers) })),
    observers: others(slice.observers),
    reserve: others(slice.reserve),
    control: others(slice.control),
    peers: others(slice.peers),
  };
}

/** The observers of `subject` with the joiner, if it is one; else the same list. */
function withObserver(
  observers: readonly NodeNumber[],
  subject: NodeNumber,
  joined: NodeNumber,
  places: Places,
): readonly NodeNumber[] {
  if (observers.includes(joined)) return observers;
  const chosen = chooseObservers(places, subject, [...observers, joined]);
  return chosen.includes(joined) ? ascending(chosen) : observers;
}

/** A subject with the joiner beside this node; nothing when the joiner takes this node's place. */
function withCoObserver(subject: Watched, self: NodeNumber, joined: NodeNumber, places: Places): readonly Watched[] {
  if (subject.observers.includes(joined)) return [subject];
  const observers = withObserver([...subject.observers, self], subject.number, joined, places);
  if (!observers.includes(joined)) return [subject];
  if (!observers.includes(self)) return [];
  return [{ number: subject.number, observers: observers.filter((each) => each !== self) }];
}

/** This node's next one on a ring is always its subject: whoever stands nearer than all subjects is the next one. */
function isNextOnSomeRing({ subjects }: Slice, self: NodeNumber, joined: NodeNumber, places: Places): boolean {
  const [own, its] = [places.of(self), places.of(joined)];
  for (let ring = 0; ring < ringsMax; ring++) {
    const steps = stepsBack(joined, its[ring] as number, self, own[ring] as number);
    const isNearest = subjects.every(
      ({ number }) => steps < stepsBack(number, places.of(number)[ring] as number, self, own[ring] as number),
    );
    if (isNearest) return true;
  }
  return false;
}

/** Those who follow on the first ring, so that the members of a role are in about equally many views. */
function nextOnFirstRing(rings: Rings, number: NodeNumber, role: Required): readonly NodeNumber[] {
  if (role.members.length <= peersPerRoleMax) return role.members;
  const next: NodeNumber[] = [];
  for (const each of rings.following(number)) {
    if (role.isMember(each) && next.push(each) === peersPerRoleMax) break;
  }
  return next;
}

function ascending(numbers: Iterable<NodeNumber>): readonly NodeNumber[] {
  return [...numbers].sort((a, b) => a - b);
}
