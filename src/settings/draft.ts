/** Writes a settings file for a new node: what `hivemind join` leaves behind for the next start. */
import { stringify } from 'yaml';
import { type Address, endpointText } from '../identity.ts';
import { type JoinSettings, settingsVersion } from './settings.ts';

export interface SettingsDraft {
  readonly name: string;
  readonly data: string;
  readonly bind: Address;
  /** Left out of the file when empty. */
  readonly advertise: readonly Address[];
  readonly join?: JoinSettings;
  /** Each role's section as it is to be written; nothing to set is `null`. */
  readonly roles: Readonly<Record<string, unknown>>;
}

/** A short commented file that `parseSettings` reads back to the same values. */
export function writeSettings(draft: SettingsDraft): string {
  const { name, data, bind, advertise, join, roles } = draft;
  return [
    section('The settings of one hivemind node.', { version: settingsVersion, name }),
    section('The folder for the key, the event log and the state.', { data }),
    section('Where this node listens, by UDP and TCP.', { bind: endpointText(bind) }),
    advertise.length > 0 && section('Where others reach it, best first.', { advertise: advertise.map(endpointText) }),
    join &&
      section('Whom it asks to be let in; the token is not needed any more once it is a member.', {
        join: { ...join, addresses: join.addresses.map(endpointText) },
      }),
    section('What it does in the cluster, and the settings of each role.', { roles }),
  ]
    .filter((part) => typeof part === 'string')
    .join('\n');
}

function section(comment: string, values: Readonly<Record<string, unknown>>): string {
  return `# ${comment}\n${stringify(values, { nullStr: '' })}`;
}
