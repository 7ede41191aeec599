/**
 * Plays the stories in scenarios/*.txt and holds them against what they say. A line that begins with `> ` is a
 * command, what follows is what happened; `#` comments. `UPDATE_GOLDEN=1` writes down what happens now.
 *
 * | command | meaning |
 * |---|---|
 * | `stored 2 term 3 log 1 1 3` | before `voters`: what voter 2 has on disk; the log as the terms of its entries |
 * | `limit 1` | before `voters`: entries in one message |
 * | `chunk 10` | before `voters`: bytes of a snapshot in one message |
 * | `voters 3` | starts voters 1, 2 and 3; `voters 3 of 5`: numbers 4 and 5 as well, who take no part yet |
 * | `timeout 1` | time goes on to when voter 1 wants to be called, and it is: an election, or a heartbeat |
 * | `wait 1000` | milliseconds go by |
 * | `propose 1 apple pear` | two entries, asked of voter 1 |
 * | `deliver` | all messages arrive, and all answers, until there are none; `deliver 1 2`: those from 1 to 2 now |
 * | `settle` | the same as `deliver`, told without the messages |
 * | `lose 1 2` | those on their way from 1 to 2 are lost |
 * | `delay 1 2`, `arrive` | those on their way from 1 to 2 are late: they arrive on `arrive` |
 * | `isolate 3`, `heal` | what voter 3 sends and is sent is lost, until `heal` |
 * | `cut 1 3` | what voters 1 and 3 send each other is lost, until `heal` |
 * | `hold 2`, `finish 2` | writes of voter 2 hang from now on; the one in flight is durable |
 * | `crash 2`, `start 2` | what was not durable is lost |
 * | `damage 2 5` | while voter 2 is down: its disk loses all entries beyond 5, and it knows |
 * | `compact 1 3` | voter 1 makes a snapshot of what it applied; of the entries in it the last 3 stay |
 * | `read 1` | a read, asked of voter 1 |
 * | `change 1 voters 1 2 3 learners 4` | who shall take part, asked of voter 1 |
 * | `transfer 1 2`, `hand-over 1` | voter 1 hands the lead to voter 2, or to whom it likes |
 * | `show` | every voter |
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { unreachable } from '../../src/assert.ts';
import type { NodeNumber } from '../../src/identity.ts';
import { decodeConfiguration, type RaftConfiguration } from '../../src/raft/configuration.ts';
import type { Proposed, ReadBegun, Refused, TransferBegun } from '../../src/raft/contract.ts';
import type { AddressedRaftMessage, RaftMessage } from '../../src/raft/message.ts';
import { type Raft, type RaftReady, raftSettingsDefault } from '../../src/raft/raft.ts';
import type { LogEntry } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { TestVoter, type VoterOptions, votersOnly } from './voter.ts';

interface Letter extends AddressedRaftMessage {
  readonly from: NodeNumber;
}

class Scenario {
  private readonly stored = new Map<NodeNumber, Pick<VoterOptions, 'hardState' | 'entries'>>();
  private readonly random = seededRandom(1);
  private settings = raftSettingsDefault;
  private voters: TestVoter[] = [];
  private letters: Letter[] = [];
  private readonly late: Letter[] = [];
  private genesis = '';
  private readonly isolated = new Set<NodeNumber>();
  /** Pairs that do not hear each other, the lower number first. */
  private readonly cuts = new Set<string>();
  private readonly heldDisks = new Set<NodeNumber>();
  private now = 0;
  private lines: string[] = [];

  private readonly commands: Readonly<Record<string, (words: readonly string[]) => void>> = {
    stored: (words) => this.onStored(words),
    limit: ([entries]) => {
      this.settings = { ...this.settings, messageEntriesMax: Number(entries) };
    },
    chunk: ([bytes]) => {
      this.settings = { ...this.settings, snapshotChunkBytes: Number(bytes) };
    },
    voters: ([count, , all = count]) => this.onVoters(Number(count), Number(all)),
    timeout: ([number]) => this.onTimeout(this.voter(number)),
    wait: ([milliseconds]) => {
      this.now += Number(milliseconds);
    },
    propose: ([number, ...payloads]) => this.onPropose(this.voter(number), payloads),
    deliver: (words) => (words.length === 0 ? this.deliverAll() : this.onArrival(words, (letter) => this.open(letter))),
    settle: () => {
      this.deliverAll();
      this.lines = this.lines.filter((line) => !line.includes('→'));
    },
    lose: (words) => this.onArrival(words, (letter) => this.say(`lost: ${letterText(letter)}`)),
    delay: (words) => this.onArrival(words, (letter) => this.late.push(letter)),
    arrive: () => {
      for (const letter of this.late.splice(0)) this.open(letter);
    },
    isolate: ([number]) => this.isolated.add(Number(number)),
    cut: ([one, other]) => this.cuts.add(pairText(Number(one), Number(other))),
    heal: () => {
      this.isolated.clear();
      this.cuts.clear();
    },
    hold: ([number]) => this.heldDisks.add(Number(number)),
    finish: ([number]) => this.drive(this.voter(number), (voter) => this.finish(voter)),
    crash: ([number]) => this.voter(number).crash(),
    start: ([number]) => this.voter(number).start(this.now),
    damage: ([number, last]) => this.voter(number).disk.loseBeyond(Number(last)),
    compact: ([number, kept]) => this.voter(number).compact(Number(kept)),
    read: ([number]) => this.onRead(this.voter(number)),
    change: ([number, ...words]) => this.onChange(this.voter(number), words),
    transfer: ([from, to]) => this.onTransfer(this.voter(from), (raft) => raft.transfer(Number(to), this.now)),
    'hand-over': ([from]) => this.onTransfer(this.voter(from), (raft) => raft.handOver(this.now)),
    show: () => {
      for (const voter of this.voters) this.say(stateText(voter, this.genesis));
    },
  };

  /** What happens on one command, line by line. */
  play(command: string): readonly string[] {
    const [name = '', ...words] = command.split(/\s+/);
    const run = this.commands[name];
    if (run === undefined) throw new Error(`"${name}" is not a command`);
    this.lines = [];
    run(words);
    return this.lines;
  }

  private onStored([number, , term, , ...terms]: readonly string[]): void {
    const entries = terms.map(
      (each, position): LogEntry => ({
        index: position + 1,
        term: Number(each),
        kind: 'command',
        payload: Buffer.from('old'),
      }),
    );
    this.stored.set(Number(number), { hardState: { term: Number(term), votedFor: 0 }, entries });
  }

  private onVoters(count: number, all: number): void {
    const numbers = Array.from({ length: all }, (_, position) => position + 1);
    const configuration = votersOnly(...numbers.slice(0, count));
    this.genesis = configurationText(configuration);
    const common = { configuration, settings: this.settings, random: this.random };
    this.voters = numbers.map((self) => new TestVoter({ self, ...common, ...this.stored.get(self) }, this.now));
    for (const voter of this.voters) voter.onReady = (ready) => this.tell(voter, ready);
  }

  private onTimeout(voter: TestVoter): void {
    this.now = Math.max(this.now, voter.raft.nextTickAt());
    this.drive(voter, () => voter.raft.tick(this.now));
  }

  private onPropose(voter: TestVoter, texts: readonly string[]): void {
    this.drive(voter, () => {
      const payloads = texts.map((text) => Buffer.from(text));
      this.sayOutcome(voter.raft.propose(payloads, this.now));
    });
  }

  private onRead(voter: TestVoter): void {
    this.drive(voter, () => this.sayOutcome(voter.raft.read(this.now)));
  }

  private onChange(voter: TestVoter, words: readonly string[]): void {
    const split = words.includes('learners') ? words.indexOf('learners') : words.length;
    const [voters, learners] = [words.slice(1, split).map(Number), words.slice(split + 1).map(Number)];
    this.drive(voter, () => this.sayOutcome(voter.raft.changeConfiguration({ voters, learners }, this.now)));
  }

  private onTransfer(voter: TestVoter, act: (raft: Raft) => TransferBegun): void {
    this.drive(voter, () => this.sayOutcome(act(voter.raft)));
  }

  private sayOutcome(outcome: Proposed | ReadBegun | Refused | TransferBegun): void {
    this.say(outcomeText(outcome));
  }

  /** What came out beside messages and writes. */
  private tell({ self }: TestVoter, { restore, committed, reads, readsFailed, recovered }: RaftReady): void {
    if (restore !== undefined) this.say(`${self} goes on from the snapshot at ${restore.index}/${restore.term}`);
    if (committed.length > 0) this.sayApplied(self, entriesText(committed));
    for (const { id, index } of reads) this.say(`${self} answers read ${id} with all up to ${index}`);
    for (const id of readsFailed) this.say(`${self} fails read ${id}`);
    if (recovered) this.say(`${self} has recovered`);
  }

  private onArrival([from, to]: readonly string[], act: (letter: Letter) => void): void {
    const arriving = this.letters.filter((letter) => letter.from === Number(from) && letter.to === Number(to));
    this.letters = this.letters.filter((letter) => !arriving.includes(letter));
    for (const letter of arriving) act(letter);
  }

  private deliverAll(): void {
    for (let letter = this.letters.shift(); letter !== undefined; letter = this.letters.shift()) this.open(letter);
  }

  private open(letter: Letter): void {
    const voter = this.voter(`${letter.to}`);
    const isLost = !voter.isUp || this.isCutOff(letter);
    this.say(isLost ? `lost: ${letterText(letter)}` : letterText(letter));
    if (!isLost) this.drive(voter, () => voter.raft.receive(letter.from, letter.message, this.now));
  }

  private isCutOff({ from, to }: Letter): boolean {
    return this.isolated.has(from) || this.isolated.has(to) || this.cuts.has(pairText(from, to));
  }

  private sayApplied(self: NodeNumber, entries: string): void {
    const last = this.lines.at(-1);
    if (last?.startsWith(`  ${self} applies `)) this.lines.splice(-1, 1, `${last}, ${entries}`);
    else this.say(`${self} applies ${entries}`);
  }

  private drive(voter: TestVoter, act: (voter: TestVoter) => void): void {
    const before = { state: standingText(voter), writing: voter.writing, said: this.lines.length };
    act(voter);
    this.post(voter, voter.takeReadys());
    while (voter.writing !== undefined && !this.heldDisks.has(voter.self)) this.finish(voter);
    const said = this.lines.splice(before.said);
    const outcome = said.filter((line) => !line.startsWith(`  ${voter.self} `));
    this.lines.push(...outcome);
    if (standingText(voter) !== before.state) this.say(`${voter.self} is ${standingText(voter)}`);
    if (voter.writing !== undefined && voter.writing !== before.writing) this.say(writeText(voter));
    this.lines.push(...said.filter((line) => !outcome.includes(line)));
  }

  private finish(voter: TestVoter): void {
    this.post(voter, voter.finishWrite(this.now));
    this.post(voter, voter.takeReadys());
  }

  private post(voter: TestVoter, messages: readonly AddressedRaftMessage[]): void {
    this.letters.push(...messages.map((addressed) => ({ from: voter.self, ...addressed })));
  }

  private say(line: string): void {
    this.lines.push(`  ${line}`);
  }

  private voter(number: string | undefined): TestVoter {
    const voter = this.voters[Number(number) - 1];
    if (voter === undefined) throw new Error(`there is no voter ${number}`);
    return voter;
  }
}

