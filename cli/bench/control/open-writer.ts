import { openEtcdWriter } from './etcd-writer.ts';
import { openHivemindWriter } from './hivemind-writer.ts';
import type { ControlProductName } from './product.ts';
import type { Writer } from './writer.ts';

/** @throws while the node does not answer */
export async function openWriter(product: ControlProductName, door: string): Promise<Writer> {
  switch (product) {
    case 'hivemind':
      return await openHivemindWriter(door);
    case 'etcd':
      return await openEtcdWriter(door);
  }
}
