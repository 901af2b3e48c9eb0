import { readFile, stat } from 'node:fs/promises';

/**
 * The content of a file that may be replaced while the process runs, as the kubelet replaces the token of a service
 * account. It is kept in memory, and read again when stat shows a change: another inode (after a link was replaced),
 * another time or another size.
 */
export class KeptFile {
  readonly #path: string;
  readonly #partOf: (text: string) => string;
  readonly #unusable: (why: string) => Error;
  #content: string | undefined;
  #stamp: string | undefined;

  /**
   * @param partOf returns what to keep of the file's text. It throws an error whose message says why the text cannot
   * be used.
   * @param unusable creates the error to throw. It decides whether to show the path.
   */
  constructor(path: string, partOf: (text: string) => string, unusable: (why: string) => Error) {
    this.#path = path;
    this.#partOf = partOf;
    this.#unusable = unusable;
  }

  /** The content that was read last; undefined if none could be read. */
  get content(): string | undefined {
    return this.#content;
  }

  /** Reads the file now. If that fails, the last content is kept. */
  async read(): Promise<void> {
    let text: string;
    let stamp: string;
    try {
      // Before the text, so that a file that is replaced in between is read again.
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

  /** Reads the file if it has changed. While it cannot be used, the last content is kept, and each call tries again. */
  async refresh(): Promise<void> {
    try {
      if ((await this.#look()) !== this.#stamp) await this.read();
    } catch {
      // The file is being replaced, or broken.
    }
  }

  async #look(): Promise<string> {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  }
}
