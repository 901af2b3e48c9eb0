import type { LeaseRecord, LeaseSnapshot } from '../../../lib/election/index.js';
import type { SimulatedClock } from '../../../lib/testing/simulated-clock.js';
import type { SimulatedLease } from '../../../lib/testing/simulated-lease.js';
import type { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { microTimeOf } from '../../../lib/testing/simulation/micro-time.js';
import { objectIn } from './coordinated-world.js';
import type { SimulatedCandidates, StoredCandidate } from './simulated-candidates.js';

/** Where a controller works, and how. */
export interface ControllerParts {
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  readonly candidates: SimulatedCandidates;
  /** By how much its wall clock is ahead, in milliseconds. */
  readonly aheadMs: number;
  /** How long changes take to reach it, in milliseconds. */
  readonly lagMs: number;
  /** Whether it gives the lease to any other candidate, each 5 s. No controller of Kubernetes does. */
  readonly isFickle: boolean;
}

/** The lease duration that it writes, the time between two looks, and the time it gives candidates to answer. */
const PERIOD_MS = 5_000;
const LATENCY_MS = 1;
const STRATEGY = 'OldestEmulationVersion';

/**
 * The controller of the API server that elects, as in Kubernetes 1.36.3
 * (`pkg/controlplane/controller/leaderelection`), for one lease. It looks at each change of the Lease or of a candidate,
 * and every 5 s. If an election is needed, it asks the candidates that it has not heard of for 5 s whether they are
 * alive. When they have answered, or have had 5 s, it writes the best of them into the Lease: as the holder if there is
 * none or its lease has expired by the controller's wall clock, otherwise as the preferred holder.
 */
export class ElectionController {
  readonly #parts: ControllerParts;
  readonly #clock: SimulatedClock;
  /** What it knows. */
  #lease: LeaseSnapshot | undefined;
  readonly #candidates: Map<string, StoredCandidate>;
  #isRunning = true;
  #isBusy = false;
  #mustLook = false;
  #willLook = false;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#clock = parts.time.clock({ wallOffsetMs: parts.aheadMs });
    this.#lease = parts.lease.stored;
    this.#candidates = new Map(parts.candidates.stored.map((each) => [each.metadata.name, each]));
    this.#later(() => {
      this.#look();
    });
  }

  stop(): void {
    this.#isRunning = false;
  }

  leaseChanged(lease: LeaseSnapshot | undefined): void {
    this.#parts.time.schedule(LATENCY_MS + this.#parts.lagMs, () => {
      this.#lease = lease;
      this.#lookAtChange();
    });
  }

  candidateChanged(name: string, candidate: StoredCandidate | undefined): void {
    this.#parts.time.schedule(LATENCY_MS + this.#parts.lagMs, () => {
      if (candidate === undefined) this.#candidates.delete(name);
      else this.#candidates.set(name, candidate);
      if (candidate === undefined || hasAnswered(candidate)) this.#lookAtChange();
    });
  }

  #lookAtChange(): void {
    if (!this.#parts.isFickle) this.#look();
  }

  #look(): void {
    this.#mustLook = this.#isBusy;
    if (!this.#isRunning || this.#isBusy) return;
    const known = this.#inSomeOrder([...this.#candidates.values()]);
    if (known.length === 0) return;
    this.#lookAgain();
    if (this.#parts.isFickle) this.#chooseAnother(known);
    else this.#elect(known);
  }

  #chooseAnother(known: readonly StoredCandidate[]): void {
    const { holderIdentity } = this.#parts.lease.stored?.record ?? {};
    const other = known.find(({ metadata }) => metadata.name !== holderIdentity);
    if (other !== undefined) this.#choose(other.metadata.name);
  }

  #elect(known: readonly StoredCandidate[]): void {
    if (!this.#mustElect(known)) return;
    const { candidates } = this.#parts;
    const now = this.#clock.date();
    const pingTime = microTimeOf(this.#clock);
    const isRecent = (at: string | undefined): boolean => Date.parse(at ?? '') + PERIOD_MS > now;
    let canVote = true;
    for (const candidate of known) {
      const { pingTime: asked, renewTime } = candidate.spec;
      const isAsked = isRecent(asked);
      if (isAsked && !hasAnswered(candidate)) canVote = false;
      else if (!isRecent(renewTime) && !isAsked && hasAnswered(candidate)) {
        canVote = false;
        this.#later(() => {
          candidates.ping(candidate, pingTime);
        });
      }
    }
    if (!canVote) return;
    const best = this.#bestOf(known.filter(({ spec }) => isRecent(spec.renewTime)));
    if (best !== undefined) this.#choose(best.metadata.name);
  }

  #lookAgain(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    this.#parts.time.schedule(PERIOD_MS, () => {
      this.#willLook = false;
      this.#look();
    });
  }

  #mustElect(known: readonly StoredCandidate[]): boolean {
    const { holderIdentity = '' } = this.#lease?.record ?? {};
    if (this.#lease === undefined || this.#isExpired(this.#lease.record) || holderIdentity === '')
      return true;
    return this.#bestOf(known)?.metadata.name !== holderIdentity;
  }

  #bestOf(candidates: readonly StoredCandidate[]): StoredCandidate | undefined {
    return candidates.toSorted(
      (one, other) =>
        compare(one.spec.emulationVersion, other.spec.emulationVersion) ||
        one.metadata.creationTimestamp - other.metadata.creationTimestamp,
    )[0];
  }

  #inSomeOrder<T>(list: readonly T[]): T[] {
    const { chance } = this.#parts.time;
    return list
      .map((each) => ({ each, at: chance.next() }))
      .sort((one, other) => one.at - other.at)
      .map(({ each }) => each);
  }

  /** Reads the Lease, and writes the choice on top of what it has read. */
  #choose(chosen: string): void {
    const { lease } = this.#parts;
    this.#isBusy = true;
    this.#later(() => {
      const existing = lease.stored;
      this.#later(() => {
        this.#isBusy = false;
        if (lease.stored === existing) this.#write(existing, chosen);
        if (this.#mustLook) this.#look();
      });
    });
  }

  #write(existing: LeaseSnapshot | undefined, chosen: string): void {
    const { lease } = this.#parts;
    const { record } = existing ?? {};
    const object = objectIn(existing);
    const { preferredHolder, ...others } = object.spec ?? {};
    const spec = { ...others, strategy: STRATEGY };
    const holder = record?.holderIdentity ?? '';
    if (record === undefined || holder === '' || (this.#isExpired(record) && holder !== chosen)) {
      const named: LeaseRecord = {
        leaseTransitions: undefined,
        ...record,
        holderIdentity: chosen,
        leaseDurationSeconds: PERIOD_MS / 1_000,
        acquireTime: undefined,
        renewTime: microTimeOf(this.#clock),
      };
      lease.edit(named, { ...object, spec });
    } else if (holder !== chosen && preferredHolder !== chosen)
      lease.edit(record, { ...object, spec: { ...spec, preferredHolder: chosen } });
  }

  #isExpired({ renewTime, leaseDurationSeconds }: LeaseRecord): boolean {
    if (this.#parts.isFickle || renewTime === undefined || leaseDurationSeconds === undefined) return true;
    return Date.parse(renewTime) + leaseDurationSeconds * 1_000 < this.#clock.date();
  }

  #later(act: () => void): void {
    this.#parts.time.schedule(LATENCY_MS, () => {
      if (this.#isRunning) act();
    });
  }
}

function hasAnswered({ spec: { pingTime = '', renewTime = '' } }: StoredCandidate): boolean {
  return renewTime >= pingTime;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
