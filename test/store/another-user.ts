/** As one who may do less: root gives its rights away meanwhile; whoever else runs the tests has none to give. */
export async function asAnotherUser(work: () => void | Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_533);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
