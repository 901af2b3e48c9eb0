/**
 * A small fleet on one Lease, as plain data: the state of each election, the Lease on its API server, and what is in flight
 * between them. Nothing here moves; moves.ts does.
 */
import {
  LONG_AGO,
  after,
  newElection,
  resolveElectionOptions,
  type Election,
  type ElectionEffect,
  type LeaseSnapshot,
  type MonotonicMs,
  type Reply,
  type WallMs,
  type WatchEvent,
  type WriteOutcome,
} from '../../election/internal.js';
import type { Guarantee } from '../simulation/index.js';

/** What is explored. */
export interface Scope {
  readonly electors: number;
  /** How many faults a schedule may have. */
  readonly faults: number;
  /** Time moves in ticks: by how many milliseconds the clocks of each process do with each. They differ if one runs faster. */
  readonly tickMs: readonly number[];
  /** `prompt`: a reply comes before anything else happens, unless it is held. `anyOrder`: at any time within its tick. */
  readonly replies: 'prompt' | 'anyOrder';
  /** The times of the election, in milliseconds. */
  readonly timing: Timing;
}

/** Options of an election, in milliseconds. */
export type Timing = Readonly<
  Record<'leaseDuration' | 'renewDeadline' | 'retryPeriod' | 'renewInterval' | 'drainTimeout', number>
>;

/** Everything at one instant. */
export interface World {
  /** How many ticks have passed. */
  readonly tick: number;
  readonly processes: readonly Process[];
  /** The Lease on the server; undefined if there is none. */
  readonly lease: LeaseSnapshot | undefined;
  /** The newest version on the server. */
  readonly version: number;
  /** How many Leases were created. */
  readonly created: number;
  /** The largest fencing token of a term so far. */
  readonly lastToken: number;
  /** How many faults there were. */
  readonly faults: number;
  /** The process that made the last step. It does not belong to the state: see `faultsOf()` of moves.ts. */
  readonly last: number | undefined;
  readonly broken: Broken | undefined;
}

/** A guarantee that was broken. */
export interface Broken {
  readonly guarantee: Guarantee;
  readonly what: string;
}

/** One process, and what is in flight between it and the server. */
export interface Process {
  readonly election: Election;
  readonly liveness: 'running' | 'frozen' | 'dead';
  /** How many pieces of gated work run. */
  readonly running: number;
  /** Work of a lost term delays the next term until then. */
  readonly drainsUntil: MonotonicMs;
  /** The term that has begun and has not ended. */
  readonly term: number | undefined;
  /** The term whose start observers heard of, and whose end they did not. */
  readonly announced: number | undefined;
  readonly requests: readonly Flight[];
  readonly stream: Stream | undefined;
}

/** A request that has not arrived, or its reply that has not. */
export interface Flight {
  readonly request: Sent;
  /** When its sender gives it up; `LONG_AGO` once it has. */
  readonly givesUpAt: MonotonicMs;
  /** Undefined until the server has carried it out. */
  readonly reply: Reply<WriteOutcome> | Reply<LeaseSnapshot | undefined> | undefined;
  /** It stays in flight for as long as it pleases. */
  readonly isHeld: boolean;
}

/** A request of an election. */
export type Sent = ElectionEffect & { readonly do: 'read' | 'write' };

/** An open watch: the events that it has not shown yet. */
export interface Stream {
  readonly number: number;
  readonly queue: readonly (WatchEvent | { readonly kind: 'ended' })[];
  /** Its events stay in flight for as long as they please. */
  readonly isHeld: boolean;
}

/** The letters by which stories call the processes; their identities. */
export const names = ['a', 'b', 'c'] as const;

/** Before anything has happened: each process is about to start. There is no Lease. */
export function newWorld({ electors, timing }: Scope): World {
  return {
    tick: 0,
    processes: names.slice(0, electors).map((identity) => ({
      election: newElection({
        options: resolveElectionOptions(
          { leaseName: 'explored', identity, jitterFactor: 0, ...timing },
          { leaseNamespace: 'default', identity },
        ),
        slot: 0,
        lease: 'default/explored',
        canWatch: true,
        isGuarded: false,
      }),
      liveness: 'running',
      running: 0,
      drainsUntil: LONG_AGO,
      term: undefined,
      announced: undefined,
      requests: [],
      stream: undefined,
    })),
    lease: undefined,
    version: 0,
    created: 0,
    lastToken: -1,
    faults: 0,
    last: undefined,
    broken: undefined,
  };
}

/** When the wall clocks were at the beginning. */
const BEGINNING = 1_767_225_600_000 as WallMs;

/**
 * The clocks of a process. Both run at its rate. The wall clocks differ by a millisecond, so that no two processes write equal
 * times; real ones do not, because of the random microseconds.
 */
export function clocksOf(
  { tick }: World,
  { tickMs }: Scope,
  process: number,
): { now: MonotonicMs; date: WallMs } {
  const now = (tick * (tickMs[process] as number)) as MonotonicMs;
  return { now, date: after(BEGINNING, now + process) };
}
