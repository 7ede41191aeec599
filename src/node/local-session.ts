/** A client's session as programs on this machine hold it: one text, to be sent as it is. */
import { fromHex, toHex, u48Max } from '../bytes.ts';
import { sessionIdBytes, type Turn } from '../control/client-sessions.ts';
import { HivemindError } from '../error.ts';

export type LocalSessionId = Pick<Turn, 'session' | 'since'>;

const form = /^([0-9a-f]{16})@(\d{1,15})$/;
export const localSessionCharactersMax = 32;

export function localSessionText({ session, since }: LocalSessionId): string {
  return `${toHex(session)}@${since}`;
}

/** @throws HivemindError `usage` */
export function parseLocalSession(text: string): LocalSessionId {
  const [, id = '', since = ''] = form.exec(text) ?? [];
  const session = fromHex(id);
  if (session?.length === sessionIdBytes && Number(since) <= u48Max) return { session, since: Number(since) };
  throw new HivemindError('usage', 'The session is not one that `open-session` gave; open one and send it as it is.');
}
