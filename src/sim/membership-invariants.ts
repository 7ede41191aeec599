/** What must hold of membership: nobody belongs, or is shown to anybody, whom the log and a majority did not admit. */
import { ByteReader, toHex } from '../bytes.ts';
import { decodeStatement } from '../certificate/statement.ts';
import { decode } from '../codec.ts';
import type { Command } from '../control/command.ts';
import { signatureBytes, verifySignature } from '../crypto.ts';
import type { Epoch, NodeNumber } from '../identity.ts';
import type { MemberRecord } from '../member/directory.ts';
import type { MemberEffect } from '../member/effect.ts';
import type { Member } from '../member/member.ts';
import { decodeMemory } from '../member/memory.ts';
import { admission, digest, facts } from '../wire/peer-message.ts';
import { ChangeWatch } from './change-watch.ts';
import { violated } from './invariant-violation.ts';
import type { SimNode } from './sim-node.ts';

export class MembershipInvariants {
  private readonly nodes: () => readonly SimNode[];
  /** The sets of signers that were asked for, and those that came to sign, by their index in the charter. */
  private readonly proposedSets = new Set<string>();
  private readonly sets: (readonly NodeNumber[])[];
  private readonly admitted = new Set<NodeNumber>();
  private readonly removed = new Set<NodeNumber>();
  private readonly certificates = new Set<string>();
  /** Which epoch each node's process was in when it was last seen. */
  private readonly epochs = new Map<string, { readonly member: Member; readonly epoch: Epoch }>();
  private readonly members: ChangeWatch<MemberRecord>;

  constructor(controlNodes: readonly SimNode[], nodes: () => readonly SimNode[], thorough: boolean) {
    this.nodes = nodes;
    this.sets = [controlNodes.map((_, position) => position + 1)];
    this.members = new ChangeWatch(thorough, describeMembers);
    for (const node of controlNodes) this.admitted.add(node.number);
  }

  onCommitted(command: Command): void {
    if (command.kind === 'complete-admission') this.admitted.add(command.number);
    if (command.kind === 'begin-removal') this.removed.add(command.number);
    if (command.kind === 'begin-amendment' && command.change.kind === 'control-set')
      this.proposedSets.add(command.change.numbers.join());
  }

  check(node: SimNode): void {
    const { member } = node;
    if (member === undefined) return;
    this.checkEpoch(node, member);
    const { directory } = member;
    this.checkControlSet(node, directory.controlSet.index, directory.controlNumbers());
    const members = directory.list();
    if (!this.members.changed(node, 'members', members)) return;
    for (const { number, certificate } of members) {
      this.checkAdmitted(node, number);
      if (certificate !== undefined) this.checkCertificate(node, number, certificate);
      if (directory.removed.has(number)) violated('the removed stay out', node, `#${number}`);
    }
    for (const number of directory.removed) {
      if (!this.removed.has(number)) violated('nobody is out whom the log did not remove', node, `#${number}`);
    }
  }

  /** What leaves this node for others or for its roles shows only what is decided (HM-8, HM-9, HM-22). */
  checkEffect(node: SimNode, effect: MemberEffect): void {
    if (effect.kind === 'event' && effect.event.kind === 'joined') this.checkAdmitted(node, effect.event.number);
    if (effect.kind !== 'answer') return;
    const shown = this.shownIn(effect.what, effect.body);
    for (const { number } of shown) this.checkAdmitted(node, number);
  }

  private shownIn(what: string, body: Uint8Array): readonly { readonly number: NodeNumber }[] {
    if (what === 'join') return decode(admission, body)?.digest.members ?? [];
    if (what === 'digest') return decode(digest, body)?.members ?? [];
    return what === 'facts' ? (decode(facts, body)?.members ?? []) : [];
  }

  private checkAdmitted(node: SimNode, number: NodeNumber): void {
    if (!this.admitted.has(number)) violated('nobody is a member whom the log did not admit', node, `#${number}`);
  }

  /** Counted anew here, so that a wrong count in the product cannot hide itself. */
  private checkCertificate(node: SimNode, number: NodeNumber, certificate: Uint8Array): void {
    const text = toHex(certificate);
    if (this.certificates.has(text)) return;
    const input = new ByteReader(certificate);
    const signed = input.bytes();
    const signers = new Set<NodeNumber>();
    for (let left = input.u8(); left > 0; left--) {
      const [signer, signature] = [input.u32(), input.raw(signatureBytes)];
      const key = this.nodes().find((each) => each.number === signer)?.signingKey.publicKey;
      if (key !== undefined && verifySignature(key, signed, signature)) signers.add(signer);
    }
    const set = this.sets[decodeStatement(signed)?.controlSet ?? -1] ?? [];
    if ([...signers].filter((signer) => set.includes(signer)).length * 2 <= set.length) {
      violated('a majority signs each certificate', node, `#${number}: ${signers.size} did`);
    }
    this.certificates.add(text);
  }

  /** Nobody signs whom the log did not name, and everybody holds the same for those who sign. */
  private checkControlSet(node: SimNode, index: number, numbers: readonly NodeNumber[]): void {
    const text = numbers.join();
    const known = this.sets[index]?.join();
    if (known === text) return;
    const isNext = known === undefined && index === this.sets.length && this.proposedSets.has(text);
    if (!isNext) violated('one control set for each index', node, `${index} is ${text}`);
    this.sets.push(numbers);
  }

  /** A process that dies before its disk has the news begins where the disk is: others know better, and tell it. */
  private checkEpoch(node: SimNode, member: Member): void {
    const { charter } = member.directory;
    const known = this.epochs.get(node.name);
    if (known?.member === member) {
      if (member.epoch < known.epoch) violated('epochs never fall', node, `${member.epoch} after ${known.epoch}`);
    } else {
      const stored = node.disk.memory === undefined ? undefined : decodeMemory(node.disk.memory);
      const least = stored?.digest.charter.amendments.length ?? 0;
      if (charter.length < least)
        violated('a charter never loses what is on disk', node, `${charter.length} of ${least}`);
    }
    this.epochs.set(node.name, { member, epoch: member.epoch });
  }
}

function describeMembers(members: readonly MemberRecord[]): string {
  return members
    .map(({ number, locator, certificate }) => `${number}/${locator?.version}/${certificate?.length}`)
    .join();
}
