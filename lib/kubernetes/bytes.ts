/** What it keeps for the next text. */
const SMALLEST = 4 * 1024;
const KEPT = 64 * 1024;

/**
 * A text that arrives in pieces, up to a bound. The pieces are copied into one buffer that doubles when it is full: as many
 * pieces as there are bytes take little more time and memory than one.
 */
export class Bytes {
  readonly #most: number;
  #buffer = Buffer.alloc(0);
  #length = 0;

  /** @param most how many bytes it may have. */
  constructor(most: number) {
    this.#most = most;
  }

  /** @returns false, and adds nothing, when there would be too many. */
  add(piece: Uint8Array): boolean {
    const length = this.#length + piece.length;
    if (length > this.#most) return false;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(piece, this.#length);
    this.#length = length;
    return true;
  }

  /** The text so far. The next one begins then. */
  take(): string {
    const text = this.#buffer.toString('utf8', 0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > KEPT) this.#buffer = Buffer.alloc(0);
    return text;
  }

  #grow(length: number): void {
    const grown = Buffer.alloc(Math.max(length, Math.min(2 * this.#buffer.length, this.#most), SMALLEST));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
