/** How a measurement comes along: one line that is rewritten on a terminal; elsewhere one line for each measurement. */
export class Progress {
  readonly #startedAt = performance.now();
  #isOpen = false;

  /** What is going on now, as `handover: 12 of 100`. */
  show(text: string): void {
    if (!process.stderr.isTTY) return;
    const width = process.stderr.columns;
    process.stderr.write(`\r\u001B[K${`${this.#clock()}  ${text}`.slice(0, width - 1)}`);
    this.#isOpen = true;
  }

  /** A line that stays. */
  tell(text: string): void {
    process.stderr.write(`${this.#isOpen ? '\r\u001B[K' : ''}${this.#clock()}  ${text}\n`);
    this.#isOpen = false;
  }

  #clock(): string {
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
    return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}
