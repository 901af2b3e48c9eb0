import type { ServerResponse } from 'node:http';
import type { Subject } from './access.js';
import { MAX_TIMER_MS, matches, type FaultFilter } from './faults.js';
import { API_VERSION, type LeaseObject } from './lease-object.js';
import type { ListQuery } from './lists.js';
import { failed } from './status.js';
import type { LeaseStore, StoreEvent } from './store.js';
import { asTable, type TableForm } from './table.js';

/** How many bytes a client may leave unread before its watch is ended. */
const MAX_UNREAD_BYTES = 1_048_576;
/** How long before its end a watch gets a bookmark, if it wants bookmarks. */
const LAST_BOOKMARK_MS = 2_000;
/** A watch without a time-out of its own ends after this time, or up to twice as much. */
const SHORTEST_WATCH_SECONDS = 1_800;

/** The open watches, and the client of each. */
export class Watches {
  readonly #open = new Map<Watch, Subject>();

  constructor(
    private readonly store: LeaseStore,
    private readonly isStalled: (subject: Subject) => boolean,
  ) {
    store.subscribe(() => {
      this.proceed();
    });
  }

  get size(): number {
    return this.#open.size;
  }

  /** Answers with a watch. */
  open(query: ListQuery, form: TableForm | undefined, response: ServerResponse, subject: Subject): Watch {
    const watch = new Watch(this.store, query, form, response, () => this.isStalled(subject));
    this.#open.set(watch, subject);
    response.once('close', () => {
      this.#open.delete(watch);
      watch.dispose();
    });
    watch.begin();
    return watch;
  }

  /** Lets every watch send what it has not sent yet. */
  proceed(): void {
    for (const watch of this.#open.keys()) watch.proceed();
  }

  end(filter: FaultFilter): void {
    for (const watch of this.#matching(filter)) watch.end();
  }

  expire(filter: FaultFilter): void {
    for (const watch of this.#matching(filter)) watch.expire();
  }

  #matching(filter: FaultFilter): Watch[] {
    return [...this.#open].filter(([, subject]) => matches(filter, subject)).map(([watch]) => watch);
  }
}

/**
 * One watch: a response that stays open and sends each change as a line. It keeps a position in the store's history instead of a
 * queue, so a watch that was stalled catches up, or finds that its position is too old.
 */
export class Watch {
  readonly #timers: NodeJS.Timeout[] = [];
  #hasSentColumns = false;
  /** Every change up to this version has been sent. Undefined until the Leases that exist have been sent. */
  #sent: number | undefined;

  constructor(
    private readonly store: LeaseStore,
    private readonly query: ListQuery,
    private readonly form: TableForm | undefined,
    private readonly response: ServerResponse,
    private readonly isStalled: () => boolean,
  ) {
    if (query.resourceVersion > 0 && query.sendInitialEvents !== true) this.#sent = query.resourceVersion;
  }

  /** Answers, and sends what there is to send. */
  begin(): void {
    const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' };
    this.response.writeHead(200, headers).flushHeaders();
    if (this.#sent !== undefined && this.#sent < this.store.oldestRevision) {
      this.expire();
      return;
    }
    this.#startTimers();
    this.proceed();
  }

  /** Sends what has changed. Nothing while the watch is stalled. */
  proceed(): void {
    if (this.response.writableEnded || this.isStalled()) return;
    this.#sent ??= this.#sendPresent();
    const events = this.store.eventsAfter(this.#sent);
    if (events === undefined) {
      this.expire();
      return;
    }
    for (const event of events) {
      this.#sent = event.revision;
      this.#send(event);
    }
    if (this.response.writableLength > MAX_UNREAD_BYTES) this.end();
  }

  /** Sends the ERROR event of a version that is too old, and ends. */
  expire(): void {
    const versions = `${String(this.#sent ?? 0)} (${String(this.store.oldestRevision)})`;
    this.#writeLine('ERROR', failed(410, `too old resource version: ${versions}`).status);
    this.end();
  }

  /** Ends the answer without an event, as at the watch's time-out. */
  end(): void {
    this.dispose();
    this.response.end();
  }

  dispose(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }

  #sendPresent(): number {
    const { revision } = this.store;
    const { selects, resourceVersion, sendInitialEvents, allowBookmarks } = this.query;
    // Without a version a watch begins with the Leases that exist, and with the bookmark that ends them.
    if (!(sendInitialEvents ?? resourceVersion === 0)) return revision;
    for (const lease of this.store.list().filter(selects)) this.#write('ADDED', lease);
    if (allowBookmarks) this.#bookmark(revision, { annotations: { 'k8s.io/initial-events-end': 'true' } });
    return revision;
  }

  #send({ lease, previous, deleted }: StoreEvent): void {
    const { selects } = this.query;
    const was = previous !== undefined && selects(previous);
    const is = !deleted && selects(lease);
    if (is) this.#write(was ? 'MODIFIED' : 'ADDED', lease);
    else if (was) {
      // Also when it only leaves the selection: the last state that was selected, at the version that ended it.
      const { resourceVersion } = lease.metadata;
      this.#write('DELETED', { ...previous, metadata: { ...previous.metadata, resourceVersion } });
    }
  }

  #bookmark(revision: number, extra: LeaseObject['metadata'] = {}): void {
    const metadata = { resourceVersion: String(revision), ...extra };
    this.#write('BOOKMARK', { kind: 'Lease', apiVersion: API_VERSION, metadata, spec: {} });
  }

  #startTimers(): void {
    const { timeoutSeconds, allowBookmarks } = this.query;
    const seconds = timeoutSeconds > 0 ? timeoutSeconds : SHORTEST_WATCH_SECONDS * (1 + Math.random());
    const lastsMs = Math.min(seconds * 1000, MAX_TIMER_MS);
    const end = (): void => {
      this.end();
    };
    const bookmark = (): void => {
      if (!this.isStalled()) this.#bookmark(Math.max(this.#sent ?? 0, this.store.revision));
    };
    this.#timers.push(setTimeout(end, lastsMs));
    if (allowBookmarks) this.#timers.push(setTimeout(bookmark, Math.max(0, lastsMs - LAST_BOOKMARK_MS)));
    for (const timer of this.#timers) timer.unref();
  }

  #write(type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', lease: LeaseObject): void {
    this.#writeLine(type, this.form === undefined ? lease : asTable(lease, this.form, !this.#hasSentColumns));
    this.#hasSentColumns = true;
  }

  #writeLine(type: string, object: object): void {
    if (!this.response.writableEnded) this.response.write(`${JSON.stringify({ type, object })}\n`);
  }
}
