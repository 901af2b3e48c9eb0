import type { ServerResponse } from 'node:http';
import { matches, type FaultFilter, type FaultSubject } from './faults.js';
import type { LeaseStore } from './lease-store.js';
import type { ListOptions } from './list-options.js';
import type { TableForm } from './table.js';
import { WatchStream } from './watch-stream.js';

/** The open watches, and the client of each. */
export class OpenWatches {
  readonly #store: LeaseStore;
  readonly #isStalled: (subject: FaultSubject) => boolean;
  readonly #open = new Map<WatchStream, FaultSubject>();

  constructor(store: LeaseStore, isStalled: (subject: FaultSubject) => boolean) {
    this.#store = store;
    this.#isStalled = isStalled;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Answers with a watch. */
  open(
    options: ListOptions,
    table: TableForm | undefined,
    response: ServerResponse,
    subject: FaultSubject,
  ): WatchStream {
    const watch = new WatchStream(this.#store, options, table, response, () => this.#isStalled(subject));
    this.#open.set(watch, subject);
    response.once('close', () => this.#open.delete(watch));
    watch.begin();
    return watch;
  }

  /** Tells what was held back. */
  proceed(): void {
    for (const watch of this.#open.keys()) watch.proceed();
  }

  end(filter: FaultFilter): void {
    for (const watch of this.#matching(filter)) watch.end();
  }

  expire(filter: FaultFilter): void {
    for (const watch of this.#matching(filter)) watch.expire();
  }

  #matching(filter: FaultFilter): WatchStream[] {
    return [...this.#open].filter(([, subject]) => matches(filter, subject)).map(([watch]) => watch);
  }
}
