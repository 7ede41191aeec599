/** The far end of a mailbox, in a thread of its own: says what it takes. */
import { parentPort, workerData } from 'node:worker_threads';
import { Mailbox } from '../../src/store/mailbox.ts';

const box = new Mailbox(workerData as SharedArrayBuffer);
for (let taken = 0; taken < 3; taken++) parentPort?.postMessage(box.take()?.join() ?? 'nothing');
