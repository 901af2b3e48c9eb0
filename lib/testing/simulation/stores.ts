interface Row {
  /** How many writes it has had. */
  version: number;
  /** The largest token seen. */
  token: bigint;
}

/** A row as it was read, to be written back with {@link Store.write}. */
export interface Reading {
  readonly row: number;
  readonly version: number;
  readonly token: bigint;
}

/**
 * A store for the gated work of a simulation. Leaders read a row, think, and write it back, and a request may arrive
 * long after its term. A guarded store refuses writes with an outdated fencing token; an unguarded store accepts
 * them.
 *
 * A write is lost if another write overwrites it without having read it.
 */
export class Store {
  readonly #rows = new Map<number, Row>();
  readonly #guarded: boolean;
  #lost = 0;
  #refused = 0;
  #written = 0;

  constructor({ guarded }: { guarded: boolean }) {
    this.#guarded = guarded;
  }

  /** Reads a row for a term. A guarded store refuses (undefined) a term older than one it has seen. */
  read(row: number, token: bigint): Reading | undefined {
    const found = this.#row(row);
    if (this.#isStale(found, token)) return undefined;
    found.token = token > found.token ? token : found.token;
    return { row, version: found.version, token };
  }

  /** Writes a row that was read; false if refused. */
  write(reading: Reading): boolean {
    const found = this.#row(reading.row);
    if (this.#isStale(found, reading.token)) return false;
    if (found.version !== reading.version) this.#lost += 1;
    found.version += 1;
    this.#written += 1;
    return true;
  }

  get written(): number {
    return this.#written;
  }

  /** How many writes were overwritten unread. */
  get lost(): number {
    return this.#lost;
  }

  get refused(): number {
    return this.#refused;
  }

  #isStale(row: Row, token: bigint): boolean {
    const stale = this.#guarded && token < row.token;
    if (stale) this.#refused += 1;
    return stale;
  }

  #row(name: number): Row {
    const row = this.#rows.get(name) ?? { version: 0, token: -1n };
    this.#rows.set(name, row);
    return row;
  }
}
