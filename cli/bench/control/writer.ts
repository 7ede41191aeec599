/** How a client commits values, whichever product keeps them. */
/** The size of what one commit writes, the same for all products. */
export const valueBytes = 256;
/** A commit that takes longer has failed. */
export const commitPatienceMs = 15_000;

/** A standing connection to one node. */
export interface Writer {
  /** A client of its own on this connection: it commits one value after the other. */
  client(): CommitClient;
  close(): void;
}

export interface CommitClient {
  /** Resolves when one more value is committed. */
  commit(): Promise<void>;
}
