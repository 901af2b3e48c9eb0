/** The size of the first buffer. It fits into Node's pool of buffers. */
const SMALLEST = 2 * 1024;
/** A buffer of up to this size is kept for the next text. */
const KEPT = 64 * 1024;

/**
 * A text that arrives in pieces, with a bound on its length. The pieces are copied into one buffer that doubles when it is full,
 * so a text in pieces of one byte takes little more time and memory than a text in one piece.
 */
export class Bytes {
  readonly #most: number;
  #buffer = Buffer.alloc(0);
  #length = 0;

  /** @param most how many bytes a text may have. */
  constructor(most: number) {
    this.#most = most;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** @returns false, and adds nothing, if the text would be too long. */
  add(piece: Uint8Array): boolean {
    const length = this.#length + piece.length;
    if (length > this.#most) return false;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(piece, this.#length);
    this.#length = length;
    return true;
  }

  /** Returns the text so far, and begins the next one. */
  take(): string {
    const text = this.#buffer.toString('utf8', 0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > KEPT) this.#buffer = Buffer.alloc(0);
    return text;
  }

  #grow(length: number): void {
    const grown = Buffer.allocUnsafe(
      Math.max(length, Math.min(2 * this.#buffer.length, this.#most), SMALLEST),
    );
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
