import { LeaseRequestError, type WatchEvent } from '../../election/internal.js';
import type { Chance } from '../chance.js';
import type { EventFaults, RequestFaults } from '../simulated-faults.js';
import type { SimulatedRequest } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { FaultKind, pathFaultKinds, watchFaultKinds } from './fault-kinds.js';
import { faultsOf, passingFailure, type RequestFaultKind } from './request-faults.js';

type PathFaultKind = (typeof pathFaultKinds)[number];
type WatchFaultKind = Extract<
  (typeof watchFaultKinds)[number],
  'eventsDelayed' | 'eventsRepeated' | 'eventsDropped' | 'eventsStale'
>;

/** A state that lasts until an instant of true time. */
interface Spell<T> {
  readonly what: T;
  readonly until: number;
}

/** A cut of the path. `holds`: what was sent meanwhile arrives when the cut ends, as with TCP. */
interface Cut {
  readonly kind: PathFaultKind;
  readonly holds: boolean;
}

/** What a path needs from the simulation. */
export interface PathSurroundings {
  readonly time: SimulatedTime;
  /** The longest delay, in milliseconds. */
  readonly longestDelayMs: number;
  /** Called when a fault strikes this process. */
  readonly struck: (kind: FaultKind) => void;
}

/** The network path from one process to the API server, and the faults on it. */
export class Path {
  readonly #time: SimulatedTime;
  readonly #chance: Chance;
  readonly #surroundings: PathSurroundings;
  #cut: Spell<Cut> | undefined;
  #weather: Spell<{ readonly kinds: readonly RequestFaultKind[]; readonly probability: number }> | undefined;
  #events: Spell<WatchFaultKind> | undefined;
  /** How much the watch lags, in milliseconds. */
  #lagMs = 0;
  #nextWriteFails = false;
  #atNextWrite: (() => void) | undefined;
  /** The connection in use is dead without an error; only a new one works. */
  #connectionHangs = false;

  constructor(surroundings: PathSurroundings) {
    this.#surroundings = surroundings;
    this.#time = surroundings.time;
    this.#chance = surroundings.time.chance;
  }

  /** Cuts the path in one or both directions for a while, or lets every request be refused. */
  cut(kind: PathFaultKind, forMs: number): void {
    this.#cut = {
      what: { kind, holds: this.#chance.happens(0.5) },
      until: this.#time.now + forMs,
    };
    this.#surroundings.struck(kind);
  }

  /** For a while each request may suffer one of these faults. */
  storm(kinds: readonly RequestFaultKind[], probability: number, forMs: number): void {
    this.#weather = { what: { kinds, probability }, until: this.#time.now + forMs };
  }

  /** For a while events of the watch are delayed, repeated, dropped or stale. */
  garbleEvents(kind: WatchFaultKind, forMs: number): void {
    this.#events = { what: kind, until: this.#time.now + forMs };
    this.#surroundings.struck(kind);
  }

  /** Lets the next write fail for a temporary reason. */
  failNextWrite(): void {
    this.#nextWriteFails = true;
  }

  /** Calls this when the next write is sent. */
  atNextWrite(callback: () => void): void {
    this.#atNextWrite = callback;
  }

  /** Delays all events of watches from now on. */
  lag(ms: number): void {
    this.#lagMs = ms;
  }

  heal(): void {
    this.#cut = undefined;
    this.#weather = undefined;
    this.#events = undefined;
    this.#connectionHangs = false;
    this.#lagMs = 0;
    this.#atNextWrite = undefined;
  }

  fateOf(request: SimulatedRequest): RequestFaults {
    if (request.verb !== 'get') {
      this.#atNextWrite?.();
      this.#atNextWrite = undefined;
    }
    if (this.#nextWriteFails && request.verb !== 'get') {
      this.#nextWriteFails = false;
      return passingFailure(this.#chance);
    }
    const cut = this.#lasting(this.#cut);
    if (cut !== undefined) {
      const faults = this.#fateUnder(cut, request);
      if (faults !== undefined) return faults;
    }
    if (this.#connectionHangs) {
      if (!request.newConnection) return { lost: this.#chance.oneOf(['request', 'reply']) };
      this.#connectionHangs = false;
    }
    return this.#fateInWeather(request);
  }

  fateOfEvent({ kind }: WatchEvent): EventFaults {
    if (this.#lagMs > 0) return { delayMs: kind === 'opened' ? 0 : this.#lagMs };
    const spell = this.#lasting(this.#events);
    const { longestDelayMs } = this.#surroundings;
    switch (spell?.what) {
      case undefined:
        return { delayMs: this.#chance.next() };
      case 'eventsDelayed':
        return { delayMs: this.#chance.skewed(longestDelayMs) };
      case 'eventsRepeated':
        return { copies: this.#chance.integer(2, 3), copyAfterMs: this.#chance.skewed(longestDelayMs) };
      case 'eventsDropped':
        return { dropped: this.#chance.happens(0.6) };
      case 'eventsStale':
        // Only a watch may be served from a stale cache; a get is not.
        return { versionsBehind: this.#chance.integer(0, 3) };
    }
  }

  /** Delivers a callback to the process, unless the path to it is cut. */
  bring(callback: () => void, toLoop: (callback: () => void) => void): void {
    const cut = this.#lasting(this.#cut);
    const passes = cut === undefined || !(cut.what.kind === 'partition' || cut.what.kind === 'repliesCut');
    if (passes) {
      toLoop(callback);
    } else if (cut.what.holds) {
      this.#time.schedule(cut.until - this.#time.now + this.#chance.next(), () => {
        toLoop(callback);
      });
    }
  }

  #fateUnder({ what, until }: Spell<Cut>, { verb }: SimulatedRequest): RequestFaults | undefined {
    switch (what.kind) {
      case 'unauthorized401':
        return { error: refusal('LEADER_UNAUTHORIZED', '401') };
      case 'forbidden403':
        return { error: refusal('LEADER_FORBIDDEN', '403') };
      case 'writesRefused500':
        // As with a full database: reads succeed, and writes fail.
        return verb === 'get' ? undefined : { error: WRITE_FAILED };
      case 'repliesCut':
        return undefined;
      case 'writesHang':
        if (verb === 'get') return undefined;
        break;
      case 'partition':
      case 'requestsCut':
        break;
    }
    return what.holds ? { delayMs: until - this.#time.now + this.#chance.next() } : { lost: 'request' };
  }

  #fateInWeather(request: SimulatedRequest): RequestFaults {
    const weather = this.#lasting(this.#weather)?.what;
    const usual = { delayMs: this.#chance.next(), replyDelayMs: this.#chance.next() };
    if (weather === undefined || !this.#chance.happens(weather.probability)) return usual;
    const kind = this.#chance.oneOf(weather.kinds);
    const { longestDelayMs } = this.#surroundings;
    if (kind === 'requestHangs') this.#connectionHangs = true;
    const faults = faultsOf(kind, request, this.#chance, longestDelayMs);
    if (faults === undefined) return usual;
    this.#surroundings.struck(kind);
    return { ...usual, ...faults };
  }

  #lasting<T>(spell: Spell<T> | undefined): Spell<T> | undefined {
    return spell !== undefined && this.#time.now < spell.until ? spell : undefined;
  }
}

const WRITE_FAILED = new LeaseRequestError('LEADER_SERVER_ERROR', 'Simulated 500.', { maybeCommitted: true });

function refusal(code: 'LEADER_UNAUTHORIZED' | 'LEADER_FORBIDDEN', status: string): LeaseRequestError {
  return new LeaseRequestError(code, `Simulated ${status}.`, { maybeCommitted: false });
}