function outcomeText(outcome: Proposed | ReadBegun | Refused | TransferBegun): string {
  switch (outcome.kind) {
    case 'accepted':
      return `accepted ${outcome.firstIndex} to ${outcome.lastIndex}`;
    case 'pending':
      return `read ${outcome.id} is pending`;
    case 'begun':
      return `hands over to ${outcome.to}`;
    case 'refused':
      return `refused: ${outcome.reason}`;
    case 'busy':
      return 'busy';
    case 'not-leader':
      return `not the leader, which is ${outcome.leader ?? 'unknown'}`;
    default:
      return unreachable(outcome);
  }
}

function pairText(one: NodeNumber, other: NodeNumber): string {
  return `${Math.min(one, other)} ${Math.max(one, other)}`;
}

function letterText({ from, to, message }: Letter): string {
  return `${from} → ${to} ${message.kind}, term ${message.term}${detailText(message)}`;
}

function detailText(message: RaftMessage): string {
  switch (message.kind) {
    case 'pre-vote-request':
    case 'vote-request':
      if (message.kind === 'vote-request' && message.isTransfer) return ' for the leader';
      return `, log ends ${message.lastIndex}/${message.lastTerm}`;
    case 'pre-vote-answer':
    case 'vote-answer':
      return message.granted ? ': yes' : ': no';
    case 'append-request': {
      const what = message.entries.length === 0 ? 'nothing' : entriesText(message.entries);
      const seen = message.lossSeen === 0 ? '' : '; your loss is known';
      return `, after ${message.previousIndex}/${message.previousTerm}: ${what}; commit ${message.commitIndex}${seen}`;
    }
    case 'append-answer': {
      const lost = message.lostLog === 0 ? '' : ', lost entries';
      return `${message.accepted ? `: have ${message.matchIndex}` : `: no, try ${message.matchIndex}`}${lost}`;
    }
    case 'snapshot-chunk': {
      const { index, lastTerm, offset, totalBytes, bytes } = message;
      return `, snapshot at ${index}/${lastTerm}: bytes ${offset} to ${offset + bytes.length} of ${totalBytes}`;
    }
    case 'snapshot-answer':
      return message.done ? `: have all up to ${message.index}` : `: have ${message.offset} bytes`;
    case 'time-out-now':
      return '';
  }
}

