/**
 * Breaks the raft engine, what repeats of notes go through and what follows the log in one place at a time, and lets
 * the conformance suite and the tests of these find out: `node --import tsx test/member/mutants.ts`. A mutant that
 * survives shows a promise that they do not check. Ends with exit code 1 then.
 */
import { fateByTests, type Mutant, type Mutation, tryWhenRun } from '../house/mutation.ts';

const suites = ['test/member/pane/engine.test.ts', 'test/member/pane/notes.test.ts', 'test/node/log-desk.test.ts'];
/** Suites that take longer have lost their way. */
const runMsMax = 240_000;

const mutants: readonly Mutant[] = [
  {
    wrong: 'a fence of an earlier lead may append',
    file: 'member/pane/raft-engine.ts',
    from: "if (fence !== this.status.fence) return 'not-leader';",
    to: "if (fence < 0 || this.status.fence === undefined) return 'not-leader';",
  },
  {
    wrong: 'an append stands wherever the log ends',
    file: 'member/pane/raft-engine.ts',
    from: "if (head !== this.raft.lastIndex) return 'conflict';",
    to: "if (head < 0) return 'conflict';",
  },
  {
    wrong: 'an append whose leader was deposed is told to be refused',
    file: 'member/pane/raft-engine.ts',
    from: "for (const then of lost) then({ kind: 'unknown' }, at);",
    to: "for (const then of lost) then({ kind: 'refused', why: 'not-leader' }, at);",
  },
  {
    wrong: 'an append whose leader was deposed is never answered',
    file: 'member/pane/raft-engine.ts',
    from: "if (this.appends.size === 0 || this.raft.role === 'leader') return;",
    to: 'if (this.appends.size >= 0) return;',
  },
  {
    wrong: 'an append is told to be committed when it is written down',
    file: 'member/pane/raft-engine.ts',
    from: 'this.appends.set(proposed.firstIndex, then);',
    to: "then({ kind: 'committed', index: proposed.firstIndex }, at);",
  },
  {
    wrong: 'an append is told to be committed after it was there to watch',
    file: 'member/pane/raft-engine.ts',
    from: '      this.tellAppend(entry.index, at);\n      this.shownIndex = entry.index;\n',
    to:
      '      this.shownIndex = entry.index;\n' +
      '      this.parts.onProgress(at);\n' +
      '      this.tellAppend(entry.index, at);\n',
  },
  {
    wrong: 'a busy engine writes down what it refuses',
    file: 'member/pane/raft-engine.ts',
    from: "if (proposed.kind !== 'accepted') return proposed.kind;",
    to: "if (proposed.kind !== 'accepted') return proposed.kind;\n" + "    if (this.appends.size >= 40) return 'busy';",
  },
  {
    wrong: 'a read is answered without confirmation',
    file: 'member/pane/raft-engine.ts',
    from: "if (begun.kind === 'pending') this.reads.set(begun.id, then);",
    to: "if (begun.kind === 'pending') then({ kind: 'current', index: this.shownIndex }, at);",
  },
  {
    wrong: 'a read that lost its leader is never answered',
    file: 'member/pane/raft-engine.ts',
    from: "for (const id of ready.readsFailed) this.tellRead(id, { kind: 'refused', why: 'not-leader' }, at);",
    to: '',
  },
  {
    wrong: 'a read is answered before what it names is there to watch',
    file: 'member/pane/raft-engine.ts',
    from:
      '    this.show(ready, at);\n' +
      "    for (const { id, index } of ready.reads) this.tellRead(id, { kind: 'current', index }, at);\n",
    to:
      "    for (const { id, index } of ready.reads) this.tellRead(id, { kind: 'current', index }, at);\n" +
      '    this.show(ready, at);\n',
  },
  {
    wrong: 'what is not committed is there to watch',
    file: 'member/pane/raft-engine.ts',
    from: 'Math.min(most, this.shownIndex - from + 1)',
    to: 'Math.min(most, this.raft.lastIndex - from + 1)',
  },
  {
    wrong: 'a watch begins behind what is compacted and says nothing of it',
    file: 'member/pane/raft-engine.ts',
    from: 'if (from < firstKept.index && newest !== undefined)',
    to: 'if (from < 1 && newest !== undefined)',
  },
  {
    wrong: 'whoever gets a snapshot is not told',
    file: 'member/pane/raft-engine.ts',
    from: 'this.compaction.onRestored(restore);',
    to: '',
  },
  {
    wrong: 'a promise leaves before it is durable',
    file: 'member/pane/raft-engine.ts',
    from: 'this.afterWrite = ready.sendAfterWrite;',
    to: 'this.send(ready.sendAfterWrite, at);',
  },
  {
    wrong: "a turn of a session is appended by a leader that does not know its predecessors' entries",
    file: 'member/pane/notes.ts',
    from: 'if (!this.log.isCaughtUp) {',
    to: 'if (this.waiting.size < 0) {',
  },
  {
    wrong: 'a subscription leaves an entry out (etcd: gaps in watches)',
    file: 'node/log-desk.ts',
    from: '        next = reached + 1;\n',
    to: '        next = reached + (page !== undefined && page.entries.length > 3 ? 2 : 1);\n',
  },
  {
    wrong: 'a subscription gives an entry twice (etcd: duplicates in watches)',
    file: 'node/log-desk.ts',
    from: '        next = reached + 1;\n',
    to: '        next = page !== undefined && page.entries.length > 3 ? reached : reached + 1;\n',
  },
  {
    wrong: 'a subscription that was too slow is told to go on behind what it did not get',
    file: 'node/log-desk.ts',
    from: 'throw tooSlow(next);',
    to: 'throw tooSlow(reached + 1);',
  },
  {
    wrong: 'a session on a node without a log begins before what may be forgotten',
    file: 'node/log-desk.ts',
    from: 'pane === undefined ? await this.node.readIndex() : pane.state.appliedIndex',
    to: 'pane === undefined ? 0 : pane.state.appliedIndex',
  },
];

export const mutation: Mutation = {
  mutants,
  below: 'src',
  tests: ['test/member', 'test/conformance', 'test/raft', 'test/node'],
  fateIn: (folder) => fateByTests(folder, suites, runMsMax),
};

tryWhenRun(import.meta.url, mutation);
