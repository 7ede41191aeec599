/**
 * The library, `hivemind`: a member of a cluster inside a program of one's own. The parts are those of the agent;
 * see ARCHITECTURE.md for how they fit, and `hivemind/role` for role files.
 */
export { controlSetOf, verifyCertificate } from './certificate/certificate.ts';
export { decodeGenesis, encodeGenesis, type Genesis, genesisHash } from './certificate/genesis.ts';
export type { RoleDeclaration } from './certificate/join-request.ts';
export { type JoinToken, parseToken, tokenText } from './certificate/token.ts';
export { type ErrorCode, errorCodes, HivemindError } from './error.ts';
export * from './identity.ts';
export type { MemberEffect, MemberEvent, MemberInput, PaneState } from './member/effect.ts';
export { acceptAdmission, type Joined, type JoinerOptions, prepareJoin } from './member/joining.ts';
export { Member } from './member/member.ts';
export type { MemberOptions } from './member/member-options.ts';
export { decodeMemory, encodeMemory, type MemberMemory } from './member/memory.ts';
export { connectLocal, type LocalConnection, listenLocal } from './net/local-socket.ts';
export { listenStreams, type TlsStreams } from './net/streams.ts';
export { createTlsIdentity } from './net/tls-identity.ts';
export { bindDatagrams } from './net/udp.ts';
export type * from './node/local-api.ts';
export { Node, type NodeSeams } from './node/node.ts';
export { openWriteAheadLog } from './store/write-ahead-log.ts';
export { type SwimSettings, swimProfiles } from './swim/settings.ts';
export { systemClock } from './system/clock.ts';
export { systemRandom } from './system/random.ts';
