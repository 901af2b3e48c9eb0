/** What this process did and saw, line by line in a file, which is complete even if the process is killed. */
import { openSync, writeSync } from 'node:fs';
import type { Operation } from '../../rig/linearizability.js';

/** Nanoseconds of the machine's monotonic clock, the same in all its processes. */
type Instant = number;

/** What is known of an operation when it is called. */
export type Call = Pick<Operation, 'do' | 'token' | 'value' | 'register'>;
/** What is known of it when it has returned. */
export type Outcome = Pick<Operation, 'value' | 'refused'>;

export type HistoryLine =
  /** isLeader() was asked. `token`: that of its term, if it was true. */
  | { readonly look: readonly [from: Instant, until: Instant]; readonly token?: number | undefined }
  /** An operation is about to be called; `id` is a number that its return repeats. */
  | { readonly id: number; readonly call: Instant; readonly operation: Call }
  | { readonly id: number; readonly return: Instant; readonly outcome: Outcome };

export class HistoryFile {
  readonly #file: number;
  #calls = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  /** `ask` returns the token of the term in which this process leads; undefined: it does not. */
  look(ask: () => bigint | undefined): void {
    const from = now();
    const token = ask();
    this.#write({ look: [from, now()], token: token === undefined ? undefined : Number(token) });
  }

  /** Carries out an operation. Its call is in the file before that. */
  async record<T extends Outcome>(operation: Call, carryOut: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    const id = this.#calls;
    this.#write({ id, call: now(), operation });
    const { value, refused, ...rest } = await carryOut();
    this.#write({ id, return: now(), outcome: { value, refused } });
    return { value, refused, ...rest } as T;
  }

  #write(line: HistoryLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

function now(): Instant {
  return Number(process.hrtime.bigint());
}
