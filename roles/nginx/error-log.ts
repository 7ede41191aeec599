/** nginx's error.log: the one place where it says what went wrong after a reload. */
import { copyFile, open, stat, truncate } from 'node:fs/promises';
import type { Layout } from './layout.ts';

/** No more than this of the log's end is read. */
export const logTailBytesMax = 65_536;
/** A longer log is moved to `error.log.1`, of which there is only one. */
export const logBytesMax = 8_388_608;

export async function logLength(layout: Layout): Promise<number> {
  return (await stat(layout.errorLog).catch(() => undefined))?.size ?? 0;
}

export async function logSince(layout: Layout, from: number): Promise<string> {
  const file = await open(layout.errorLog, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const start = Math.max(from, size - logTailBytesMax);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, size - start)), { position: start });
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

export function emergencies(log: string): readonly string[] {
  return log.split('\n').filter((line) => line.includes('[emerg]'));
}

/**
 * Copied and emptied in place: nginx appends, so it goes on at the new end. (Asking it to open a new file would need
 * workers who may enter the folder.)
 */
export async function trimLog(layout: Layout): Promise<void> {
  if ((await logLength(layout)) <= logBytesMax) return;
  await copyFile(layout.errorLog, `${layout.errorLog}.1`);
  await truncate(layout.errorLog);
}
