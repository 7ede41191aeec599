/**
 * The few synchronous calls on files that the event log needs. What fails throws an error that carries the
 * operating system's `code` (ENOSPC, EIO …) and `syscall`, as those of node:fs do.
 *
 * Nothing is durable before it is synced: a crash keeps any part of what was written to a file since its last
 * `sync` or `syncData`, and any of the creations, renames and removals since the last `syncFolder`.
 */
export interface FileSystem {
  /** Makes a folder and those above it, durably; one that is there stays. */
  makeFolder(path: string): void;
  /** The names in a folder, files and folders, by ascending code units. */
  list(folder: string): readonly string[];
  /** A whole file, or its first `bytesMax` bytes. */
  read(path: string, bytesMax?: number): Uint8Array;
  /** A new empty file that only its owner may read, in place of an old one. */
  create(path: string): OpenFile;
  /** A file that is there, to be read by nobody and written at any place. */
  open(path: string): OpenFile;
  /** Replaces a file that is in the way. */
  rename(from: string, to: string): void;
  /** Removes a file; one that is not there is no error. */
  remove(path: string): void;
  /** Makes durable which names a folder has. */
  syncFolder(path: string): void;
  /**
   * Keeps every other process out of a folder that is there, until `release` or the end of this process.
   *
   * @throws HivemindError `refused` while somebody holds it
   */
  lock(folder: string): FolderLock;
}

export interface OpenFile {
  /** Writes all of `bytes`; when it throws, any part of them may be there. */
  write(bytes: Uint8Array, offset: number): void;
  /** Makes bytes and length durable (fdatasync). After an error nobody knows what is: never try again. */
  syncData(): void;
  /** The same with all metadata (fsync). */
  sync(): void;
  truncate(lengthBytes: number): void;
  close(): void;
}

export interface FolderLock {
  release(): void;
}

/** The errno name of an error of the operating system; nothing for any other value. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('syscall' in thrown) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
