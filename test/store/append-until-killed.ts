/** A process that writes to the log in its folder until somebody kills it, and says which indexes are durable. */
import { writeSync } from 'node:fs';
import { openWriteAheadLog } from '../../src/store/write-ahead-log.ts';
import { entriesFrom } from '../conformance/log-store.ts';

const log = openWriteAheadLog(process.argv[2] as string, { segmentBytesMax: 20_000 });
const { entries } = await log.load();
let next = entries.length + 1;
for (;;) {
  const count = 1 + (next % 5);
  await log.write({ hardState: { term: next, votedFor: 1 }, entries: entriesFrom(next, count, next) });
  next += count;
  writeSync(1, `${next - 1}\n`);
}
