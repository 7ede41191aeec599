import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A file system of 256 KiB, unmounted after the test; nothing, and the test skipped, where none can be mounted. */
export async function tinyDisk(t: TestContext): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'hivemind-disk-'));
  await mkdir(join(folder, 'disk'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', join(folder, 'disk')], { stdio: 'ignore' });
  } catch {
    await rm(folder, { recursive: true });
    t.skip('mounting a small file system takes root');
    return undefined;
  }
  t.after(async () => {
    execFileSync('umount', [join(folder, 'disk')]);
    await rm(folder, { recursive: true });
  });
  return join(folder, 'disk');
}
