/** What one node's streams have counted since it started. */
export interface StreamCounters {
  /** Connections that came, welcomed or not, knocks included. */
  accepted: number;
  /** Ended by the other side before the first byte: an observer wanted to know whether anything listens here. */
  knocks: number;
  /** Closed because a limit on connections was reached. */
  turnedAway: number;
  /** Ended before an `open` came, or with none that could be read: port scans, other protocols, time-outs. */
  handshakesFailed: number;
  /** An `open` answered with a refusal. */
  refusalsSent: number;
  /** Connections closed for a frame that is none, or that did not belong there. */
  malformed: number;
  dials: number;
  dialsFailed: number;
  /** Knocks at other nodes, and those that there was no room for. */
  knocksSent: number;
  knocksDropped: number;
  requestsSent: number;
  requestsFailed: number;
  requestsReceived: number;
  postsSent: number;
  /** Posts that found no connection or no room. */
  postsDropped: number;
  postsReceived: number;
}

export function newStreamCounters(): StreamCounters {
  return {
    accepted: 0,
    knocks: 0,
    turnedAway: 0,
    handshakesFailed: 0,
    refusalsSent: 0,
    malformed: 0,
    dials: 0,
    dialsFailed: 0,
    knocksSent: 0,
    knocksDropped: 0,
    requestsSent: 0,
    requestsFailed: 0,
    requestsReceived: 0,
    postsSent: 0,
    postsDropped: 0,
    postsReceived: 0,
  };
}
