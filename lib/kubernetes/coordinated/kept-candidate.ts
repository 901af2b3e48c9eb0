import {
  LONG_AGO,
  LeaseRequestError,
  WatchKeeper,
  after,
  readable,
  type LeaderError,
  type LeaseCall,
  type LeaseLock,
  type MonotonicMs,
} from '../../election/internal.js';
import { namesHolder } from '../lease-object.js';
import { isPinged, type CandidateObject, type CandidateSpec } from './candidate-object.js';
import { candidateOf, type LeaseCandidates } from './lease-candidates.js';
import { within, type Patience } from './patience.js';

/** What {@link keepCandidate} needs. */
export interface CandidateTools extends Patience {
  readonly candidates: LeaseCandidates;
  readonly spec: CandidateSpec;
  /** The lock of the lease that the candidate stands for. */
  readonly lock: LeaseLock;
  /** The name of that lease. */
  readonly leaseName: string;
  /** Called with the current problem, or with undefined when there is none any more. */
  readonly tell: (problem: LeaderError | undefined) => void;
}

/** How long a silent watch is trusted. Then the candidate is written again, and the watch opened again. */
const REFRESH_MS = 60_000;
/** How often to try to delete the candidate. The number is small because somebody waits for the result. */
const DELETIONS = 2;

/** How long a candidate is kept. */
export interface Stay {
  /**
   * Fires when the candidate is to be withdrawn. That ends every request except a creation, which might otherwise be
   * carried out after the deletion.
   */
  readonly withdrawn: AbortSignal;
  /** Fires when the withdrawal has taken too long. That ends every request. */
  readonly overdue: AbortSignal;
}

/**
 * Keeps this process' LeaseCandidate until it is withdrawn: creates it, renews it and answers its pings at once. Then
 * deletes it, because a candidate that does not answer delays each election by seconds, for half an hour. Never
 * rejects.
 */
export async function keepCandidate(tools: CandidateTools, stay: Stay): Promise<void> {
  const kept = new KeptCandidate(tools, stay);
  await kept.untilWithdrawn();
  for (let attempt = 1; attempt <= DELETIONS && !stay.overdue.aborted; attempt++) {
    const problem = await problemOf(removeOwn(tools, kept.known, stay.overdue));
    if (problem === undefined) return;
    tools.tell(problem);
  }
}

/** Deletes the candidate, unless it stands for another lease: then it is another process's. */
async function removeOwn(
  tools: CandidateTools,
  known: CandidateObject | undefined,
  overdue: AbortSignal,
): Promise<void> {
  const { candidates, leaseName } = tools;
  const found = known ?? (await within(tools, (call) => candidates.get(call), overdue));
  if (found?.spec.leaseName === leaseName) await within(tools, (call) => candidates.delete(call), overdue);
}

/**
 * Why to write: the candidate does not exist or was pinged; its watch has been silent for long; or it is not watched,
 * or could not be written.
 */
type Reason = 'need' | 'silence' | 'unwatched';

/**
 * Writes the candidate and watches it from then on. Writes it again when the watch shows that it is gone or was
 * pinged, and otherwise every minute, or every `retryPeriod` while it is not watched or could not be written.
 */
class KeptCandidate {
  readonly #tools: CandidateTools;
  readonly #stay: Stay;
  readonly #watch: WatchKeeper;
  /** The candidate as it was seen last; undefined if it does not exist or was not seen. */
  known: CandidateObject | undefined;
  /** Why the last write failed, until one succeeds. */
  #writeProblem: LeaderError | undefined;
  /** Why the watch ended, until it opens again. */
  #watchProblem: LeaderError | undefined;
  /** When the last two writes began. The next one waits until the first of them is a `retryPeriod` ago. */
  #writtenAt: readonly [MonotonicMs, MonotonicMs] = [LONG_AGO, LONG_AGO];
  /** When the state of the watch last changed. */
  #watchedSince = LONG_AGO;
  /** Ends the wait for the next write. */
  #wake: () => void = () => undefined;

