/**
 * nginx's own syntax as a tagged template. What stands in the template is ours; what is put into it may come from a
 * peer, and cannot end a word, a directive or a block.
 *
 * ```ts
 * nginx`server_name ${domain};`
 * ```
 *
 * The syntax is all that is guarded: that a word means what it should (a domain, not a regular expression) is checked
 * where the model is read.
 */

/** Well-formed configuration; only the template makes it. */
export class Fragment {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Thrown for a value that nginx has no way to quote. The render catches it and leaves its virtual host out. */
export class UnsafeValue extends Error {}

/** nginx refuses a longer word (`NGX_CONF_BUFFER` in ngx_conf_file.c). */
export const wordCharactersMax = 4095;

export type Value = string | number | Fragment | readonly Fragment[];

/** A list of fragments takes one line each, indented like the line it stands on. */
export function nginx(literals: TemplateStringsArray, ...values: readonly Value[]): Fragment {
  let text = literals[0] ?? '';
  values.forEach((value, position) => {
    const indent = /(?:^|\n)([ \t]*)$/.exec(text)?.[1] ?? '';
    text += emit(value).replaceAll('\n', `\n${indent}`) + (literals[position + 1] ?? '');
  });
  return new Fragment(text);
}

function emit(value: Value): string {
  if (value instanceof Fragment) return value.text;
  if (typeof value === 'string') return word(value);
  if (typeof value === 'number') return integer(value);
  return value.map((fragment) => fragment.text).join('\n');
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new UnsafeValue('A number must be a whole one, from 0.');
  return String(value);
}

const bare = /^[A-Za-z0-9_./:@*=[\]-]+$/;
const printable = /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]*$/u;

/** One word: bare where nothing in it is special, else in double quotes. */
function word(text: string): string {
  if (bare.test(text)) return text;
  if (text.length > wordCharactersMax) throw new UnsafeValue('A word is too long for nginx.');
  if (!printable.test(text)) throw new UnsafeValue('A word holds a control character.');
  if (text.includes('$')) throw new UnsafeValue('A word holds "$", which nginx would read as a variable.');
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
