/** How far a long piece of work is, on stderr, for people who wait at a terminal. */
const width = 24;
/** What is over sooner needs no bar; and it is drawn no more often. */
const firstAfterMs = 1_000;
const redrawAfterMs = 200;
const clearLine = '\r\u001b[K';

export interface ProgressBar {
  /** The share of the present part that is done, 0 … 1. */
  show(done: number, what: string): void;
  /** The present part is done. */
  next(): void;
  clear(): void;
}

/** @param parts pieces of work of about the same length */
export function progressBar(parts: number, stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  const isWanted = stream.isTTY === true;
  let finished = 0;
  let isShown = false;
  let nextAt = performance.now() + firstAfterMs;
  return {
    show(done, what) {
      if (!isWanted || performance.now() < nextAt) return;
      nextAt = performance.now() + redrawAfterMs;
      isShown = true;
      stream.write(clearLine + bar((finished + done) / parts, what));
    },
    next() {
      finished++;
    },
    clear() {
      if (isShown) stream.write(clearLine);
    },
  };
}

export function bar(share: number, what: string): string {
  const filled = Math.round(Math.min(1, share) * width);
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${Math.floor(share * 100)} %  ${what}`;
}
