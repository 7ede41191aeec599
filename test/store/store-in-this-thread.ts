/** The log without its threads, which take most of the time to start. */
import type { LogStore } from '../../src/seam/log-store.ts';
import { saveLogSnapshot } from '../../src/store/log-snapshot.ts';
import { removeFiles, WalWriter, type WalWriterOptions } from '../../src/store/wal-writer.ts';

export function storeInThisThread(options: WalWriterOptions): LogStore {
  const { files, folder } = options;
  const writer = new WalWriter(options);
  return {
    load: async () => writer.load(),
    write: async (write) => writer.write(write),
    compact: async (snapshot, keepFrom) => {
      saveLogSnapshot(files, folder, snapshot);
      removeFiles(files, folder, writer.forgetBelow(keepFrom));
    },
    healed: async () => writer.healed(),
    close: async () => writer.close(),
  };
}
