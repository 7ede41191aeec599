/** How a decision is told: what stood already needed no entry, which the pane answers with 0. */
export function decidedBy(index: number): string {
  return index === 0 ? 'as it was already' : `as decided by log entry ${index}`;
}
