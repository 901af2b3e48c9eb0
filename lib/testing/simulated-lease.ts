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
} from '../election/internal.js';
import {
  asRequestFaults,
  type EventFaults,
  type RequestFate,
  type RequestFaults,
} from './simulated-faults.js';
import type { SimulatedTime } from './simulated-time.js';

/** A request to the simulated server, whether or not it arrives. */
export interface SimulatedRequest {
  readonly verb: 'get' | 'create' | 'update';
  /** The client that sent it. */
  readonly client: string;
  /** The record to write. */
  readonly record: LeaseRecord | undefined;
  /** Whether the client asked for a new connection. */
  readonly newConnection: boolean;
}

/** The lock through which one client uses the simulated Lease. */
export interface SimulatedLeaseLock extends LeaseLock {
  watch: NonNullable<LeaseLock['watch']>;
  /** @param carried What else a new Lease contains. Default: nothing. */
  create(record: LeaseRecord, call: LeaseCall, carried?: unknown): Promise<WriteOutcome>;
  /** Decides what happens to each request of this client. Default: it is answered. */
  fate: (request: SimulatedRequest) => RequestFate;
  /** Decides what happens to each event of this client's watch. Default: it is sent once, without delay. */
  eventFate: (event: WatchEvent) => EventFaults;
  /** While this is true, events are dropped; the watch stays open. */
  watchStalled: boolean;
  /**
   * Whether this client knows the annotation in which a holder writes about its process. One that does not, as client-go,
   * keeps what it finds there. Default: true.
   */
  knowsProcess: boolean;
  /** From now on this client's watch shows nothing, and does not end either, as on a half-open connection. The next one works. */
  hangWatch(): void;
  /** Whether this client's watch hangs. */
  readonly watchHangs: boolean;
  /** Each watch that this client opens from now on is refused with this error; undefined: none is. Default: undefined. */
  watchRefusal: LeaseRequestError | undefined;
  /** Ends this client's watch, if it has one: normally, or with an error. */
  endWatch(error?: LeaseRequestError): void;
}

/** A change of the Lease: its state before and after, and the client that made it (undefined: a change by hand). */
export interface SimulatedChange {
  readonly client: string | undefined;
  readonly before: LeaseSnapshot | undefined;
  readonly after: LeaseSnapshot | undefined;
}

/** The clocks of the API servers behind one address. */
export interface ServerClocks {
  readonly aheadMs: readonly number[];
  readonly marginMs: number;
}

/** The options of a simulated Lease. */
export interface SimulatedLeaseOptions {
  /** The latency in each direction, in milliseconds. Default 1. */
  readonly latencyMs?: number | undefined;
  /**
   * Returns the next resourceVersion, each larger than the last. Lets several Leases share the versions of one
   * cluster. Default: 1, 2, …
   */
  readonly nextVersion?: (() => number) | undefined;
  /**
   * Reads say how old a record is, by the clocks of these API servers: by how many milliseconds each is ahead of the real time, and
   * by how much the clients believe that they differ at most. Each request goes to one of them. Default: reads do not say it.
   */
  readonly serverClocks?: ServerClocks | undefined;
  /** Called with every change when it is stored. */
  readonly onChange?: ((change: SimulatedChange) => void) | undefined;
}

interface Watcher {
  readonly lock: SimulatedLeaseLock;
  readonly onEvent: (event: WatchEvent) => void;
  readonly deliver: Deliver;
  readonly end: (error?: LeaseRequestError) => void;
  hangs: boolean;
}

type Deliver = (callback: () => void) => void;

/** What a holder wrote about itself, and the record with which it did. */
interface AboutHolder extends Pick<LeaseRecord, 'process' | 'note'> {
  readonly record: LeaseRecord;
}

const DEFAULT_LATENCY_MS = 1;
/** How many versions back a stale read can go. */
const REMEMBERED_VERSIONS = 8;

/**
 * A Lease in memory, on simulated time. It behaves like a Lease on an API server, for any number of clients, and can
 * inject faults for each client. It is for tests of elections; for tests with a network use the embedded API server.
 */
