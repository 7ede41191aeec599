/** Configurations on disk: a folder for each, and a symbolic link that names the one in use. */
import { mkdir, open, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Layout, mainFile } from './layout.ts';
import type { RenderedFile } from './render.ts';

/** The one in use, the one before it, and one more to compare with. */
export const generationsKept = 3;

export interface Generation {
  /** Counts up over restarts. */
  readonly number: number;
  readonly folder: string;
}

export function generationMainFile(generation: Generation): string {
  return join(generation.folder, mainFile);
}

/** Writes a new generation, safe on disk when it resolves. Nothing uses it yet. */
export async function writeGeneration(layout: Layout, files: readonly RenderedFile[]): Promise<Generation> {
  const numbers = await generationNumbers(layout);
  const generation = generationOf(layout, Math.max(0, ...numbers) + 1);
  await mkdir(join(generation.folder, 'hosts'), { recursive: true });
  for (const file of files) await writeDurably(join(generation.folder, file.path), file.text);
  await syncFolder(join(generation.folder, 'hosts'));
  await syncFolder(generation.folder);
  await syncFolder(layout.generations);
  return generation;
}

export async function activeGeneration(layout: Layout): Promise<Generation | undefined> {
  const target = await readlink(layout.current).catch(() => undefined);
  const number = target === undefined ? Number.NaN : Number(basename(target));
  return Number.isInteger(number) ? generationOf(layout, number) : undefined;
}

/** Points the link at a generation. A crash leaves the old link or the new one, never none. */
export async function activate(layout: Layout, generation: Generation): Promise<void> {
  const next = `${layout.current}.next`;
  await rm(next, { force: true });
  await symlink(join('generations', basename(generation.folder)), next);
  await rename(next, layout.current);
  await syncFolder(dirname(layout.current));
}

export async function discard(generation: Generation): Promise<void> {
  await rm(generation.folder, { recursive: true, force: true });
}

/** Removes all but the last few; never the one in use. */
export async function prune(layout: Layout): Promise<void> {
  const active = await activeGeneration(layout);
  const old = (await generationNumbers(layout)).sort((a, b) => b - a).slice(generationsKept);
  for (const number of old) if (number !== active?.number) await discard(generationOf(layout, number));
}

function generationOf(layout: Layout, number: number): Generation {
  return { number, folder: join(layout.generations, String(number).padStart(6, '0')) };
}

async function generationNumbers(layout: Layout): Promise<number[]> {
  return (await readdir(layout.generations)).map(Number).filter(Number.isInteger);
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
