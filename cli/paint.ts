/** What colour says beside the words: never anything that the words do not say, too. */
export type Tone = 'good' | 'doubtful' | 'bad' | 'heading';

export type Paint = (tone: Tone, text: string) => string;

const codes: Readonly<Record<Tone, string>> = { good: '32', doubtful: '33', bad: '31;1', heading: '2' };

export const plainPaint: Paint = (_tone, text) => text;
export const colourPaint: Paint = (tone, text) => `\u001b[${codes[tone]}m${text}\u001b[0m`;

/** Colour is for terminals that can show it and for people who do not refuse it (no-color.org). */
export function choosePaint(
  stream: { readonly isTTY?: boolean } = process.stdout,
  environment: NodeJS.ProcessEnv = process.env,
): Paint {
  const isWanted = stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return isWanted ? colourPaint : plainPaint;
}
