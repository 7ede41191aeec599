/** Where unix sockets live: a folder of this user's own, with a short name. */
import { lstatSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { toHex, utf8 } from '../bytes.ts';
import { sha256 } from '../crypto.ts';
import { HivemindError } from '../error.ts';

/** sun_path less its final zero (unix(7)); a longer path would silently listen under a shorter name. */
export const socketPathBytesMax: number = process.platform === 'darwin' ? 103 : 107;

const hashedNameCharacters = 24;
/** Permission bits of group and others. */
const strangersMode = 0o077;
const remedy = 'set HIVEMIND_RUNTIME_DIR to a folder that only this user can enter';

/**
 * The folder, made with mode 0700 when it is missing: `HIVEMIND_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/hivemind`,
 * else `/run/hivemind` for root, else `/tmp/hivemind-<uid>`.
 *
 * @throws HivemindError `refused` when it belongs to another user, others may enter it, or it cannot be made
 */
export function runtimeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const folder = resolve(chooseFolder(environment));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new HivemindError('refused', `Cannot make the folder ${folder} for sockets; ${remedy}.`, thrown);
  }
  const { uid, mode, isFolder } = inspect(folder);
  if (!isFolder || uid !== ownUid() || (mode & strangersMode) !== 0) {
    throw new HivemindError('refused', `${folder} must be a folder of this user's alone (mode 0700); ${remedy}.`);
  }
  return folder;
}

/**
 * The path of a socket: `name` in `folder`, or, where that is too long for the operating system, a name made of
 * its hash in the runtime folder. The same arguments always give the same path.
 *
 * @throws HivemindError `refused` when the runtime folder's own name is too long, or as `runtimeFolder` does
 */
export function socketPath(folder: string, name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const plain = join(resolve(folder), name);
  if (utf8(plain).length <= socketPathBytesMax) return plain;
  const hashed = join(runtimeFolder(environment), toHex(sha256(utf8(plain))).slice(0, hashedNameCharacters));
  if (utf8(hashed).length <= socketPathBytesMax) return hashed;
  throw new HivemindError('refused', `${hashed} is too long for a socket; set HIVEMIND_RUNTIME_DIR to a shorter path.`);
}

function chooseFolder(environment: NodeJS.ProcessEnv): string {
  const { HIVEMIND_RUNTIME_DIR: own, XDG_RUNTIME_DIR: session } = environment;
  if (own) return own;
  if (session) return join(session, 'hivemind');
  return ownUid() === 0 ? '/run/hivemind' : `/tmp/hivemind-${ownUid()}`;
}

/** Without following a link: in /tmp it may be somebody else's. */
function inspect(folder: string): { readonly uid: number; readonly mode: number; readonly isFolder: boolean } {
  const status = lstatSync(folder);
  return { uid: status.uid, mode: status.mode, isFolder: status.isDirectory() };
}

function ownUid(): number {
  return process.getuid?.() ?? 0;
}
