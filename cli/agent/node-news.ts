/** What the agent does about what its node sees. */
import type { MemberEvent } from '../../src/member/effect.ts';
import type { TlsStreams } from '../../src/net/streams.ts';
import { describeEvent } from '../../src/node/describe.ts';
import type { EventRing } from '../../src/node/event-ring.ts';
import type { Node } from '../../src/node/node.ts';
import type { Logger } from '../../src/seam/logger.ts';
import { systemClock } from '../../src/system/clock.ts';
import { eventSentence } from '../event-sentence.ts';
import type { EndSignal } from './end-signal.ts';

/** Connections with a member that was removed are closed after this; its requests are refused from the first moment. */
const farewellMs = 1_000;

export interface NewsDesk {
  readonly node: Node;
  /** For `hivemind events`. */
  readonly events: EventRing;
  readonly streams: TlsStreams;
  readonly end: EndSignal;
  readonly log: Logger;
  /** What is remembered of the cluster is worth nothing any more. */
  readonly forget: () => Promise<void>;
}

/** From now on each event is kept, and those are acted upon that concern sockets, the log or the agent itself. */
export function heedNews(desk: NewsDesk): void {
  desk.node.onEvent((event) => onEvent(event, desk));
}

function onEvent(event: MemberEvent, { node, events, streams, end, log, forget }: NewsDesk): void {
  // The event log has them: a thousand a second of them would leave no room here for anything else.
  if (event.kind === 'decided' && event.what === 'note') return;
  const described = describeEvent(node.member, event, node.time);
  events.add(described);
  switch (event.kind) {
    case 'left':
      // Not at once: the answer to its leave is still on its way to it.
      systemClock.after(farewellMs, () => streams.disconnect(event.number));
      break;
    case 'removed-me':
      void forget().then(() =>
        end.resolve('this node does not belong to the cluster any more; join it again with a token'),
      );
      break;
    case 'log-disk':
    case 'memory-disk':
      log.warn(event.kind, { reason: eventSentence(described) });
      break;
    case 'charter-forked':
      log.error('charter-forked', { reason: eventSentence(described) });
      break;
    case 'brake':
      log.warn('brake', { reason: eventSentence(described) });
      break;
    case 'datagrams-blocked':
      log.warn('datagrams-blocked', { member: described.node, reason: eventSentence(described) });
      break;
    default:
  }
}
