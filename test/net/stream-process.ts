/**
 * A node in a process of its own, which ends as its parent says: `node stream-process.ts NUMBER`. It tells its port,
 * and does what it is sent: hold a stream to the parent, exit without a word, or stop in good order.
 */
import { listenAs, targetAt } from './stream-node.ts';

export type Order =
  | { readonly kind: 'hold'; readonly port: number; readonly number: number }
  | { readonly kind: 'exit' }
  | { readonly kind: 'stop' };

const streams = await listenAs(Number(process.argv[2]));
process.on('message', async (order: Order) => {
  if (order.kind === 'hold') streams.hold([targetAt(order.port, order.number)]);
  if (order.kind === 'exit') process.exit(1);
  if (order.kind === 'stop') {
    process.send?.('stopping');
    await streams.close();
    process.disconnect();
  }
});
process.send?.(streams.local.port);
