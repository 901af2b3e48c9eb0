import { readFile, stat } from 'node:fs/promises';

/**
 * What is in a file that may be replaced while the process runs, as the kubelet replaces the token of a service account. It is kept
 * in memory, and read again when what stat tells of the path has changed: another file after a link was replaced, another time,
 * another size.
 */
export class KeptFile {
  readonly #path: string;
  readonly #partOf: (text: string) => string;
  readonly #unusable: (why: string) => Error;
  #content: string | undefined;
  #stamp: string | undefined;

  /**
   * @param partOf what to keep of the file's text; throws an error whose message says why the text cannot be used.
   * @param unusable makes the error to throw. It decides whether the path may be shown.
   */
  constructor(path: string, partOf: (text: string) => string, unusable: (why: string) => Error) {
    this.#path = path;
    this.#partOf = partOf;
    this.#unusable = unusable;
  }

  /** What was read last; undefined if nothing could be. */
  get content(): string | undefined {
    return this.#content;
  }

  /** Reads the file now. If that fails, what was read before is kept. */
  async read(): Promise<void> {
    let text: string;
    let stamp: string;
    try {
      // Before the text: if the file is replaced in between, it is read once more.
      stamp = await this.#look();
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      throw this.#unusable(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
    try {
      this.#content = this.#partOf(text);
    } catch (error) {
      throw this.#unusable((error as Error).message);
    }
    this.#stamp = stamp;
  }

  /** Reads the file if it has changed. While it cannot be used, what was read before is kept, and each call tries again. */
  async refresh(): Promise<void> {
    try {
      if ((await this.#look()) !== this.#stamp) await this.read();
    } catch {
      // It is being replaced, or broken.
    }
  }

  async #look(): Promise<string> {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  }
}
