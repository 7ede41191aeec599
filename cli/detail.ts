/** Characters of one value; longer ones are cut, and --json has them whole. */
const valueCharactersMax = 120;

/** Named values in one line, like `name atlas, roles host dns, number 4`. */
export function detailText(detail: Readonly<Record<string, unknown>>): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name} ${valueText(value)}`)
    .join(', ');
}

function valueText(value: unknown): string {
  const text = plainText(value);
  return text.length > valueCharactersMax ? `${text.slice(0, valueCharactersMax - 1)}…` : text;
}

function plainText(value: unknown): string {
  if (typeof value !== 'object') return String(value);
  const isFlat = Array.isArray(value) && value.every((item) => typeof item !== 'object');
  return isFlat ? value.join(' ') || 'none' : JSON.stringify(value);
}
