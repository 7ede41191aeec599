/** A file system of its own for one node's data, so small that it can be filled. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../../../src/seam/file-system.ts';

/** In pieces that become smaller, so that nothing is left. */
const pieceBytes = [1_048_576, 65_536, 4_096, 512, 1];

export class SmallDisk {
  private readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** What `folder` holds moves there. Only root may do it; `unmount` has to be called. */
  static mount(folder: string, mebibytes: number): SmallDisk {
    const before = `${folder}.before`;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    execFileSync('cp', ['-a', folder, before]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'hivemind-test', folder]);
    execFileSync('cp', ['-a', `${before}/.`, folder]);
    rmSync(before, { recursive: true });
    return new SmallDisk(folder);
  }

  fill(): void {
    const ballast = openSync(this.ballast, 'a');
    try {
      for (const bytes of pieceBytes) fillBy(ballast, Buffer.alloc(bytes));
    } finally {
      closeSync(ballast);
    }
  }

  free(): void {
    rmSync(this.ballast, { force: true });
  }

  /** At once, whoever still has a file open there. */
  unmount(): void {
    execFileSync('umount', ['--lazy', this.folder]);
  }

  private get ballast(): string {
    return join(this.folder, 'ballast');
  }
}

function fillBy(file: number, piece: Buffer): void {
  try {
    for (;;) writeSync(file, piece);
  } catch (thrown) {
    if (systemCode(thrown) !== 'ENOSPC') throw thrown;
  }
}
