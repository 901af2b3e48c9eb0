/**
 * A Lease in memory, on simulated time: what an API server does with one Lease, seen by any number of clients, each of
 * which can be made to suffer. For tests of elections; the embedded server is for tests with a network.
 */
import {
  LeaseRequestError,
  sameRecord,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from '../election/index.js';
import type { SimulatedTime } from './simulated-time.js';

/** A request as it reaches, or does not reach, the simulated server. */
export interface SimulatedRequest {
  readonly verb: 'get' | 'create' | 'update';
  /** Which client sent it. */
  readonly client: string;
  /** The record to be written. */
  readonly record: LeaseRecord | undefined;
  /** The client asked for a connection of its own. */
  readonly newConnection: boolean;
}

/**
 * What becomes of a request. `answer`: all is well. `lose`: it never arrives. `loseReply`: it is carried out, but the
 * client never hears. An error: it is answered so, and not carried out. A delay: it arrives that much later.
 */
export type RequestFate = 'answer' | 'lose' | 'loseReply' | LeaseRequestError | { readonly delayMs: number };

/** One client's way to the simulated Lease. */
export interface SimulatedLeaseLock extends LeaseLock {
  watch: NonNullable<LeaseLock['watch']>;
  /** Decides about each request of this client. Default: every one is answered. */
  fate: (request: SimulatedRequest) => RequestFate;
  /** Events that exist are not told while this is true; the watch stays open. */
  watchStalled: boolean;
}

interface Watcher {
  readonly lock: SimulatedLeaseLock;
  readonly onEvent: (event: WatchEvent) => void;
}

/** Milliseconds each way. */
const DEFAULT_LATENCY_MS = 1;

/** See the head of the file. */
export class SimulatedLease {
  readonly #time: SimulatedTime;
  readonly #latencyMs: number;
  readonly #watchers = new Set<Watcher>();
  #stored: LeaseSnapshot | undefined;
  #version = 0;
  #created = 0;
  /** Every request that arrived, in order. */
  readonly requests: SimulatedRequest[] = [];

  constructor(time: SimulatedTime, options: { latencyMs?: number } = {}) {
    this.#time = time;
    this.#latencyMs = options.latencyMs ?? DEFAULT_LATENCY_MS;
  }

  /** The lease as the server has it. */
  get stored(): LeaseSnapshot | undefined {
    return this.#stored;
  }

  /** Somebody edits the record by hand, or makes the Lease. */
  edit(record: LeaseRecord): void {
    this.#store(record, this.#stored?.uid ?? this.#newUid(), this.#stored === undefined);
  }

  /** Somebody changes labels or annotations: a new version of the same record. */
  relabel(): void {
    if (this.#stored !== undefined) this.#store(this.#stored.record, this.#stored.uid, true);
  }

  /** Somebody deletes the Lease. */
  delete(): void {
    if (this.#stored === undefined) return;
    this.#stored = undefined;
    this.#version += 1;
    this.#tell({ kind: 'deleted', resourceVersion: String(this.#version) });
  }

  /** A way to the lease for the client of that name. */
  lock(client: string): SimulatedLeaseLock {
    const lock: SimulatedLeaseLock = {
      fate: () => 'answer',
      watchStalled: false,
      describe: () => 'default/simulated',
      get: (call) =>
        this.#carry(
          lock,
          { verb: 'get', client, record: undefined, ...asked(call) },
          call,
          () => this.#stored,
        ),
      create: (record, call) =>
        this.#carry(lock, { verb: 'create', client, record, ...asked(call) }, call, () =>
          this.#create(record),
        ),
      update: (base, record, call) =>
        this.#carry(lock, { verb: 'update', client, record, ...asked(call) }, call, () =>
          this.#update(base, record),
        ),
      watch: (onEvent, signal) => this.#watch({ lock, onEvent }, signal),
    };
    return lock;
  }

  #create(record: LeaseRecord): WriteOutcome {
    if (this.#stored !== undefined) return { kind: 'conflict' };
    return { kind: 'written', snapshot: this.#store(record, this.#newUid(), true) };
  }

  #update(base: LeaseSnapshot, record: LeaseRecord): WriteOutcome {
    const stored = this.#stored;
    if (stored?.uid !== base.uid || stored.resourceVersion !== base.resourceVersion)
      return { kind: 'conflict' };
    return { kind: 'written', snapshot: this.#store(record, stored.uid, false) };
  }

  /** As the API server does: a write that changes nothing gets no version, and nobody hears of it. */
  #store(record: LeaseRecord, uid: string, always: boolean): LeaseSnapshot {
    if (!always && this.#stored !== undefined && sameRecord(this.#stored.record, record)) return this.#stored;
    this.#version += 1;
    const snapshot = { record, uid, resourceVersion: String(this.#version) };
    this.#stored = snapshot;
    this.#tell({ kind: 'seen', snapshot });
    return snapshot;
  }

  #newUid(): string {
    this.#created += 1;
    return `uid-${String(this.#created)}`;
  }

  #tell(event: WatchEvent): void {
    for (const watcher of this.#watchers) this.#deliver(watcher, event);
  }

  #deliver(watcher: Watcher, event: WatchEvent): void {
    this.#time.schedule(this.#latencyMs, () => {
      if (this.#watchers.has(watcher) && !watcher.lock.watchStalled) watcher.onEvent(event);
    });
  }

  #watch(watcher: Watcher, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#watchers.delete(watcher);
        resolve();
      };
      if (signal.aborted) {
        end();
        return;
      }
      signal.addEventListener('abort', end, { once: true });
      this.#watchers.add(watcher);
      this.#deliver(watcher, { kind: 'opened' });
      if (this.#stored !== undefined) this.#deliver(watcher, { kind: 'seen', snapshot: this.#stored });
    });
  }

  #carry<T>(
    lock: SimulatedLeaseLock,
    request: SimulatedRequest,
    call: LeaseCall,
    carryOut: () => T,
  ): Promise<T> {
    const fate = lock.fate(request);
    return new Promise((resolve, reject) => {
      call.signal.addEventListener(
        'abort',
        () => {
          reject(call.signal.reason as Error);
        },
        { once: true },
      );
      if (fate === 'lose') return;
      const delayMs = typeof fate === 'object' && 'delayMs' in fate ? fate.delayMs : 0;
      this.#time.schedule(this.#latencyMs + delayMs, () => {
        this.requests.push(request);
        const refused = fate instanceof LeaseRequestError;
        const result = refused ? undefined : carryOut();
        if (fate === 'loseReply') return;
        this.#time.schedule(this.#latencyMs, () => {
          if (refused) reject(fate);
          else resolve(result as T);
        });
      });
    });
  }
}

function asked(call: LeaseCall): { newConnection: boolean } {
  return { newConnection: call.newConnection };
}
