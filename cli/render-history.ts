/** Lists in time: every line stands for itself, so that `--follow` and a list look the same. */
import type { LocalEvent, LocalEvents, LocalLog, LocalLogEntry } from '../src/node/local-api.ts';
import { eventSentence } from './event-sentence.ts';
import { logSentence } from './log-sentence.ts';
import type { Paint, Tone } from './paint.ts';
import { nothing } from './table.ts';

const indexCharacters = 7;
/** As `2026-10-01T10:00:00.000Z`. */
const timeCharacters = 24;
const kindCharacters = 19;
const eventKindCharacters = 17;
const nodeCharacters = 12;

export function renderLog(log: LocalLog, paint: Paint): string {
  if (log.entries.length === 0) return `No entries; the log ends at index ${log.commitIndex}.`;
  return log.entries.map((entry) => renderLogEntry(entry, paint)).join('\n');
}

export function renderLogEntry(entry: LocalLogEntry, paint: Paint): string {
  const { index, at = nothing, kind } = entry;
  const head = `${String(index).padStart(indexCharacters)}  ${paint('heading', at.padEnd(timeCharacters))}`;
  return `${head}  ${kind.padEnd(kindCharacters)}  ${logSentence(entry)}`;
}

const eventTones: Readonly<Record<string, Tone>> = {
  joined: 'good',
  back: 'good',
  refuted: 'good',
  suspected: 'doubtful',
  'accused-me': 'doubtful',
  down: 'bad',
  brake: 'doubtful',
  'log-disk': 'doubtful',
  'memory-disk': 'doubtful',
  'datagrams-blocked': 'bad',
  'datagrams-open': 'good',
};

export function renderEvents(answer: LocalEvents, paint: Paint): string {
  if (answer.events.length === 0) return 'No events yet.';
  return answer.events.map((event) => renderEvent(event, paint)).join('\n');
}

export function renderEvent(event: LocalEvent, paint: Paint): string {
  const { at, kind, node = nothing } = event;
  const word = kind.padEnd(eventKindCharacters);
  const tone = Object.hasOwn(eventTones, kind) ? eventTones[kind] : undefined;
  const head = `${paint('heading', at.padEnd(timeCharacters))}  ${tone === undefined ? word : paint(tone, word)}`;
  return `${head}  ${node.padEnd(nodeCharacters)}  ${eventSentence(event)}`.trimEnd();
}
