/** What has to be closed again, the last opened first. */
export class OpenedThings {
  private readonly closers: (() => Promise<void>)[] = [];
  isClosed = false;

  add<T>(close: (thing: T) => Promise<void>, thing: T): T {
    this.closers.unshift(() => close(thing));
    return thing;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const close of this.closers.splice(0)) await close();
  }
}
