/** A coordinated election in simulated time, in which the test is the API server that elects. */
import {
  LeaseElector,
  resolveElectionOptions,
  type Coordination,
  type ElectionFact,
  type ElectionOptions,
  type LeaderError,
  type LeaseRecord,
  type LeadershipTerm,
  type MicroTime,
  type TermGuard,
} from '../../lib/election/index.js';
import type { SimulatedClockOptions } from '../../lib/testing/simulated-clock.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

export class CoordinatedWorld {
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  /** What happened to the Lease and to candidates, in order: `a writes a`, `a withdraws`, … */
  readonly story: string[] = [];
  readonly candidates: CandidateProcess[] = [];

  constructor(seed = 1) {
    this.time = new SimulatedTime(seed);
    this.lease = new SimulatedLease(this.time, {
      onChange: ({ client, after }) => {
        this.story.push(`${client ?? 'server'} writes ${after?.record.holderIdentity ?? 'nothing'}`);
      },
    });
  }

  start(
    identity: string,
    options: Partial<ElectionOptions> = {},
    clock: SimulatedClockOptions = {},
    parts: CandidateParts = {},
  ): CandidateProcess {
    const candidate = new CandidateProcess(this, identity, options, clock, parts);
    this.candidates.push(candidate);
    return candidate;
  }

  /** As the API server's controller does: a name, a short duration, and no time of acquisition. */
  elect(identity: string): void {
    const { acquireTime: _, preferredHolder: __, ...kept } = this.#record;
    const record = { ...kept, acquireTime: undefined, holderIdentity: identity, leaseDurationSeconds: 5 };
    this.lease.edit({ ...record, renewTime: this.#now });
  }

  prefer(identity: string): void {
    this.lease.edit({ ...this.#record, preferredHolder: identity });
  }

  /** Those whose term is not over, by the look of those terms themselves. */
  get leaders(): string[] {
    return this.candidates.filter(({ leads }) => leads).map(({ elector }) => elector.identity);
  }

  get #record(): LeaseRecord {
    const none = {
      holderIdentity: '',
      leaseDurationSeconds: 5,
      acquireTime: undefined,
      renewTime: undefined,
      leaseTransitions: undefined,
    };
    return this.lease.stored?.record ?? none;
  }

  get #now(): MicroTime {
    return new Date(this.time.now).toISOString().replace('Z', '000Z') as MicroTime;
  }
}

/** What a process has, or has not. */
interface CandidateParts {
  readonly guard?: TermGuard;
  /** It has the option `coordinated`. Default true. */
  readonly coordinated?: boolean;
}

export class CandidateProcess implements Coordination {
  elects: boolean | undefined = true;
  objection: LeaderError | undefined;
  isUp = false;
  ended = false;
  term: LeadershipTerm | undefined;
  readonly facts: ElectionFact[] = [];
  readonly lock: SimulatedLeaseLock;
  readonly elector: LeaseElector;
  readonly #world: CoordinatedWorld;
  readonly #stop = new AbortController();
  #changed: () => void = () => undefined;
  #withdrawn: Promise<void> = Promise.resolve();

  constructor(
    world: CoordinatedWorld,
    identity: string,
    options: Partial<ElectionOptions>,
    clock: SimulatedClockOptions,
    { guard, coordinated = true }: CandidateParts,
  ) {
    this.#world = world;
    this.lock = world.lease.lock(identity);
    this.elector = new LeaseElector({
      lock: this.lock,
      clock: world.time.clock(clock),
      coordination: coordinated ? this : undefined,
      guard,
      meter: (fact) => this.facts.push(fact),
      options: resolveElectionOptions(
        { leaseName: 'simulated', ...options },
        { leaseNamespace: 'default', identity },
      ),
    });
    void this.elector
      .run(this.#stop.signal, (event) => {
        if (event.type === 'startedLeading') this.term = event.term;
        if (event.type === 'stoppedLeading') world.story.push(`${identity} stops, ${event.reason}`);
      })
      .then(() => {
        this.ended = true;
      });
  }

  get leads(): boolean {
    return this.term !== undefined && !this.term.isOver;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Nothing more gets through in either direction. */
  cutOff(): void {
    this.lock.fate = () => 'lose';
    this.lock.watchStalled = true;
  }

  learn(elects: boolean): void {
    this.elects = elects;
    this.#changed();
  }

  observe(changed: () => void): () => void {
    this.#changed = changed;
    return () => undefined;
  }

  stand(): void {
    if (!this.isUp) this.#world.story.push(`${this.elector.identity} stands`);
    this.isUp = true;
  }

  withdraw(): Promise<void> {
    if (this.isUp) {
      this.isUp = false;
      // It takes a request.
      this.#withdrawn = new Promise((resolve) => {
        this.#world.time.schedule(2, () => {
          this.#world.story.push(`${this.elector.identity} withdraws`);
          resolve();
        });
      });
    }
    return this.#withdrawn;
  }
}
