/**
 * Breaks the product in one place at a time and lets seeds find out: `node --import tsx test/sim/mutants.ts`.
 *
 * Each mutant is a copy of the sources with one text replaced. It counts as caught when a seed fails; one that
 * survives all seeds shows a promise that the simulator does not check. Takes some minutes: for by hand and for
 * the night. Ends with exit code 1 when a mutant is not caught.
 */
import { type Fate, fateBy, type Mutant, type Mutation, runIn, tryWhenRun } from '../house/mutation.ts';

/** Seeds that a mutant must survive to count as alive, and how many run in one process. */
const seedsMax = 200;
const seedsAtOnce = 10;
/** So many take some ten seconds; a process that takes longer than this spins for ever. */
const runMsMax = 300_000;

const mutants: readonly Mutant[] = [
  {
    wrong: 'a vote is answered before it is persisted',
    file: 'raft/election.ts',
    from: "this.ready.promise(from, { kind: 'vote-answer'",
    to: "this.ready.send(from, { kind: 'vote-answer'",
  },
  {
    wrong: 'a vote is forgotten over a crash',
    file: 'raft/election.ts',
    from: 'this.hardState = options.hardState;',
    to: 'this.hardState = { term: options.hardState.term, votedFor: 0 };',
  },
  {
    wrong: 'an append is answered before it is durable',
    file: 'raft/raft.ts',
    from: 'this.ready.promise(from, this.replica.onAppend(request));',
    to: 'this.ready.send(from, this.replica.onAppend(request));',
  },
  {
    wrong: 'entries of older terms are committed by counting',
    file: 'raft/raft.ts',
    from: 'if (agreedIndex <= this.commitIndex || this.log.termAt(agreedIndex) !== this.term) return;',
    to: 'if (agreedIndex <= this.commitIndex) return;',
  },
  {
    wrong: 'a candidate whose log is older gets votes',
    file: 'raft/log.ts',
    from: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
    to: 'return lastTerm >= 0 && lastIndex >= 0;',
  },
  {
    wrong: 'a follower forgets what lies beyond an old append',
    file: 'raft/log.ts',
    from: 'const conflict = this.conflictWith(entries);\n    if (',
    to: 'const conflict = entries[0]?.index ?? this.lastIndex + 1;\n    if (conflict <= this.lastIndex && ',
  },
  {
    wrong: 'a majority of voters is one too few',
    file: 'raft/quorum.ts',
    from: 'return Math.floor(voters / 2) + 1;',
    to: 'return Math.floor(voters / 2);',
  },
  {
    wrong: 'who takes part is adopted when it is committed, not when it is appended',
    file: 'raft/log.ts',
    from: "if (entry.kind === 'configuration' && entry.index > this.configurations.newestIndex) this.adopt(entry);",
    to:
      "const isLate = ({ kind, index }) => kind === 'configuration' && index <= this.committed;\n" +
      '      const late = this.entries.findLast(isLate);\n' +
      '      if (late !== undefined && late.index > this.configurations.newestIndex) this.adopt(late);',
  },
  {
    wrong: 'a change goes without joint consensus',
    file: 'raft/configuration-change.ts',
    from: 'hasSameVoters ? next : { ...next, outgoing: present.voters }',
    to: 'hasSameVoters || present.voters.length > 0 ? next : { ...next, outgoing: present.voters }',
  },
  {
    wrong: 'joint consensus is left before it is committed',
    file: 'raft/raft.ts',
    from: '    if (this.log.configurations.newestIndex > this.commitIndex) return;\n',
    to: '',
  },
  {
    wrong: 'learners count',
    file: 'raft/quorum.ts',
    from: '  const agreed = agreedAmong(voters, reached);\n',
    to: '  const agreed = agreedAmong([...voters, ...arguments[0].learners], reached);\n',
  },
  {
    wrong: 'whoever lost entries votes',
    file: 'raft/election.ts',
    from: 'return !this.replica.isQuarantined && this.log.isNoNewerThan(lastTerm, lastIndex);',
    to: 'return this.log.isNoNewerThan(lastTerm, lastIndex);',
  },
  {
    wrong: 'a damaged log counts as whole',
    file: 'member/pane/open-pane.ts',
    from: 'quarantined: damage !== undefined,',
    to: 'quarantined: false,',
  },
  {
    wrong: 'a lost log begins anew',
    file: 'member/pane/open-pane.ts',
    from: 'if (isNew && options.memory?.commitIndex !== undefined) {',
    to: 'if (isNew && lastIndex > 0) {',
  },
  {
    wrong: 'a last record that turned bad is cut off as a torn one',
    file: 'store/wal-record.ts',
    from: "return lacksSector(bytes, offset) && !wasWhole(bytes, place) ? 'torn' : 'corrupt';",
    to: "return 'torn';",
  },
  {
    wrong: 'a record that a crash tore counts as damage',
    file: 'store/wal-record.ts',
    from: "return lacksSector(bytes, offset) && !wasWhole(bytes, place) ? 'torn' : 'corrupt';",
    to: "return 'corrupt';",
  },
  {
    wrong: 'a sync that failed is taken for one that did not',
    file: 'store/wal-writer.ts',
    from: '    this.final(() => segment.file.syncData());\n',
    to: '    try {\n      segment.file.syncData();\n    } catch {}\n',
  },
  {
    wrong: 'a full disk counts as written to',
    file: 'store/wal-writer.ts',
    from: '      if (isDiskFull(thrown)) this.cutBack(segment);\n      throw thrown;',
    to: '      if (!isDiskFull(thrown)) throw thrown;\n      return this.cutBack(segment);',
  },
  {
    wrong: 'what the last process wrote is not made durable before it is believed',
    file: 'store/wal-writer.ts',
    from: '    if (lastRecord !== undefined) file.write(lastRecord.bytes, lastRecord.offset);\n    file.sync();\n',
    to: '',
  },
  {
    wrong: 'a certificate has one signature too few',
    file: 'certificate/certificate.ts',
    from: 'return Math.floor(size / 2) + 1;',
    to: 'return Math.floor(size / 2);',
  },
  {
    wrong: 'a removed number is accepted again',
    file: 'member/directory.ts',
    from: 'if (number !== claimed || this.removed.has(number)) return undefined;',
    to: 'if (number !== claimed && number < 0) return undefined;',
  },
  {
    wrong: 'a joiner is shown before its admission is complete',
    file: 'member/pane/control-pane.ts',
    from: "      case 'signatures-wanted':\n",
    to:
      "      case 'signatures-wanted':\n" +
      "        if (event.statement.kind === 'admit')\n" +
      "          this.outbox.event({ ...event.statement, kind: 'joined', number: event.statement.number });\n",
  },
  {
    wrong: 'an uncommitted entry is shown',
    file: 'member/pane/raft-engine.ts',
    from: 'Math.min(most, this.shownIndex - from + 1)',
    to: 'Math.min(most, this.raft.lastIndex - from + 1)',
  },
  {
    wrong: 'a proposal counts as decided when it is written down',
    file: 'member/pane/decision-log.ts',
    from: 'this.engine.append({ fence, head, payload }, (outcome, later) => this.onOutcome(outcome, then, later), at);',
    to:
      '{\n' +
      "      then({ ok: true, index: head + 1, applied: { kind: 'changed', events: [] } }, at);\n" +
      '      this.engine.append({ fence, head, payload }, () => {}, at);\n' +
      '    }',
  },
  {
    wrong: 'a proposal whose leader was deposed is told to be refused',
    file: 'member/pane/raft-engine.ts',
    from: "for (const then of lost) then({ kind: 'unknown' }, at);",
    to: "for (const then of lost) then({ kind: 'refused', why: 'not-leader' }, at);",
  },
  {
    wrong: 'a note is told to be decided that nobody proposed',
    file: 'member/pane/notes.ts',
    from: 'this.log.propose(noteBy(by, ask, at), (verdict, later) => this.settle(turn, verdict, later), at);',
    to: "this.settle(turn, { ok: true, index: state.appliedIndex, applied: { kind: 'changed', events: [] } }, at);",
  },
  {
    wrong: 'a turn of a session that is applied is applied anew',
    file: 'control/client-sessions.ts',
    from: "if (applied !== undefined) return { kind: 'repeated', index: applied.index };",
    to: "if (applied !== undefined) return { kind: 'new' };",
  },
  {
    wrong: 'a refusal counts although an earlier attempt may be decided',
    file: 'member/client/repetition.ts',
    from: "return outcome.ok || outcome.error.code === 'not-admitted';",
    to: "return outcome.ok || outcome.error.code !== 'unknown-outcome';",
  },
  {
    wrong: 'a consistent read is answered without confirmation',
    file: 'member/pane/raft-engine.ts',
    from: "if (begun.kind === 'pending') this.reads.set(begun.id, then);",
    to: "if (begun.kind === 'pending') then({ kind: 'current', index: this.shownIndex }, at);",
  },
  {
    wrong: 'a follower answers a consistent read before it has applied what the leader names',
    file: 'member/pane/pane-reads.ts',
    from: 'if (index <= this.state.appliedIndex) then({ ok: true, value: index }, at);',
    to: 'if (index > 0) then({ ok: true, value: index }, at);',
  },
  {
    wrong: 'a consistent read of the members shows what this node knew before',
    file: 'member/reads.ts',
    from: 'if (outcome.ok) membership.mergeDigest(outcome.value, last);',
    to: 'if (!outcome.ok) membership.onChange();',
  },
  {
    wrong: 'an older seq replaces a newer one',
    file: 'config/config.ts',
    from: "if (held !== undefined && held.seq >= config.seq) return held.seq === config.seq ? 'known' : 'older';",
    to: "if (held !== undefined && held.seq === config.seq) return 'known';",
  },
  {
    wrong: 'a publication is pushed before it is remembered',
    file: 'member/recollection.ts',
    from: 'this.waiting.push(call);',
    to: 'call(at);',
  },
  {
    wrong: 'a publication is shown to whoever asks before it is remembered',
    file: 'member/config-exchange.ts',
    from: 'this.unsaved.set(role, config);',
    to: 'this.unsaved.set(role, config);\n    this.configs.put(config, this.key.publicKey);',
  },
  {
    wrong: 'a memory under way keeps the promise of what came after it',
    file: 'member/recollection.ts',
    from: 'const due = this.written;',
    to: 'const due = [...this.written, ...this.waiting.splice(0)];',
  },
  {
    wrong: 'one observer too few convicts',
    file: 'swim/jury.ts',
    from: 'return Math.floor(jurors / 2) + 1;',
    to: 'return Math.floor(jurors / 2);',
  },
  {
    wrong: 'a convicted member stays down for ever',
    file: 'member/own-standing.ts',
    from: '    this.askAgainAt = at.now;\n',
    to: '',
  },
  {
    wrong: 'what was missed is never compared',
    file: 'member/client/pane-client.ts',
    from: 'if (this.mismatches >= mismatchesMax) this.pullDigest(from, at);',
    to: 'if (this.mismatches >= 100 * mismatchesMax) this.pullDigest(from, at);',
  },
];

/** What the first seed says that fails. */
function fateIn(folder: string): Fate {
  for (let first = 1; first <= seedsMax; first += seedsAtOnce) {
    const parameters = ['--import', 'tsx', 'src/sim/replay.ts', `${first}`, `${seedsAtOnce}`];
    const { status, stderr } = runIn(folder, parameters, runMsMax);
    if (status === undefined) return { kind: 'hangs' };
    if (status === 0) continue;
    const [, how = '', replay = ''] = /^([^\n]+)\n(?:.*\n)*?replay: npm run sim -- (\d+)/m.exec(stderr) ?? [];
    return replay === '' ? { kind: 'crashes', how: stderr } : fateBy(`seed ${replay}: ${how}`);
  }
  return { kind: 'survives' };
}

export const mutation: Mutation = { mutants, below: 'src', tests: [], fateIn };

tryWhenRun(import.meta.url, mutation);
