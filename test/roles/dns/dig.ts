/** Asks with the real `dig`. */
import { execFile, spawnSync } from 'node:child_process';

export interface Dug {
  readonly status: string;
  readonly flags: readonly string[];
  /** `EDNS: version: 0, flags: do; udp: 1232`, or nothing. */
  readonly edns: string;
  /** `NAME CLASS TYPE`. */
  readonly question: string;
  /** `name ttl class type data`, sorted. */
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
  readonly text: string;
}

/** Why there can be no test with dig, or false. With HIVEMIND_REQUIRE_TOOLS=1 its absence fails the tests instead. */
export function digMissing(): string | false {
  if (spawnSync('dig', ['-v']).error === undefined) return false;
  return process.env.HIVEMIND_REQUIRE_TOOLS === '1' ? false : 'dig is not installed';
}

export async function dig(port: number, ...words: readonly string[]): Promise<Dug> {
  const fixed = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=2', '+nostats', '+nocmd'];
  const text = await new Promise<string>((resolve, reject) => {
    execFile('dig', [...fixed, ...words], (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? '',
    flags: (/^;; flags: ([a-z ]*)/m.exec(text)?.[1] ?? '').split(' '),
    edns: /^; (EDNS: .*)$/m.exec(text)?.[1] ?? '',
    question: /^;([^\s;]+\s+[A-Z]+\s+\S+)$/m.exec(text)?.[1]?.replace(/\s+/g, ' ') ?? '',
    answer: section(text, 'ANSWER'),
    authority: section(text, 'AUTHORITY'),
    additional: section(text, 'ADDITIONAL'),
    text,
  };
}

function section(text: string, name: string): readonly string[] {
  const body = new RegExp(`^;; ${name} SECTION:\\n((?:.+\\n)*)`, 'm').exec(text)?.[1] ?? '';
  const lines = body.split('\n').filter((line) => line !== '');
  return lines.map((line) => line.replace(/\s+/g, ' ')).sort();
}
