/** What this process did and saw, line by line in a file, which is complete even if the process is killed. */
import { openSync, writeSync } from 'node:fs';
import type { Operation } from '../../rig/linearizability.js';

/** Nanoseconds of the machine's monotonic clock, the same in all its processes. */
type Instant = number;

/** What is known of an operation when it is called. */
export type Call = Pick<Operation, 'do' | 'token' | 'value' | 'register'>;
/** What is known of it when it has returned. */
export type Outcome = Pick<Operation, 'value' | 'refused'> & {
  /** It has failed, and certainly had no effect. */
  readonly failed?: boolean | undefined;
};

/** Whether this process leads, by the token of its term. */
export interface Seen {
  /** By isLeader(). */
  readonly token?: number | undefined;
  /** By the last event. */
  readonly remembered?: number | undefined;
}

export type HistoryLine =
  | ({ readonly look: readonly [from: Instant, until: Instant] } & Seen)
  /** An operation is about to be called; `id` is a number that its return repeats. */
  | { readonly id: number; readonly call: Instant; readonly operation: Call }
  | { readonly id: number; readonly return: Instant; readonly outcome: Outcome };

export class HistoryFile {
  readonly #file: number;
  #calls = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  look(ask: () => Seen): void {
    const from = now();
    const seen = ask();
    this.#write({ look: [from, now()], ...seen });
  }

  /** Carries out an operation. Its call is in the file before that. */
  async record(operation: Call, carryOut: () => Promise<Outcome>): Promise<Outcome> {
    this.#calls += 1;
    const id = this.#calls;
    this.#write({ id, call: now(), operation });
    const outcome = await carryOut();
    this.#write({ id, return: now(), outcome });
    return outcome;
  }

  #write(line: HistoryLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

function now(): Instant {
  return Number(process.hrtime.bigint());
}