export class SimulatedLease {
  readonly #time: SimulatedTime;
  readonly #latencyMs: number;
  readonly #nextVersion: () => number;
  readonly #onChange: (change: SimulatedChange) => void;
  readonly #serverClocks: ServerClocks | undefined;
  /** When a server stored a snapshot, by its own clock. */
  readonly #storedOn = new WeakMap<LeaseSnapshot, number>();
  readonly #watchers = new Set<Watcher>();
  readonly #past: (LeaseSnapshot | undefined)[] = [];
  #stored: LeaseSnapshot | undefined;
  /** The annotations about the holder. Clients that do not know it keep it. */
  #about: AboutHolder | undefined;
  #version = 0;
  #created = 0;
  /** How often the server was started. A restart breaks the connections to the server before it. */
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
    this.#serverClocks = options.serverClocks;
  }

  /** The Lease as the server has it. */
  get stored(): LeaseSnapshot | undefined {
    return this.#stored;
  }

  /**
   * Changes the record by hand, or creates the Lease. `carried` is what else the Lease contains. Default: unchanged. What the
   * holder wrote about its process stays, but counts only for its own record.
   */
  edit(record: LeaseRecord, carried: unknown = this.#stored?.carried): void {
    const { uid, record: before } = this.#stored ?? {};
    const { process = before?.process, note = before?.note } = record;
    const isKept = process === before?.process && note === before?.note;
    const about = isKept ? this.#about : aboutHolder(record);
    this.#store(undefined, { record, carried, uid: uid ?? this.#newUid() }, uid === undefined, about);
  }

  /** Changes labels or annotations by hand: a new version with the same record. `carried` is as in {@link edit}. */
  relabel(carried: unknown = this.#stored?.carried): void {
    if (this.#stored !== undefined) this.#store(undefined, { ...this.#stored, carried }, true, this.#about);
  }

  /** Deletes the Lease by hand. */
  delete(): void {
    if (this.#stored === undefined) return;
    this.#about = undefined;
    this.#version = this.#nextVersion();
    this.#put(undefined, undefined, { kind: 'deleted', resourceVersion: String(this.#version) });
  }

  /** Stops the server: connections break, watches end, and no request is answered until it is up again. */
  goDown(): void {
    this.#isUp = false;
    this.#starts += 1;
    for (const watcher of [...this.#watchers])
      if (!watcher.hangs) watcher.end(unreachable('The connection broke.', true));
  }

  comeUp(): void {
    this.#isUp = true;
  }

  /**
   * The lock of a client.
   *
   * @param deliver Runs the client's callbacks, as the event loop of its process. Default: at once.
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
    const watchers = (): Watcher[] => [...this.#watchers].filter((watcher) => watcher.lock === lock);
    const lock: SimulatedLeaseLock = {
      fate: () => 'answer',
      eventFate: () => ({}),
      watchStalled: false,
      watchRefusal: undefined,
      knowsProcess: true,
      describe: () => 'default/simulated',
      get: (call) => carry({ verb: 'get', record: undefined }, call, (faults) => this.#read(faults)),
      create: (record, call, carried) =>
        carry({ verb: 'create', record }, call, () => this.#create(client, record, carried)),
      update: (base, record, call) =>
        carry({ verb: 'update', record }, call, () =>
          this.#update(client, base, record, lock.knowsProcess ? aboutHolder(record) : this.#about),
        ),
      watch: (onEvent, signal) => this.#watch(lock, deliver, onEvent, signal),
      hangWatch: () => {
        for (const watcher of watchers()) watcher.hangs = true;
      },
      get watchHangs() {
        return watchers().some(({ hangs }) => hangs);
      },
      endWatch: (error) => {
        for (const watcher of watchers()) if (!watcher.hangs) watcher.end(error);
      },
    };
    return lock;
  }

  #read({ versionsBehind = 0 }: RequestFaults): LeaseSnapshot | undefined {
    const shown = versionsBehind === 0 ? this.#stored : this.#past.at(-versionsBehind);
    if (shown === undefined || this.#serverClocks === undefined) return shown;
    const storedOn = this.#storedOn.get(shown) ?? Number.NaN;
    // An API server prints both times in whole seconds.
    const [answeredIn, storedIn] = [this.#serverTime(this.#serverClocks), storedOn].map((ms) =>
      Math.floor(ms / 1_000),
    );
    const ageMs = (Number(answeredIn) - Number(storedIn) - 1) * 1_000 - this.#serverClocks.marginMs;
    return ageMs > 0 ? { ...shown, ageMs } : shown;
  }

  #serverTime({ aheadMs }: ServerClocks): number {
    return this.#time.now + this.#time.chance.oneOf(aheadMs);
  }

  #create(client: string, record: LeaseRecord, carried: unknown): WriteOutcome {
    if (this.#stored !== undefined) return { kind: 'conflict' };
    const lease = { record, carried, uid: this.#newUid() };
    return { kind: 'written', snapshot: this.#store(client, lease, true, aboutHolder(record)) };
  }

  #update(
    client: string,
    base: LeaseSnapshot,
    record: LeaseRecord,
    about: AboutHolder | undefined,
  ): WriteOutcome {
    const stored = this.#stored;
    const { uid, carried } = base;
    if (stored?.uid !== uid || stored.resourceVersion !== base.resourceVersion) return { kind: 'conflict' };
    return { kind: 'written', snapshot: this.#store(client, { uid, carried, record }, false, about) };
  }

  /** As on an API server, a write that changes nothing gets no new version and causes no event. */
  #store(
    client: string | undefined,
    { record: written, ...rest }: Omit<LeaseSnapshot, 'resourceVersion'>,
    always: boolean,
    about: AboutHolder | undefined,
  ): LeaseSnapshot {
    this.#about = about;
    const lease = { ...rest, record: withAbout(written, about) };
    if (!always && this.#stored !== undefined && isSameObject(this.#stored, lease)) return this.#stored;
    this.#version = this.#nextVersion();
    const snapshot = { ...lease, resourceVersion: String(this.#version) };
    if (this.#serverClocks !== undefined) this.#storedOn.set(snapshot, this.#serverTime(this.#serverClocks));
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
          if (this.#watchers.has(watcher) && !watcher.hangs && !watcher.lock.watchStalled)
            watcher.onEvent(told);
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
      const watcher: Watcher = { lock, onEvent, deliver, end, hangs: false };
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      if (!this.#isUp) {
        end(unreachable('Connection refused.', false));
        return;
      }
      if (lock.watchRefusal !== undefined) {
        end(lock.watchRefusal);
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

function aboutHolder(record: LeaseRecord): AboutHolder | undefined {
  const { process, note } = record;
  if (process === undefined && note === undefined) return undefined;
  return { record, ...(process !== undefined && { process }), ...(note !== undefined && { note }) };
}

/** The record with what its holder wrote about itself: nothing, if anybody else has written it since. */
function withAbout(record: LeaseRecord, about: AboutHolder | undefined): LeaseRecord {
  const { process, note } = about !== undefined && isOf(about, record) ? about : {};
  if (process === record.process && note === record.note) return record;
  const { process: _, note: __, ...rest } = record;
  return { ...rest, ...(process !== undefined && { process }), ...(note !== undefined && { note }) };
}

function isOf({ record: { renewTime, holderIdentity } }: AboutHolder, record: LeaseRecord): boolean {
  return record.holderIdentity === holderIdentity && record.renewTime === renewTime;
}

function isSameObject(a: LeaseSnapshot, b: Omit<LeaseSnapshot, 'resourceVersion'>): boolean {
  const { record } = a;
  return (
    sameRecord(record, b.record) &&
    record.wantedBy === b.record.wantedBy &&
    record.process === b.record.process &&
    record.note === b.record.note &&
    a.carried === b.carried
  );
}

function atOnce(callback: () => void): void {
  callback();
}

function unreachable(what: string, maybeCommitted: boolean): LeaseRequestError {
  return new LeaseRequestError('LEADER_UNREACHABLE', `${what} The simulated API server is down.`, {
    maybeCommitted,
  });
}
