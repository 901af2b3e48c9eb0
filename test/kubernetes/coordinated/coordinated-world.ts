/** A coordinated election in simulated time, in which the test is the API server that elects. */
import {
  LeaseElector,
  resolveElectionOptions,
  type ElectionFact,
  type ElectionOptions,
  type Elector,
  type LeaderError,
  type LeaseRecord,
  type LeaseSnapshot,
  type LeadershipTerm,
  type MicroTime,
  type TermGuard,
  type WriteOutcome,
} from '../../../lib/election/index.js';
import type { ApiObject } from '../../../lib/kubernetes/api-object.js';
import {
  CoordinatedElector,
  type Coordination,
  type LeaseObjectLock,
} from '../../../lib/kubernetes/index.js';
import type { SimulatedClockOptions } from '../../../lib/testing/simulated-clock.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

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

  /** Writes like the API server's controller: a holder, a short duration, and no acquireTime. */
  elect(identity: string): void {
    const record = { ...this.#record, holderIdentity: identity, leaseDurationSeconds: 5 };
    const { preferredHolder: _, ...spec } = this.#object.spec ?? {};
    const object = { ...this.#object, spec };
    this.lease.edit({ ...record, acquireTime: undefined, renewTime: this.#now }, object);
  }

  prefer(identity: string): void {
    const spec = { ...this.#object.spec, preferredHolder: identity };
    this.lease.edit(this.#record, { ...this.#object, spec });
  }

  /** The holder that the server prefers. */
  get preferredHolder(): unknown {
    return this.#object.spec?.['preferredHolder'];
  }

  /** The note of the last holder. */
  get heldAt(): unknown {
    return this.#object.metadata.annotations?.['nestjs-leader/held-at'];
  }

  /** The processes whose term says that it is not over. */
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

  get #object(): ApiObject {
    return objectIn(this.lease.stored);
  }

  get #now(): MicroTime {
    return new Date(this.time.now).toISOString().replace('Z', '000Z') as MicroTime;
  }
}

const EMPTY_OBJECT: ApiObject = { metadata: { uid: '', resourceVersion: '' } };

/** What a snapshot of the simulated Lease contains besides its record. */
export function objectIn(snapshot: LeaseSnapshot | undefined): ApiObject {
  return (snapshot?.carried as ApiObject | undefined) ?? EMPTY_OBJECT;
}

/** Every snapshot carries an object, like those of a KubernetesLeaseLock. */
export function withObjects(lock: SimulatedLeaseLock): LeaseObjectLock {
  const seen = (snapshot: LeaseSnapshot): LeaseSnapshot => {
    const object = objectIn(snapshot);
    const spec = { ...object.spec, holderIdentity: snapshot.record.holderIdentity };
    return { ...snapshot, carried: { ...object, spec } };
  };
  const written = (outcome: WriteOutcome): WriteOutcome =>
    outcome.kind === 'written' ? { ...outcome, snapshot: seen(outcome.snapshot) } : outcome;
  return {
    describe: () => lock.describe(),
    get: async (call) => {
      const snapshot = await lock.get(call);
      return snapshot && seen(snapshot);
    },
    create: async (record, call, annotations) => {
      const object: ApiObject = { metadata: { ...EMPTY_OBJECT.metadata, annotations } };
      return written(await lock.create(record, call, object));
    },
    update: async (base, record, call) => written(await lock.update(base, record, call)),
    watch: (onEvent, signal) =>
      lock.watch((event) => {
        onEvent(event.kind === 'seen' ? { ...event, snapshot: seen(event.snapshot) } : event);
      }, signal),
  };
}

/** The properties of a process. */
interface CandidateParts {
  readonly guard?: TermGuard;
  /** Whether it has the option `coordinated`. Default true. */
  readonly coordinated?: boolean;
}

export class CandidateProcess implements Coordination {
  elects: boolean | undefined = true;
  objection: LeaderError | undefined;
  isUp = false;
  /** How long a withdrawal takes, because it needs requests. */
  withdrawalMs = 2;
  ended = false;
  term: LeadershipTerm | undefined;
  readonly facts: ElectionFact[] = [];
  readonly lock: SimulatedLeaseLock;
  readonly elector: Elector;
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
    const parts = {
      lock: withObjects(this.lock),
      clock: world.time.clock(clock),
      guard,
      meter: (fact: ElectionFact): unknown => this.facts.push(fact),
      options: resolveElectionOptions(
        { leaseName: 'simulated', ...options },
        { leaseNamespace: 'default', identity },
      ),
    };
    this.elector = coordinated
      ? new CoordinatedElector({ ...parts, coordination: this })
      : new LeaseElector(parts);
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

  /** Cuts the connection in both directions. */
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
      this.#withdrawn = new Promise((resolve) => {
        this.#world.time.schedule(this.withdrawalMs, () => {
          this.#world.story.push(`${this.elector.identity} withdraws`);
          resolve();
        });
      });
    }
    return this.#withdrawn;
  }
}
