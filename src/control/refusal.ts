/** Why a command is refused: the answer to whoever asked for it. */
import type { ErrorCode } from '../error.ts';

export interface Refusal {
  readonly code: ErrorCode;
  readonly sentence: string;
}
