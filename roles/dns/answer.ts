/** From the bytes of a query to the bytes of its response. Pure: the zones and the packet decide. */
import { unreachable } from '../../src/assert.ts';
import {
  type Edns,
  internetClass,
  opcodeQuery,
  type QueryHeader,
  type Question,
  type ResponseCode,
  ResponseWriter,
  readQuery,
  streamResponseBytesMax,
} from './message.ts';
import { nameKey } from './name.ts';
import { type RecordData, recordTypes } from './record.ts';
import { type RecordSets, recordSetsOf, type Zone, type Zones, zoneOf } from './zone.ts';

/** A datagram's size for askers without EDNS (RFC 1035 §2.3.4), and the largest that never needs fragments. */
const plainDatagramBytesMax = 512;
const datagramBytesMax = 1_232;

const ixfrType = 251;
const axfrType = 252;
const anyType = 255;

export type Transport = 'datagram' | 'stream';

export interface Answer {
  readonly response: Uint8Array;
  readonly code: ResponseCode;
  /** Not all fitted: the asker is told so and comes again over TCP. */
  readonly truncated: boolean;
}

interface Query {
  readonly header: QueryHeader;
  readonly question: Question;
  readonly edns?: Edns;
}

/**
 * Answers one query, or nothing when the packet is not a query at all.
 *
 * @param turn any counter: it turns the order of the records, so that askers who take the first spread
 */
export function answerQuery(zones: Zones, packet: Uint8Array, transport: Transport, turn: number): Answer | undefined {
  const read = readQuery(packet);
  switch (read.kind) {
    case 'ignored':
      return undefined;
    case 'malformed':
      return onMalformed(read.header);
    case 'query':
      return onQuery(zones, read, transport, turn);
    default:
      return unreachable(read);
  }
}

/** Messages of other opcodes need not look like a query, so their refusal does not depend on it. */
function onMalformed(header: QueryHeader): Answer {
  const code = header.opcode === opcodeQuery ? 'FORMERR' : 'NOTIMP';
  const writer = new ResponseWriter(plainDatagramBytesMax);
  return finish(writer, header, { code, authoritative: false, truncated: false });
}

function onQuery(zones: Zones, query: Query, transport: Transport, turn: number): Answer {
  const { header, question, edns } = query;
  const writer = new ResponseWriter(
    transport === 'stream' ? streamResponseBytesMax : datagramLimit(edns),
    edns && { dnssecOk: edns.dnssecOk, udpBytesMax: datagramBytesMax },
  );
  writer.question(question);
  const zone = zoneOf(zones, question.name);
  const refusal = refusalOf(query);
  if (refusal !== undefined || zone === undefined) {
    return finish(writer, header, { code: refusal ?? 'REFUSED', authoritative: false, truncated: false });
  }
  const outcome = writeRecords(writer, zones, zone, question, turn);
  return finish(writer, header, { ...outcome, authoritative: true });
}

function refusalOf({ header, question, edns }: Query): ResponseCode | undefined {
  if (header.opcode !== opcodeQuery) return 'NOTIMP';
  if (edns !== undefined && edns.version > 0) return 'BADVERS';
  const isTransfer = question.type === axfrType || question.type === ixfrType;
  return isTransfer || question.class !== internetClass ? 'REFUSED' : undefined;
}

function datagramLimit(edns: Edns | undefined): number {
  return Math.max(plainDatagramBytesMax, Math.min(edns?.udpBytesMax ?? plainDatagramBytesMax, datagramBytesMax));
}

interface Outcome {
  readonly code: ResponseCode;
  readonly truncated: boolean;
}

function writeRecords(writer: ResponseWriter, zones: Zones, zone: Zone, question: Question, turn: number): Outcome {
  const sets = recordSetsOf(zone, question.name);
  const records = sets === undefined ? [] : turned(asked(sets, question.type), turn);
  if (records.length === 0) {
    writer.recordSet('authority', zone.apex, zone.authority.negativeTtlSeconds, [zone.authority]);
    return { code: sets === undefined ? 'NXDOMAIN' : 'NOERROR', truncated: false };
  }
  const isAuthority = records[0]?.kind === 'SOA';
  const ttlSeconds = isAuthority ? zone.authority.negativeTtlSeconds : zone.ttlSeconds;
  const fits = writer.recordSet('answer', question.name, ttlSeconds, records);
  if (fits) writeTargets(writer, zones, records);
  return { code: 'NOERROR', truncated: !fits };
}

/** One set is enough of an answer to ANY (RFC 8482 §4.1). */
function asked(sets: RecordSets, type: number): readonly RecordData[] {
  if (type !== anyType) return sets.get(type) ?? [];
  const [first] = sets.values();
  return first ?? [];
}

function turned(records: readonly RecordData[], turn: number): readonly RecordData[] {
  const start = turn % records.length;
  return start > 0 ? [...records.slice(start), ...records.slice(0, start)] : records;
}

/** The addresses behind SRV and NS records, as far as there is room: the asker can do without (RFC 2181 §9). */
function writeTargets(writer: ResponseWriter, zones: Zones, records: readonly RecordData[]): void {
  const targets = records.flatMap((data) => (data.kind === 'SRV' || data.kind === 'NS' ? [data.target] : []));
  const byKey = new Map(targets.map((target) => [nameKey(target), target]));
  for (const target of byKey.values()) {
    const zone = zoneOf(zones, target);
    const sets = zone && recordSetsOf(zone, target);
    for (const type of [recordTypes.A, recordTypes.AAAA]) {
      if (zone) writer.recordSet('additional', target, zone.ttlSeconds, sets?.get(type) ?? [], true);
    }
  }
}

function finish(writer: ResponseWriter, header: QueryHeader, outcome: Outcome & { authoritative: boolean }): Answer {
  const { code, truncated } = outcome;
  return { response: writer.finish({ header, ...outcome }), code, truncated };
}
