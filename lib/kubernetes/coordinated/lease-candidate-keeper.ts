import {
  LeaderError,
  SystemClock,
  isLeaderError,
  pause,
  type Clock,
  type Disposer,
  type LeaseCall,
  type LeaseLock,
} from '../../election/internal.js';
import type { KubernetesConnection } from '../connection.js';
import type { LeaseAddress } from '../lease-object.js';
import type { CandidateSpec } from './candidate-object.js';
import type { Coordination } from './coordinated-elector.js';
import { keepCandidate } from './kept-candidate.js';
import { LeaseCandidates, findCandidatesApi } from './lease-candidates.js';
import { overdueAfter, within, type Patience } from './patience.js';

/** What a {@link LeaseCandidateKeeper} is made of. */
export interface LeaseCandidateKeeperParts {
  readonly connection: KubernetesConnection;
  /** The lock of the election. */
  readonly lock: LeaseLock;
  readonly lease: LeaseAddress;
  /** The identity in the election, which is also the name of the LeaseCandidate. */
  readonly identity: string;
  readonly spec: CandidateSpec;
  /** How long to wait for an answer, and after a failure, in milliseconds. */
  readonly retryPeriod: number;
  /** A withdrawal ends after this time, even if the candidate could not be deleted, in milliseconds. */
  readonly longestWithdrawal: number;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
}

/**
 * How often an API server without LeaseCandidates is asked whether it has them now, in milliseconds. It may be
 * restarted with other flags, which takes minutes, and this process may live for months.
 */
const ASK_AGAIN_MS = 5 * 60_000;

/**
 * The LeaseCandidate of this process in a coordinated election (KEP-4355): it exists while the process stands, and is
 * deleted otherwise. If the API server has no LeaseCandidates, that is reported once, and the lease is claimed as in
 * any election until it has them.
 */
export class LeaseCandidateKeeper implements Coordination {
  readonly #parts: LeaseCandidateKeeperParts;
  readonly #clock: Clock;
  /** `unknown` until the API server has answered; undefined if it has no LeaseCandidates. */
  #candidates: LeaseCandidates | 'unknown' | undefined = 'unknown';
  #objection: LeaderError | undefined;
  #changed: () => void = () => undefined;
  readonly #life = new AbortController();
  #standing: AbortController | undefined;
  #withdrawn: Promise<void> = Promise.resolve();
  #askNoMore: Disposer = () => undefined;

  constructor(parts: LeaseCandidateKeeperParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? new SystemClock();
  }

  get elects(): boolean | undefined {
    return this.#candidates === 'unknown' ? undefined : this.#candidates !== undefined;
  }

  get objection(): LeaderError | undefined {
    return this.#objection;
  }

  observe(changed: () => void): Disposer {
    this.#changed = changed;
    void this.#find();
    return () => {
      this.#changed = () => undefined;
      this.#life.abort();
      this.#askNoMore();
    };
  }

  stand(): void {
    const candidates = this.#candidates;
    if (this.#standing !== undefined || candidates === 'unknown' || candidates === undefined) return;
    const { lock, lease, spec, longestWithdrawal } = this.#parts;
    const standing = new AbortController();
    this.#standing = standing;
    const overdue = overdueAfter(this.#clock, longestWithdrawal, standing.signal);
    const tools = {
      candidates,
      spec,
      lock,
      leaseName: lease.name,
      ...this.#patience,
      tell: (problem: LeaderError | undefined) => {
        this.#hear(problem);
      },
    };
    // After the last candidate, which may still be being deleted.
    this.#withdrawn = this.#withdrawn
      .then(() => keepCandidate(tools, { withdrawn: standing.signal, overdue: overdue.signal }))
      .then(overdue.disarm);
  }

  withdraw(): Promise<void> {
    this.#standing?.abort();
    this.#standing = undefined;
    return this.#withdrawn;
  }

  /** Asks the API server whether it has LeaseCandidates, until it answers. */
  async #find(): Promise<void> {
    const { signal } = this.#life;
    const isOver = (): boolean => signal.aborted;
    while (this.#candidates === 'unknown' && !isOver()) {
      try {
        await this.#ask();
      } catch (error) {
        if (isOver()) return;
        this.#become(error as LeaderError);
        await pause(this.#clock, this.#parts.retryPeriod, signal);
      }
    }
  }

  /** @throws LeaseRequestError if the API server does not say. */
  async #ask(): Promise<void> {
    const { connection, lease, identity } = this.#parts;
    const request = (call: LeaseCall): ReturnType<typeof findCandidatesApi> =>
      findCandidatesApi(connection, { name: identity, namespace: lease.namespace }, call);
    const version = await within(this.#patience, request, this.#life.signal);
    const known = this.#candidates === 'unknown' ? 'unknown' : this.#candidates?.version;
    if (version === known) return;
    this.#candidates = version && new LeaseCandidates(connection, version, identity, lease);
    void this.withdraw();
    this.#become(version === undefined ? notCoordinated(lease) : undefined);
    if (version === undefined) this.#askAgain();
  }

  /** Asks again from time to time. A failure is not reported, because the missing LeaseCandidates already are. */
  #askAgain(): void {
    this.#askNoMore();
    if (this.elects !== false || this.#life.signal.aborted) return;
    this.#askNoMore = this.#clock.setTimer(ASK_AGAIN_MS, () => {
      void this.#ask()
        .catch(() => undefined)
        .then(() => {
          this.#askAgain();
        });
    });
  }

  #hear(problem: LeaderError | undefined): void {
    if (this.#candidates === undefined) return;
    this.#become(problem);
    // The API server may have been restarted without LeaseCandidates.
    if (isLeaderError(problem, 'LEADER_SERVER_ERROR')) this.#ask().catch(() => undefined);
  }

  get #patience(): Patience {
    return { clock: this.#clock, retryPeriod: this.#parts.retryPeriod };
  }

  #become(objection: LeaderError | undefined): void {
    // The same error is kept, so that it is not reported again.
    if (objection?.message !== this.#objection?.message) this.#objection = objection;
    this.#changed();
  }
}

function notCoordinated({ name, namespace }: LeaseAddress): LeaderError {
  return new LeaderError(
    'LEADER_NOT_COORDINATED',
    `The option coordinated is set for the lease '${namespace}/${name}', but the API server has no leasecandidates in ` +
      `coordination.k8s.io (v1, v1beta1, v1alpha2), so the first process to claim the lease holds it, as in any ` +
      `election. Start the API server with --feature-gates=CoordinatedLeaderElection=true and ` +
      `--runtime-config=coordination.k8s.io/v1beta1=true, or leave out the option coordinated.`,
  );
}
