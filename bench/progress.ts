/** Shows progress: on a terminal one line that is rewritten, elsewhere one line for each step. */
export class Progress {
  readonly #startedAt = performance.now();
  #isOpen = false;

  /** Shows the present step, for example `handover: 12 of 100`. */
  show(text: string): void {
    if (!process.stderr.isTTY) return;
    const width = process.stderr.columns;
    process.stderr.write(`\r\u001B[K${`${this.#clock()}  ${text}`.slice(0, width - 1)}`);
    this.#isOpen = true;
  }

  /** Writes a line that stays. */
  tell(text: string): void {
    process.stderr.write(`${this.#isOpen ? '\r\u001B[K' : ''}${this.#clock()}  ${text}\n`);
    this.#isOpen = false;
  }

  #clock(): string {
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000);
    return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}