function entriesText(entries: readonly LogEntry[]): string {
  return entries.map((entry) => `${entry.index}/${entry.term} ${payloadText(entry)}`.trim()).join(', ');
}

function payloadText({ kind, payload }: LogEntry): string {
  const configuration = kind === 'configuration' ? decodeConfiguration(payload) : undefined;
  return configuration === undefined ? `${Buffer.from(payload)}` : `[${configurationText(configuration)}]`;
}

function configurationText({ voters, learners, outgoing }: RaftConfiguration): string {
  const joint = outgoing.length === 0 ? '' : ` and ${outgoing.join(' ')}`;
  const learning = learners.length === 0 ? '' : `, learners ${learners.join(' ')}`;
  return `voters ${voters.join(' ')}${joint}${learning}`;
}

function standingText({ raft }: TestVoter): string {
  const following = raft.role === 'follower' && raft.leader !== undefined ? ` of ${raft.leader}` : '';
  return `${raft.role}${following}, term ${raft.term}${raft.isQuarantined ? ', in quarantine' : ''}`;
}

function stateText(voter: TestVoter, genesis: string): string {
  if (!voter.isUp) return `${voter.self} is down`;
  const { firstIndex, commitIndex } = voter.raft;
  const terms = voter.raft.entriesFrom(firstIndex, Number.MAX_SAFE_INTEGER).map(({ term }) => term);
  const log = `${firstIndex === 1 ? '' : `from ${firstIndex}: `}${terms.join(' ') || 'empty'}`;
  const configuration = configurationText(voter.raft.configuration);
  const changed = configuration === genesis ? '' : `, ${configuration}`;
  return `${voter.self} is ${standingText(voter)}, log ${log}, commit ${commitIndex}${changed}`;
}

function writeText({ self, writing }: TestVoter): string {
  const { hardState, snapshot, entries } = writing?.write ?? { entries: [] };
  const vote =
    hardState === undefined ? [] : [`term ${hardState.term} with vote for ${hardState.votedFor || 'nobody'}`];
  const all = snapshot === undefined ? vote : [...vote, `the snapshot at ${snapshot.index}/${snapshot.term}`];
  const what = entries.length === 0 ? all : [...all, entriesText(entries)];
  return `${self} begins to write ${what.join(' and ')}`;
}

/** The story as it goes now: comments and commands as they are, what happened anew. */
function retell(story: string): string {
  const scenario = new Scenario();
  const told = story.split('\n').filter((line) => !line.startsWith('  '));
  return told.flatMap((line) => (line.startsWith('> ') ? [line, ...scenario.play(line.slice(2))] : [line])).join('\n');
}

const folder = new URL('./scenarios/', import.meta.url);
for (const file of readdirSync(folder).sort()) {
  test(`scenario: ${file.replace('.txt', '').replaceAll('-', ' ')}`, () => {
    const url = new URL(file, folder);
    const story = readFileSync(url, 'utf8');
    const retold = retell(story);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(url, retold);
    else assert.equal(retold, story);
  });
}
