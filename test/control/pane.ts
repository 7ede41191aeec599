/** The replicated state with a log in front of it: each command goes through bytes, as it does between nodes. */
import assert from 'node:assert/strict';
import { toHex } from '../../src/bytes.ts';
import { majorityOf } from '../../src/certificate/certificate.ts';
import { type Applied, applyCommand, type ControlEvent } from '../../src/control/apply.ts';
import type { Command, CreateToken } from '../../src/control/command.ts';
import { type AdmittedMember, ControlState } from '../../src/control/control-state.ts';
import { stateHash } from '../../src/control/state-snapshot.ts';
import type { ErrorCode } from '../../src/error.ts';
import type { NodeNumber, WallMs } from '../../src/identity.ts';
import { decodeCommand, encodeCommand } from '../../src/wire/command.ts';
import { dayMs, Founders, foundedAt, signingKey, type WishChanges } from '../certificate/cluster.ts';

/** A command without its time: the pane's clock gives that. */
export type Undated<C extends Command = Command> = C extends Command ? Omit<C, 'at'> : never;

export const tokenSeed = 0x61;

interface TokenTerms extends Partial<Omit<CreateToken, 'kind' | 'publicKey'>> {
  readonly seed?: number;
}

/** Creates the token of `seed`: a day for any number of nodes with any roles, unless the terms say otherwise. */
export function createToken({ seed = tokenSeed, ...terms }: TokenTerms = {}): Undated<CreateToken> {
  const usual = { roles: [], notAfter: foundedAt + dayMs, usesMax: 0 };
  return { kind: 'create-token', publicKey: signingKey(seed).publicKey, ...usual, ...terms };
}

export class Pane {
  readonly founders: Founders;
  state: ControlState;
  readonly log: Uint8Array[] = [];
  now: WallMs = foundedAt + 10_000;

  constructor(size = 3) {
    this.founders = new Founders(size);
    this.state = new ControlState(this.founders.genesis, this.founders.hash);
  }

  get hash(): string {
    return toHex(stateHash(this.state));
  }

  apply(command: Undated, at: WallMs = this.now): Applied {
    return this.append(encodeCommand({ ...command, at } as Command));
  }

  append(payload: Uint8Array): Applied {
    const command = decodeCommand(payload);
    assert(command !== undefined);
    this.log.push(payload);
    return applyCommand(this.state, this.log.length, command);
  }

  /** Applies a command that must change something, and gives what it changed. */
  change(command: Undated, at?: WallMs): readonly ControlEvent[] {
    const applied = this.apply(command, at);
    assert.equal(applied.kind, 'changed', applied.kind === 'ignored' ? applied.refusal.sentence : '');
    return applied.kind === 'changed' ? applied.events : [];
  }

  /** Applies a command that must change nothing, and gives the sentence that says why. */
  refuse(command: Undated, code: ErrorCode, at?: WallMs): string {
    const before = contents(this.state);
    const applied = this.apply(command, at);
    assert.equal(applied.kind, 'ignored', JSON.stringify(command));
    assert(sameContents(before, contents(this.state)), `an ignored ${command.kind} changed the state`);
    if (applied.kind !== 'ignored') return '';
    assert.equal(applied.refusal.code, code, applied.refusal.sentence);
    return applied.refusal.sentence;
  }

  begin(wish: WishChanges = {}): Undated {
    return { kind: 'begin-admission', request: this.founders.joinRequest(wish).bytes };
  }

  /** The command that completes the pending admission or removal of `number`. */
  complete(number: NodeNumber, signers?: readonly NodeNumber[]): Undated {
    const pending = this.state.pending.get(number);
    const statement = pending?.statement ?? this.state.removed.get(number)?.statement;
    assert(statement !== undefined);
    const majority = this.founders.numbers.slice(0, majorityOf(this.founders.numbers.length));
    const shares = this.founders.shares(statement, signers ?? majority);
    return { kind: pending === undefined ? 'complete-removal' : 'complete-admission', number, shares };
  }

  admit(wish: WishChanges = {}): AdmittedMember {
    const number = this.state.nextNumber;
    this.change(this.begin(wish));
    this.change(this.complete(number));
    return this.member(number);
  }

  member(number: NodeNumber): AdmittedMember {
    const member = this.state.members.get(number);
    assert(member !== undefined, `there is no member ${number}`);
    return member;
  }
}

/** Everything that the state holds beside how far and until when it was applied. */
export function contents(state: ControlState): readonly unknown[] {
  const maps = [state.members, state.pending, state.removed, state.tokens, state.declarations];
  const held = maps.flatMap((map) => [map.size, ...[...map].flat()]);
  return [
    state.charter.length,
    state.amending,
    state.featureLevel,
    state.nextNumber,
    state.brakeReleasedUntil,
    ...held,
    ...state.sessions.kept.records,
  ];
}

/** Values in the state are never changed in place, so the same contents are the same objects. */
export function sameContents(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((each, at) => each === b[at]);
}
