import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogTrouble } from '../../src/seam/log-store.ts';
import { slowWriteMs, TroubleWatch } from '../../src/store/trouble-watch.ts';

describe('the watch over the disk', () => {
  it('tells of a slow write, and that it has ended; of a fast one nothing', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000 });
    const told: (LogTrouble | undefined)[] = [];
    const watch = new TroubleWatch((trouble) => told.push(trouble));
    watch.onWriteBegin();
    t.mock.timers.tick(slowWriteMs - 1);
    watch.onEnd('write');
    t.mock.timers.tick(slowWriteMs);
    assert.deepEqual(told, []);
    watch.onWriteBegin();
    t.mock.timers.tick(slowWriteMs);
    watch.onEnd('write');
    assert.deepEqual(told, [{ kind: 'slow', since: 1_999 }, undefined]);
  });

  it('tells of a full disk once, whatever waits for it, until nothing does', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 5 });
    const told: (LogTrouble['kind'] | undefined)[] = [];
    const watch = new TroubleWatch((trouble) => told.push(trouble?.kind));
    watch.onWriteBegin();
    for (let attempt = 0; attempt < 3; attempt++) watch.onFull('write');
    t.mock.timers.tick(slowWriteMs);
    watch.onFull('compact');
    watch.onEnd('write');
    watch.onEnd('compact');
    assert.deepEqual(told, ['full', undefined]);
  });
});
