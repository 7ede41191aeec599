import { readFileSync } from 'node:fs';

/** From `cli/` and from `dist/cli/`. */
const places = ['../package.json', '../../package.json'] as const;

let found: string | undefined;

/** The version of this package, like `0.1.0`; read once. */
export function packageVersion(): string {
  found ??= places.map(versionAt).find((version) => version !== undefined) ?? 'unknown';
  return found;
}

function versionAt(place: string): string | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
    const { name, version } = manifest as { readonly name?: string; readonly version?: string };
    return name === 'hivemind' ? version : undefined;
  } catch {
    return undefined;
  }
}
