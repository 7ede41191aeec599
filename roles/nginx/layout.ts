/** Where everything of one nginx lies: all of it in the role's own folder, whenever that is possible. */
import { chmod, lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { toHex, utf8 } from '../../src/bytes.ts';
import { sha256 } from '../../src/crypto.ts';
import { HivemindError } from '../../src/role/role.ts';

/** A longer path silently listens on, or connects to, a truncated other one. */
export const socketPathBytesMax = 107;

export interface Layout {
  /** nginx's prefix, by which a running one is recognised. */
  readonly folder: string;
  readonly generations: string;
  /** The symbolic link to the generation in use. */
  readonly current: string;
  /** The main file, reached through that link. */
  readonly configuration: string;
  readonly pidFile: string;
  readonly errorLog: string;
  /** Large request and answer bodies on their way. */
  readonly temp: string;
  /** Answers the hash of the configuration in use; only this machine reaches it. */
  readonly socket: string;
  /** A folder elsewhere that holds the socket or the temporary files, where the role's own cannot. */
  readonly outside: string | undefined;
}

export const mainFile = 'nginx.conf';

/** @throws HivemindError `role-failed` when a folder outside the role's own is needed and somebody else has it */
export async function prepareLayout(given: string): Promise<Layout> {
  const folder = await realpath(given);
  const near = join(folder, 'status.sock');
  const isSocketNear = Buffer.byteLength(near) <= socketPathBytesMax;
  const isTempNear = process.getuid?.() !== 0 || (await isReachableByAll(folder));
  const outside = isSocketNear && isTempNear ? undefined : await folderOutside(folder);
  const layout: Layout = {
    folder,
    generations: join(folder, 'generations'),
    current: join(folder, 'current'),
    configuration: join(folder, 'current', mainFile),
    pidFile: join(folder, 'nginx.pid'),
    errorLog: join(folder, 'error.log'),
    temp: join(isTempNear ? folder : (outside ?? folder), 'temp'),
    socket: isSocketNear ? near : join(outside ?? folder, 'status.sock'),
    outside,
  };
  await mkdir(layout.generations, { recursive: true });
  await mkdir(layout.temp, { recursive: true });
  return layout;
}

/** Under root nginx's workers are somebody else (`nobody`), who must get as far as the temporary files. */
async function isReachableByAll(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  return dirname(folder) === folder || isReachableByAll(dirname(folder));
}

async function folderOutside(folder: string): Promise<string> {
  const isRoot = process.getuid?.() === 0;
  const base = isRoot ? '/var/lib' : (process.env.XDG_RUNTIME_DIR ?? (await realpath(tmpdir())));
  const path = join(base, `hivemind-nginx-${toHex(sha256(utf8(folder))).slice(0, 16)}`);
  await mkdir(path, { recursive: true });
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new HivemindError('role-failed', `${path} belongs to somebody else; remove it, then the role starts.`);
  }
  await chmod(path, 0o711);
  return path;
}
