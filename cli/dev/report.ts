/** One line for each step of a dev cluster, printed when its evidence was seen. */
import { printLine } from '../output.ts';
import { choosePaint } from '../paint.ts';

export interface StepLine {
  readonly step: string;
  readonly ok: boolean;
  /** Since the command was started. */
  readonly ms: number;
  readonly detail: string;
}

export class Report {
  private readonly startedAt = performance.now();
  private readonly asJson: boolean;
  private failures = 0;

  constructor(asJson: boolean) {
    this.asJson = asJson;
  }

  get failed(): boolean {
    return this.failures > 0;
  }

  done(step: string, detail: string): void {
    this.print({ step, ok: true, ms: this.elapsedMs, detail });
  }

  failure(step: string, detail: string): void {
    this.failures++;
    this.print({ step, ok: false, ms: this.elapsedMs, detail });
  }

  /** Not there on this machine; the rest goes on without it. */
  missing(step: string, detail: string): void {
    this.print({ step, ok: false, ms: this.elapsedMs, detail });
  }

  /** For people only: what to try next. */
  text(text: string): void {
    if (!this.asJson) printLine(text);
  }

  private get elapsedMs(): number {
    return Math.round(performance.now() - this.startedAt);
  }

  private print(line: StepLine): void {
    if (this.asJson) {
      printLine(JSON.stringify(line));
      return;
    }
    const mark = choosePaint()(line.ok ? 'good' : 'bad', line.ok ? '✓' : '✗');
    printLine(`${mark} ${line.step.padEnd(10)} ${(line.ms / 1_000).toFixed(1).padStart(5)} s  ${line.detail}`);
  }
}
