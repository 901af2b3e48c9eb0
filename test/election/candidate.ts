/** Candidates in a simulated world. */
import {
  LeaseElector,
  resolveElectionOptions,
  type Candidacy,
  type Clock,
  type ElectionEvent,
  type ElectionMeter,
  type ElectionOptions,
  type ElectorState,
  type LeadershipTerm,
  type LeaseElectorParts,
  type TermGuard,
  type WatchEvent,
} from '../../lib/election/index.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../lib/testing/simulated-lease.js';
import type { SimulatedClock, SimulatedClockOptions } from '../../lib/testing/simulated-clock.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

type MakeCandidacy = (clock: Clock) => Candidacy;

export class World {
  readonly time = new SimulatedTime();
  readonly lease = new SimulatedLease(this.time);

  /** Starts a candidate with that name; its timing is 15/10/2 s by default. */
  start(
    identity: string,
    options: Partial<ElectionOptions> = {},
    clock: SimulatedClockOptions = {},
    candidacy?: MakeCandidacy,
    guard?: TermGuard,
  ): Candidate {
    const candidate = this.prepare(identity, options, clock, candidacy, guard);
    candidate.start();
    return candidate;
  }

  prepare(
    identity: string,
    options: Partial<ElectionOptions> = {},
    clock: SimulatedClockOptions = {},
    candidacy?: MakeCandidacy,
    guard?: TermGuard,
    meter?: ElectionMeter,
    trace?: LeaseElectorParts['trace'],
  ): Candidate {
    return new Candidate(this, identity, options, clock, candidacy, guard, meter, trace);
  }
}

export class Candidate {
  readonly lock: SimulatedLeaseLock;
  readonly clock: SimulatedClock;
  readonly elector: LeaseElector;
  readonly events: ElectionEvent[] = [];
  /** The events in short: `started 3`, `stopped deadline`, `leader baz`, `error LEADER_…`. */
  readonly story: string[] = [];
  ended = false;
  readonly #stop = new AbortController();

  constructor(
    world: World,
    identity: string,
    options: Partial<ElectionOptions>,
    clock: SimulatedClockOptions,
    candidacy?: MakeCandidacy,
    guard?: TermGuard,
    meter?: ElectionMeter,
    trace?: LeaseElectorParts['trace'],
  ) {
    this.lock = world.lease.lock(identity);
    this.clock = world.time.clock(clock);
    this.elector = new LeaseElector({
      lock: this.lock,
      clock: this.clock,
      meter,
      trace,
      ...(candidacy !== undefined && { candidacy: candidacy(this.clock) }),
      guard,
      options: resolveElectionOptions(
        { leaseName: 'simulated', ...options },
        { leaseNamespace: 'default', identity },
      ),
    });
  }

  start(): void {
    void this.elector
      .run(this.#stop.signal, (event) => {
        this.events.push(event);
        const line = tell(event);
        if (line !== undefined) this.story.push(line);
      })
      .then(() => {
        this.ended = true;
      });
  }

  stop(): void {
    this.#stop.abort();
  }

  get state(): ElectorState {
    return this.elector.state;
  }

  get leads(): boolean {
    return this.state.kind === 'leading';
  }

  /** The present term. Throws if there is none. */
  get term(): LeadershipTerm {
    const { state } = this;
    if (state.kind !== 'leading' && state.kind !== 'handingOver') {
      throw new Error(`${this.elector.identity} has no term, it is ${state.kind}: ${this.story.join(', ')}`);
    }
    return state.term;
  }
}

/** Replaces the watch of a candidate by one that shows only the events of the test. */
export function fedByHand({ lock }: Candidate): (event: WatchEvent) => void {
  let tell: (event: WatchEvent) => void = () => undefined;
  lock.watch = (onEvent, signal) =>
    new Promise((resolve) => {
      tell = onEvent;
      onEvent({ kind: 'opened' });
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
  return (event) => {
    tell(event);
  };
}

function tell(event: ElectionEvent): string | undefined {
  switch (event.type) {
    case 'startedLeading':
      return `started ${event.term.fencingToken.toString()}`;
    case 'stoppedLeading':
      return `stopped ${event.reason}`;
    case 'newLeader':
      return `leader ${event.identity}`;
    case 'error':
      return `error ${event.error.code}`;
    case 'stateChanged':
      return undefined;
  }
}
