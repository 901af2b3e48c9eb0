import {
  DURATION,
  LeaseRequestError,
  refuseInvalid,
  sameRecord,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from '../election/index.js';
import {
  asRequestFaults,
  type EventFaults,
  type RequestFate,
  type RequestFaults,
} from './simulated-faults.js';
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

/** One client's way to the simulated Lease. */
export interface SimulatedLeaseLock extends LeaseLock {
  watch: NonNullable<LeaseLock['watch']>;
  /** @param carried What else the Lease holds, if it is created. Default: nothing. */
  create(record: LeaseRecord, call: LeaseCall, carried?: unknown): Promise<WriteOutcome>;
  /** Decides about each request of this client. Default: every one is answered. */
  fate: (request: SimulatedRequest) => RequestFate;
  /** Decides about each event of this client's watch. Default: it is told once, at once. */
  eventFate: (event: WatchEvent) => EventFaults;
  /** Events that exist are not told while this is true; the watch stays open. */
  watchStalled: boolean;
  /** The server ends this client's watch, if it has one: in the normal course, or with an error. */
  endWatch(error?: LeaseRequestError): void;
}

/** The Lease changed: what was there, what is there now, and who did it (undefined: somebody by hand). */
export interface SimulatedChange {
  readonly client: string | undefined;
  readonly before: LeaseSnapshot | undefined;
  readonly after: LeaseSnapshot | undefined;
}

/** What a simulated Lease can be told. */
export interface SimulatedLeaseOptions {
  /** Milliseconds each way. Default 1. */
  readonly latencyMs?: number | undefined;
  /** Gives out resourceVersions, each larger than the last: for several Leases of one cluster. Default: 1, 2, … */
  readonly nextVersion?: (() => number) | undefined;
  /** Hears of every change as it is stored. */
  readonly onChange?: ((change: SimulatedChange) => void) | undefined;
}

interface Watcher {
  readonly lock: SimulatedLeaseLock;
  readonly onEvent: (event: WatchEvent) => void;
  readonly deliver: Deliver;
  readonly end: (error?: LeaseRequestError) => void;
}

type Deliver = (callback: () => void) => void;

const DEFAULT_LATENCY_MS = 1;
/** How many versions back a stale read can go. */
const REMEMBERED_VERSIONS = 8;

/**
 * A Lease in memory, on simulated time: it behaves as one Lease on an API server does, for any number of clients, and can
 * inject faults for each client. For tests of elections; use the embedded API server for tests with a network.
 */
export class SimulatedLease {
  readonly #time: SimulatedTime;
  readonly #latencyMs: number;
  readonly #nextVersion: () => number;
  readonly #onChange: (change: SimulatedChange) => void;
  readonly #watchers = new Set<Watcher>();
  readonly #past: (LeaseSnapshot | undefined)[] = [];
  #stored: LeaseSnapshot | undefined;
  #version = 0;
  #created = 0;
  /** Each start of the server breaks the connections of the one before. */
  #starts = 1;
  #isUp = true;
  /** Every request that arrived, in order. */
  readonly requests: SimulatedRequest[] = [];

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor(time: SimulatedTime, options: SimulatedLeaseOptions = {}) {
    const { latencyMs } = options;
    refuseInvalid('The options of a SimulatedLease', { latencyMs }, { latencyMs: DURATION });
    this.#time = time;
    this.#latencyMs = options.latencyMs ?? DEFAULT_LATENCY_MS;
    this.#nextVersion = options.nextVersion ?? (() => this.#version + 1);
    this.#onChange = options.onChange ?? (() => undefined);
  }

  /** The lease as the server has it. */
  get stored(): LeaseSnapshot | undefined {
    return this.#stored;
  }

  /** Somebody edits the record by hand, or makes the Lease; `carried`: what else it holds. Default: as before. */
  edit(record: LeaseRecord, carried: unknown = this.#stored?.carried): void {
    const { uid } = this.#stored ?? {};
    this.#store(undefined, { record, carried, uid: uid ?? this.#newUid() }, uid === undefined);
  }

  /** Somebody changes labels or annotations: a new version of the same record. */
  relabel(): void {
    if (this.#stored !== undefined) this.#store(undefined, this.#stored, true);
  }

  /** Somebody deletes the Lease. */
  delete(): void {
    if (this.#stored === undefined) return;
    this.#version = this.#nextVersion();
    this.#put(undefined, undefined, { kind: 'deleted', resourceVersion: String(this.#version) });
  }

  /** The server goes down: connections break, watches end, and nothing is answered until it is up again. */
  goDown(): void {
    this.#isUp = false;
    this.#starts += 1;
    for (const watcher of [...this.#watchers]) watcher.end(unreachable('The connection broke.', true));
  }

  comeUp(): void {
    this.#isUp = true;
  }

  /**
   * A way to the lease for the client of that name.
   *
   * @param deliver Runs what the client hears: the event loop of its process. Default: at once.
   */
  lock(client: string, deliver: Deliver = atOnce): SimulatedLeaseLock {
    const carry = <T>(
      request: Pick<SimulatedRequest, 'verb' | 'record'>,
      call: LeaseCall,
      carryOut: (faults: RequestFaults) => T,
    ): Promise<T> =>
      this.#carry(
        { ...request, client, newConnection: call.newConnection },
        { lock, deliver, call, carryOut },
      );
    const lock: SimulatedLeaseLock = {
      fate: () => 'answer',
      eventFate: () => ({}),
      watchStalled: false,
      describe: () => 'default/simulated',
      get: (call) => carry({ verb: 'get', record: undefined }, call, (faults) => this.#read(faults)),
      create: (record, call, carried) =>
        carry({ verb: 'create', record }, call, () => this.#create(client, record, carried)),
      update: (base, record, call) =>
        carry({ verb: 'update', record }, call, () => this.#update(client, base, record)),
      watch: (onEvent, signal) => this.#watch(lock, deliver, onEvent, signal),
      endWatch: (error) => {
        for (const watcher of [...this.#watchers]) if (watcher.lock === lock) watcher.end(error);
      },
    };
    return lock;
  }

  #read({ versionsBehind = 0 }: RequestFaults): LeaseSnapshot | undefined {
    return versionsBehind === 0 ? this.#stored : this.#past.at(-versionsBehind);
  }

  #create(client: string, record: LeaseRecord, carried: unknown): WriteOutcome {
    if (this.#stored !== undefined) return { kind: 'conflict' };
    return { kind: 'written', snapshot: this.#store(client, { record, carried, uid: this.#newUid() }, true) };
  }

  #update(client: string, base: LeaseSnapshot, record: LeaseRecord): WriteOutcome {
    const stored = this.#stored;
    if (stored?.uid !== base.uid || stored.resourceVersion !== base.resourceVersion)
      return { kind: 'conflict' };
    return { kind: 'written', snapshot: this.#store(client, { ...base, record }, false) };
  }

  /** As the API server does: a write that changes nothing gets no version, and nobody hears of it. */
  #store(
    client: string | undefined,
    lease: Omit<LeaseSnapshot, 'resourceVersion'>,
    always: boolean,
  ): LeaseSnapshot {
    if (!always && this.#stored !== undefined && isSameObject(this.#stored, lease)) return this.#stored;
    this.#version = this.#nextVersion();
    const snapshot = { ...lease, resourceVersion: String(this.#version) };
    this.#put(client, snapshot, { kind: 'seen', snapshot });
    return snapshot;
  }

  #put(client: string | undefined, after: LeaseSnapshot | undefined, event: WatchEvent): void {
    const before = this.#stored;
    this.#past.push(before);
    if (this.#past.length > REMEMBERED_VERSIONS) this.#past.shift();
    this.#stored = after;
    this.#onChange({ client, before, after });
    for (const watcher of this.#watchers) this.#tell(watcher, event);
  }

  #newUid(): string {
    this.#created += 1;
    return `uid-${String(this.#created)}`;
  }

  #tell(watcher: Watcher, event: WatchEvent): void {
    const faults = watcher.lock.eventFate(event);
    const { dropped = false, delayMs = 0, copies = 1, copyAfterMs = 0, versionsBehind = 0 } = faults;
    if (dropped) return;
    const stale = event.kind === 'seen' && versionsBehind > 0 ? this.#past.at(-versionsBehind) : undefined;
    const told: WatchEvent = stale === undefined ? event : { kind: 'seen', snapshot: stale };
    for (let copy = 0; copy < copies; copy++) {
      this.#time.schedule(this.#latencyMs + delayMs + copy * copyAfterMs, () => {
        watcher.deliver(() => {
          if (this.#watchers.has(watcher) && !watcher.lock.watchStalled) watcher.onEvent(told);
        });
      });
    }
  }

  #watch(
    lock: SimulatedLeaseLock,
    deliver: Deliver,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#watchers.delete(watcher);
        resolve();
      };
      const end = (error?: LeaseRequestError): void => {
        this.#time.schedule(this.#latencyMs, () => {
          deliver(() => {
            this.#watchers.delete(watcher);
            if (error === undefined) resolve();
            else reject(error);
          });
        });
      };
      const watcher: Watcher = { lock, onEvent, deliver, end };
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      if (!this.#isUp) {
        end(unreachable('Connection refused.', false));
        return;
      }
      this.#watchers.add(watcher);
      this.#tell(watcher, { kind: 'opened' });
      if (this.#stored !== undefined) this.#tell(watcher, { kind: 'seen', snapshot: this.#stored });
    });
  }

  #carry<T>(
    request: SimulatedRequest,
    way: {
      readonly lock: SimulatedLeaseLock;
      readonly deliver: Deliver;
      readonly call: LeaseCall;
      readonly carryOut: (faults: RequestFaults) => T;
    },
  ): Promise<T> {
    const faults = asRequestFaults(way.lock.fate(request));
    const { signal } = way.call;
    const sentTo = this.#starts;
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      if (faults.lost === 'request') return;
      const answer = (hear: () => void): void => {
        if (faults.lost === 'reply') return;
        this.#time.schedule(this.#latencyMs + (faults.replyDelayMs ?? 0), () => {
          way.deliver(hear);
        });
      };
      const arrive = (isTheOneAnswered: boolean): void => {
        if (sentTo !== this.#starts || !this.#isUp) {
          const broken = unreachable('The connection broke.', sentTo !== this.#starts);
          answer(() => {
            reject(broken);
          });
          return;
        }
        this.requests.push(request);
        const carriedOut = faults.carriedOut ?? (faults.error === undefined && faults.conflict !== true);
        const result = carriedOut ? way.carryOut(faults) : undefined;
        if (!isTheOneAnswered) return;
        answer(() => {
          if (faults.error !== undefined) reject(faults.error);
          else if (faults.conflict === true && request.verb !== 'get')
            resolve({ kind: 'conflict' } satisfies WriteOutcome as T);
          else resolve(result as T);
        });
      };
      this.#deliverToServer(faults, arrive);
    });
  }

  #deliverToServer(faults: RequestFaults, arrive: (isTheOneAnswered: boolean) => void): void {
    const { delayMs = 0, copyAfterMs, copyAnswered = false } = faults;
    this.#time.schedule(this.#latencyMs + delayMs, () => {
      arrive(!copyAnswered || copyAfterMs === undefined);
    });
    if (copyAfterMs === undefined) return;
    this.#time.schedule(this.#latencyMs + delayMs + copyAfterMs, () => {
      arrive(copyAnswered);
    });
  }
}

function isSameObject(a: LeaseSnapshot, b: Omit<LeaseSnapshot, 'resourceVersion'>): boolean {
  return sameRecord(a.record, b.record) && a.record.wantedBy === b.record.wantedBy && a.carried === b.carried;
}

function atOnce(callback: () => void): void {
  callback();
}

function unreachable(what: string, maybeCommitted: boolean): LeaseRequestError {
  return new LeaseRequestError('LEADER_UNREACHABLE', `${what} The simulated API server is down.`, {
    maybeCommitted,
  });
}
