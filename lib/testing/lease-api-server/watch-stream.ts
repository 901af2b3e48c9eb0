import type { ServerResponse } from 'node:http';
import { API_VERSION, type LeaseObject, type StoredLease } from './lease-object.js';
import type { LeaseStore, StoreEvent } from './lease-store.js';
import type { ListOptions } from './list-options.js';
import { toJson } from './json-text.js';
import { MAX_TIMER_MS } from './numbers.js';
import { expired, type Status } from './status.js';
import { asTable, type TableForm } from './table.js';

/** Bytes a client may leave unread before its watch is ended. */
const MAX_UNREAD_BYTES = 1_048_576;
const BOOKMARK_EVERY_MS = 60_000;
/** How long before its end a watch gets a last bookmark. */
const LAST_BOOKMARK_MS = 2_000;
/** A watch that names no time-out of its own ends after as many seconds, and up to twice as many. */
const SHORTEST_WATCH_SECONDS = 1_800;

/**
 * One watch: a response that stays open and reports each change as a line. It keeps a position in the store's history instead
 * of a queue, so that a watch that was stalled catches up, or finds that its position is too old.
 */
export class WatchStream {
  readonly #store: LeaseStore;
  readonly #options: ListOptions;
  readonly #table: TableForm | undefined;
  #hasToldColumns = false;
  readonly #response: ServerResponse;
  readonly #isStalled: () => boolean;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #unsubscribe: () => void;
  /** Everything up to this version has been told; undefined until what is there has. */
  #told: number | undefined;

  constructor(
    store: LeaseStore,
    options: ListOptions,
    table: TableForm | undefined,
    response: ServerResponse,
    isStalled: () => boolean,
  ) {
    this.#store = store;
    this.#options = options;
    this.#table = table;
    this.#response = response;
    this.#isStalled = isStalled;
    const { resourceVersion = 0, sendInitialEvents } = options;
    if (sendInitialEvents !== true && resourceVersion > 0) this.#told = resourceVersion;
    this.#unsubscribe = store.subscribe(() => {
      this.proceed();
    });
    response.once('close', () => {
      this.#dispose();
    });
  }

  /** Answers, and tells what there is to tell. */
  begin(): void {
    this.#response.writeHead(200, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-cache, private',
    });
    this.#response.flushHeaders();
    if (this.#told !== undefined && this.#told < this.#store.oldestRevision) {
      this.expire();
      return;
    }
    this.#startTimers();
    this.proceed();
  }

  /** Tells what happened since. Nothing while the watch is stalled. */
  proceed(): void {
    if (!this.#response.headersSent || this.#response.writableEnded || this.#isStalled()) return;
    this.#told ??= this.#tellPresent();
    if (!this.#store.remembersAfter(this.#told)) {
      this.expire();
      return;
    }
    for (const event of this.#store.eventsAfter(this.#told)) {
      this.#told = event.revision;
      this.#tell(event);
    }
    if (this.#response.writableLength > MAX_UNREAD_BYTES) this.end();
  }

  /** Says that the version is too old, which is an event, and ends. */
  expire(): void {
    const { status } = expired(
      `too old resource version: ${String(this.#told ?? 0)} (${String(this.#store.oldestRevision)})`,
    );
    this.#write('ERROR', status);
    this.end();
  }

  /** Ends the answer as the server does when its time is over: with nothing. */
  end(): void {
    this.#dispose();
    this.#response.end();
  }

  #tellPresent(): number {
    const { revision } = this.#store;
    const { selects, sendInitialEvents, allowBookmarks } = this.#options;
    if (sendInitialEvents === false) return revision;
    for (const lease of this.#store.list().filter(selects)) this.#write('ADDED', lease);
    if (sendInitialEvents === true && allowBookmarks) {
      this.#bookmark(revision, { annotations: { 'k8s.io/initial-events-end': 'true' } });
    }
    return revision;
  }

  #tell({ lease, previous, deleted }: StoreEvent): void {
    const was = previous !== undefined && this.#options.selects(previous);
    const is = !deleted && this.#options.selects(lease);
    if (is) this.#write(was ? 'MODIFIED' : 'ADDED', lease);
    // Leaving the selection is a deletion, too: of the last state that was selected, at the version that ended it.
    else if (was) this.#write('DELETED', withVersionOf(previous, lease));
  }

  #bookmark(revision: number, metadata: LeaseObject['metadata'] = {}): void {
    const resourceVersion = String(revision);
    this.#write('BOOKMARK', {
      kind: 'Lease',
      apiVersion: API_VERSION,
      metadata: { resourceVersion, ...metadata },
      spec: {},
    });
  }

  #startTimers(): void {
    const { timeoutSeconds, allowBookmarks } = this.#options;
    const seconds = timeoutSeconds > 0 ? timeoutSeconds : SHORTEST_WATCH_SECONDS * (1 + Math.random());
    const lastsMs = Math.min(seconds * 1000, MAX_TIMER_MS);
    this.#keep(
      setTimeout(() => {
        this.end();
      }, lastsMs),
    );
    if (!allowBookmarks) return;
    const bookmark = (): void => {
      if (!this.#isStalled()) this.#bookmark(Math.max(this.#told ?? 0, this.#store.revision));
    };
    this.#keep(setTimeout(bookmark, Math.max(0, lastsMs - LAST_BOOKMARK_MS)));
    this.#keep(setInterval(bookmark, BOOKMARK_EVERY_MS));
  }

  #keep(timer: NodeJS.Timeout): void {
    timer.unref();
    this.#timers.push(timer);
  }

  #write(type: string, object: LeaseObject | Status): void {
    if (this.#response.writableEnded) return;
    this.#response.write(`${toJson({ type, object: this.#shown(object) })}\n`);
  }

  #shown(object: LeaseObject | Status): object {
    if (this.#table === undefined || object.kind === 'Status') return object;
    const table = asTable(object, this.#table, !this.#hasToldColumns);
    this.#hasToldColumns = true;
    return table;
  }

  #dispose(): void {
    this.#unsubscribe();
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }
}

function withVersionOf(lease: StoredLease, later: StoredLease): StoredLease {
  return { ...lease, metadata: { ...lease.metadata, resourceVersion: later.metadata.resourceVersion } };
}
