/**
 * Plays the stories in scenarios/*.txt and holds them against what they say. A line that begins with `> ` is a
 * command, what follows is what happened; `#` comments. `UPDATE_GOLDEN=1` writes down what happens now.
 *
 * | command | meaning |
 * |---|---|
 * | `stored 2 term 3 log 1 1 3` | before `voters`: what voter 2 has on disk; the log as the terms of its entries |
 * | `limit 1` | before `voters`: entries in one message |
 * | `voters 3` | starts voters 1, 2 and 3 |
 * | `timeout 1` | time goes on to when voter 1 wants to be called, and it is: an election, or a heartbeat |
 * | `wait 1000` | milliseconds go by |
 * | `propose 1 apple pear` | two entries, asked of voter 1 |
 * | `deliver` | all messages arrive, and all answers, until there are none; `deliver 1 2`: those from 1 to 2 now |
 * | `settle` | the same as `deliver`, told without the messages |
 * | `lose 1 2` | those on their way from 1 to 2 are lost |
 * | `isolate 3`, `heal` | what voter 3 sends and is sent is lost, until `heal` |
 * | `hold 2`, `finish 2` | writes of voter 2 hang from now on; the one in flight is durable |
 * | `crash 2`, `start 2` | what was not durable is lost |
 * | `show` | every voter |
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { NodeNumber } from '../../src/identity.ts';
import type { AddressedRaftMessage, RaftMessage } from '../../src/raft/message.ts';
import { raftSettingsDefault } from '../../src/raft/raft.ts';
import type { LogEntry } from '../../src/seam/log-store.ts';
import { seededRandom } from '../../src/seam/random.ts';
import { TestVoter, type VoterOptions } from './voter.ts';

interface Letter extends AddressedRaftMessage {
  readonly from: NodeNumber;
}

class Scenario {
  private readonly stored = new Map<NodeNumber, Pick<VoterOptions, 'hardState' | 'entries'>>();
  private readonly random = seededRandom(1);
  private settings = raftSettingsDefault;
  private voters: TestVoter[] = [];
  private letters: Letter[] = [];
  private readonly isolated = new Set<NodeNumber>();
  private readonly heldDisks = new Set<NodeNumber>();
  private now = 0;
  private lines: string[] = [];

  private readonly commands: Readonly<Record<string, (words: readonly string[]) => void>> = {
    stored: (words) => this.onStored(words),
    limit: ([entries]) => {
      this.settings = { ...this.settings, messageEntriesMax: Number(entries) };
    },
    voters: ([count]) => this.onVoters(Number(count)),
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
    isolate: ([number]) => this.isolated.add(Number(number)),
    heal: () => this.isolated.clear(),
    hold: ([number]) => this.heldDisks.add(Number(number)),
    finish: ([number]) => this.drive(this.voter(number), (voter) => this.finish(voter)),
    crash: ([number]) => this.voter(number).crash(),
    start: ([number]) => this.voter(number).start(this.now),
    show: () => {
      for (const voter of this.voters) this.say(stateText(voter));
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

  private onVoters(count: number): void {
    const voters = Array.from({ length: count }, (_, position) => position + 1);
    const common = { voters, settings: this.settings, random: this.random };
    this.voters = voters.map((self) => new TestVoter({ self, ...common, ...this.stored.get(self) }, this.now));
  }

  private onTimeout(voter: TestVoter): void {
    this.now = Math.max(this.now, voter.raft.nextTickAt());
    this.drive(voter, () => voter.raft.tick(this.now));
  }

  private onPropose(voter: TestVoter, texts: readonly string[]): void {
    this.drive(voter, () => {
      const payloads = texts.map((text) => Buffer.from(text));
      const proposed = voter.raft.propose(payloads, this.now);
      if (proposed.kind === 'accepted') this.say(`accepted ${proposed.firstIndex} to ${proposed.lastIndex}`);
      else this.say(proposed.kind === 'busy' ? 'busy' : `not the leader, which is ${proposed.leader ?? 'unknown'}`);
    });
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
    const isLost = !voter.isUp || this.isolated.has(letter.from) || this.isolated.has(letter.to);
    this.say(isLost ? `lost: ${letterText(letter)}` : letterText(letter));
    if (!isLost) this.drive(voter, () => voter.raft.receive(letter.from, letter.message, this.now));
  }

  private drive(voter: TestVoter, act: (voter: TestVoter) => void): void {
    const before = { state: standingText(voter), applied: voter.applied.length, writing: voter.writing };
    act(voter);
    this.post(voter, voter.takeReadys());
    while (voter.writing !== undefined && !this.heldDisks.has(voter.self)) this.finish(voter);
    if (standingText(voter) !== before.state) this.say(`${voter.self} is ${standingText(voter)}`);
    if (voter.writing !== undefined && voter.writing !== before.writing) this.say(writeText(voter));
    const applied = voter.applied.slice(before.applied);
    if (applied.length > 0) this.say(`${voter.self} applies ${entriesText(applied)}`);
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

function letterText({ from, to, message }: Letter): string {
  return `${from} → ${to} ${message.kind}, term ${message.term}${detailText(message)}`;
}

function detailText(message: RaftMessage): string {
  switch (message.kind) {
    case 'pre-vote-request':
    case 'vote-request':
      return `, log ends ${message.lastIndex}/${message.lastTerm}`;
    case 'pre-vote-answer':
    case 'vote-answer':
      return message.granted ? ': yes' : ': no';
    case 'append-request': {
      const what = message.entries.length === 0 ? 'nothing' : entriesText(message.entries);
      return `, after ${message.previousIndex}/${message.previousTerm}: ${what}; commit ${message.commitIndex}`;
    }
    case 'append-answer':
      return message.accepted ? `: have ${message.matchIndex}` : `: no, try ${message.matchIndex}`;
  }
}

function entriesText(entries: readonly LogEntry[]): string {
  return entries.map(({ index, term, payload }) => `${index}/${term} ${Buffer.from(payload)}`.trim()).join(', ');
}

function standingText({ raft }: TestVoter): string {
  const following = raft.role === 'follower' && raft.leader !== undefined ? ` of ${raft.leader}` : '';
  return `${raft.role}${following}, term ${raft.term}`;
}

function stateText(voter: TestVoter): string {
  if (!voter.isUp) return `${voter.self} is down`;
  const terms = voter.raft.entriesFrom(1, Number.MAX_SAFE_INTEGER).map(({ term }) => term);
  return `${voter.self} is ${standingText(voter)}, log ${terms.join(' ') || 'empty'}, commit ${voter.raft.commitIndex}`;
}

function writeText({ self, writing }: TestVoter): string {
  const { hardState, entries } = writing?.write ?? { entries: [] };
  const vote =
    hardState === undefined ? [] : [`term ${hardState.term} with vote for ${hardState.votedFor || 'nobody'}`];
  const what = entries.length === 0 ? vote : [...vote, entriesText(entries)];
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