  constructor(tools: CandidateTools, stay: Stay) {
    this.#tools = tools;
    this.#stay = stay;
    this.#watch = new WatchKeeper(tools.candidates, tools.clock, tools.retryPeriod, {
      onEvent: (event) => {
        this.known = candidateOf(event);
        if (this.#isWanted) this.#wake();
      },
      onStateChange: (state) => {
        this.#watchedSince = tools.clock.now();
        this.#wake();
        if (state !== 'open') return;
        this.#watchProblem = undefined;
        this.#tell();
      },
      onError: (problem) => {
        this.#watchProblem = problem;
        this.#tell();
      },
    });
  }

  async untilWithdrawn(): Promise<void> {
    const { withdrawn } = this.#stay;
    let because: Reason = 'need';
    const isOver = (): boolean => withdrawn.aborted;
    while (!isOver()) {
      this.#writtenAt = [this.#writtenAt[1], this.#tools.clock.now()];
      const problem = await problemOf(this.#write());
      if (isOver()) break;
      this.#noteWritten(problem);
      // An open watch may be dead.
      if (because === 'silence') this.#watch.renew();
      because = await this.#untilWanted();
    }
    this.#watch.stop();
  }

  #noteWritten(problem: LeaderError | undefined): void {
    const wasWell = this.#writeProblem === undefined;
    this.#writeProblem = problem;
    if (problem !== undefined) this.#tell();
    else if (this.#watch.state === 'closed') this.#watch.start();
    else if (!wasWell && this.#watch.state === 'open') this.#tell();
  }

  #tell(): void {
    this.#tools.tell(this.#writeProblem ?? this.#watchProblem);
  }

  /** Whether the candidate must be written: it does not exist, or was pinged. */
  get #isWanted(): boolean {
    return this.known === undefined || isPinged(this.known);
  }

  /** Waits until it is time to write, or the candidate is withdrawn. */
  async #untilWanted(): Promise<Reason> {
    for (;;) {
      const { at, because } = this.#nextWrite;
      const delayMs = at - this.#tools.clock.now();
      if (delayMs <= 0 || (await this.#pause(delayMs)) === 'over' || this.#stay.withdrawn.aborted)
        return because;
    }
  }

  /** When to write next, and why. */
  get #nextWrite(): { at: MonotonicMs; because: Reason } {
    const { retryPeriod } = this.#tools;
    const [lastButOne, last] = this.#writtenAt;
    if (this.#writeProblem !== undefined) return { at: after(last, retryPeriod), because: 'unwatched' };
    if (this.#isWanted) return { at: after(lastButOne, retryPeriod), because: 'need' };
    if (this.#watch.state === 'open') return { at: after(last, REFRESH_MS), because: 'silence' };
    const since = last > this.#watchedSince ? last : this.#watchedSince;
    return { at: after(since, retryPeriod), because: 'unwatched' };
  }

  #pause(delayMs: number): Promise<'over' | 'woken'> {
    const { withdrawn } = this.#stay;
    return new Promise((resolve) => {
      const end = (how: 'over' | 'woken'): void => {
        cancel();
        withdrawn.removeEventListener('abort', wake);
        this.#wake = () => undefined;
        resolve(how);
      };
      const wake = (): void => {
        end('woken');
      };
      const cancel = this.#tools.clock.setTimer(delayMs, () => {
        end('over');
      });
      withdrawn.addEventListener('abort', wake, { once: true });
      this.#wake = wake;
    });
  }

  async #write(): Promise<void> {
    const { candidates, leaseName } = this.#tools;
    // A ping is answered before anything else.
    if (this.known === undefined || !isPinged(this.known)) await this.#nameHolder();
    const base = this.known ?? (await this.#within((call) => candidates.get(call)));
    if (base !== undefined && base.spec.leaseName !== leaseName) throw namesake(base, leaseName);
    if (!this.#stay.withdrawn.aborted) await this.#put(base);
  }

  /**
   * Writes an empty `holderIdentity` into a Lease without one, for example one that was made by hand. Otherwise the
   * API server (1.36.3) crashes when it elects a holder.
   */
  async #nameHolder(): Promise<void> {
    const { lock } = this.#tools;
    const lease = await this.#within((call) => lock.get(call));
    if (lease === undefined || namesHolder(lease)) return;
    await this.#within((call) => lock.update(lease, lease.record, call));
  }

  async #put(base: CandidateObject | undefined): Promise<void> {
    const { candidates, spec, clock } = this.#tools;
    const signal = base === undefined ? this.#stay.overdue : this.#stay.withdrawn;
    this.known = await this.#within((call) => candidates.put(spec, clock.date(), base, call), signal);
  }

  #within<T>(request: (call: LeaseCall) => Promise<T>, signal = this.#stay.withdrawn): Promise<T> {
    return within(this.#tools, request, signal);
  }
}

function namesake({ spec }: CandidateObject, leaseName: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_INVALID',
    `The LeaseCandidate with this process' identity stands for the lease '${readable(spec.leaseName)}', not for ` +
      `'${leaseName}'. Each coordinated election needs its own identity: leave identity out, or choose another.`,
    { maybeCommitted: false },
  );
}

/** The error of a request, if it fails. Locks and candidates throw LeaderErrors only. */
async function problemOf(request: Promise<void>): Promise<LeaderError | undefined> {
  try {
    await request;
    return undefined;
  } catch (error) {
    return error as LeaderError;
  }
}
