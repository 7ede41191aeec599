/** A zone as data: its names with their records, and the look-up of a name in a set of zones. */
import { isWithin, type Name, nameKey, parentKey } from './name.ts';
import { type RecordData, recordTypes, type StartOfAuthorityData } from './record.ts';

/** A name's records by type number. It may be empty: the name exists, and there is nothing to say about it. */
export type RecordSets = ReadonlyMap<number, readonly RecordData[]>;

export interface Zone {
  readonly apex: Name;
  readonly authority: StartOfAuthorityData;
  readonly ttlSeconds: number;
  /** By name key. A name that is not here does not exist, and neither does anything below it. */
  readonly names: ReadonlyMap<string, RecordSets>;
}

/** By the key of the apex; no zone lies within another. */
export type Zones = ReadonlyMap<string, Zone>;

/** The zone that `name` lies in. */
export function zoneOf(zones: Zones, name: Name): Zone | undefined {
  let key = nameKey(name);
  while (key !== '' && !zones.has(key)) key = parentKey(key);
  return zones.get(key);
}

export function recordSetsOf(zone: Zone, name: Name): RecordSets | undefined {
  return zone.names.get(nameKey(name));
}

export class ZoneBuilder {
  readonly apex: Name;
  private readonly apexKey: string;
  /** By name key, type number and the record's own text, so that no set holds a duplicate (RFC 2181 §5). */
  private readonly names = new Map<string, Map<number, Map<string, RecordData>>>();

  constructor(apex: Name) {
    this.apex = apex;
    this.apexKey = nameKey(apex);
    this.claim(apex);
  }

  holds(name: Name): boolean {
    return isWithin(name, this.apex);
  }

  below(...labels: readonly string[]): Name {
    return [...labels, ...this.apex];
  }

  /** Makes the name exist, also without records, and with it all names between it and the apex (RFC 8020). */
  claim(name: Name): void {
    for (let key = nameKey(name); !this.names.has(key); key = parentKey(key)) {
      this.names.set(key, new Map());
      if (key === this.apexKey) return;
    }
  }

  add(name: Name, ...records: readonly RecordData[]): void {
    this.claim(name);
    const sets = this.names.get(nameKey(name)) ?? new Map<number, Map<string, RecordData>>();
    for (const record of records) {
      const type = recordTypes[record.kind];
      const set = sets.get(type) ?? new Map<string, RecordData>();
      sets.set(type, set.set(JSON.stringify(record), record));
    }
  }

  finish(authority: StartOfAuthorityData, ttlSeconds: number): Zone {
    this.add(this.apex, authority);
    const names = new Map<string, RecordSets>();
    for (const [key, sets] of this.names) {
      names.set(key, new Map([...sets].map(([type, set]) => [type, inOrder(set)])));
    }
    return { apex: this.apex, authority, ttlSeconds, names };
  }
}

/** The same order on every dns node. */
function inOrder(set: ReadonlyMap<string, RecordData>): readonly RecordData[] {
  return [...set].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);
}
