/** The files of this machine. */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { FileSystem, OpenFile } from '../seam/file-system.ts';
import { makeFolder, syncFolder } from './folder.ts';
import { lockFolder } from './folder-lock.ts';

export const localFileSystem: FileSystem = {
  makeFolder,
  list: (folder) => readdirSync(folder).sort(),
  read: (path, bytesMax) => (bytesMax === undefined ? readFileSync(path) : readStart(path, bytesMax)),
  create: (path) => new LocalFile(openSync(path, 'w', 0o600)),
  open: (path) => new LocalFile(openSync(path, 'r+')),
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  syncFolder,
  lock: lockFolder,
};

function readStart(path: string, bytesMax: number): Uint8Array {
  const descriptor = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(bytesMax);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytesMax, 0));
  } finally {
    closeSync(descriptor);
  }
}

class LocalFile implements OpenFile {
  private readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  write(bytes: Uint8Array, offset: number): void {
    let written = 0;
    while (written < bytes.length) {
      written += writeSync(this.descriptor, bytes, written, bytes.length - written, offset + written);
    }
  }

  syncData(): void {
    fdatasyncSync(this.descriptor);
  }

  sync(): void {
    fsyncSync(this.descriptor);
  }

  truncate(lengthBytes: number): void {
    ftruncateSync(this.descriptor, lengthBytes);
  }

  close(): void {
    closeSync(this.descriptor);
  }
}
