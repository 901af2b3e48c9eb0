/**
 * Keeps this process' LeaseCandidate: made, alive, its pings answered as they are seen; deleted when told to. A candidate
 * that nobody answers for costs the others seconds at each election, for half an hour.
 */
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
} from '../../election/index.js';
import { namesHolder } from '../lease-object.js';
import { isPinged, type CandidateObject, type CandidateSpec } from './candidate-object.js';
import { candidateOf, type LeaseCandidates } from './lease-candidates.js';
import { within, type Patience } from './patience.js';

/** What keeping a candidate takes. */
export interface CandidateTools extends Patience {
  readonly candidates: LeaseCandidates;
  readonly spec: CandidateSpec;
  /** Of the lease it stands for, which is called `leaseName`. */
  readonly lock: LeaseLock;
  readonly leaseName: string;
  /** Hears what is wrong, and that nothing is any more. */
  readonly tell: (problem: LeaderError | undefined) => void;
}

/** How long to trust a watch that says nothing: then the candidate is written again, and watched anew. */
const REFRESH_MS = 60_000;
/** How often to try to delete a candidate: somebody waits for that. */
const DELETIONS = 2;

/** How long a candidate is kept. */
export interface Stay {
  /** Fires when it is to be withdrawn, which ends every request but a creation: that might come after the deletion. */
  readonly withdrawn: AbortSignal;
  /** Fires when somebody has waited long enough for that: then nothing goes on. */
  readonly overdue: AbortSignal;
}

/** Keeps the candidate until it is withdrawn, then deletes it. Never rejects. */
export async function keepCandidate(tools: CandidateTools, stay: Stay): Promise<void> {
  const kept = new KeptCandidate(tools, stay);
  await kept.untilWithdrawn();
  for (let attempt = 1; attempt <= DELETIONS && !stay.overdue.aborted; attempt++) {
    const problem = await problemOf(removeOwn(tools, kept.known, stay.overdue));
    if (problem === undefined) return;
    tools.tell(problem);
  }
}

/** What stands for another lease is somebody else's. */
async function removeOwn(
  tools: CandidateTools,
  known: CandidateObject | undefined,
  overdue: AbortSignal,
): Promise<void> {
  const { candidates, leaseName } = tools;
  const found = known ?? (await within(tools, (call) => candidates.get(call), overdue));
  if (found?.spec.leaseName === leaseName) await within(tools, (call) => candidates.delete(call), overdue);
}

/** Why to write: the candidate needs it, nothing is heard of it, or nothing can be heard. */
type Reason = 'need' | 'silence' | 'deafness';

/**
 * The candidate is written, and watched from then on; written again when its watch tells that it is gone or pinged, and every
 * minute, or every `retryPeriod` while it is not watched or could not be written.
 */
class KeptCandidate {
  readonly #tools: CandidateTools;
  readonly #stay: Stay;
  readonly #watch: WatchKeeper;
  /** As it was seen last; undefined: it is not there, or was not seen. */
  known: CandidateObject | undefined;
  /** Why the last write failed, and why the watch ended, until the next has succeeded. */
  #writeProblem: LeaderError | undefined;
  #watchProblem: LeaderError | undefined;
  /** When the last two writes began: one more waits until the first of them is a `retryPeriod` ago. */
  #writtenAt: readonly [MonotonicMs, MonotonicMs] = [LONG_AGO, LONG_AGO];
  /** Since when the watch is in its state. */
  #watchedSince = LONG_AGO;
  /** Ends the waiting for the next write. */
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
      // A watch may be open and tell nothing.
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

  /** The candidate is not there, or nobody has answered for it. */
  get #isWanted(): boolean {
    return this.known === undefined || isPinged(this.known);
  }

  /** Until it is time to write, or the candidate is withdrawn. */
  async #untilWanted(): Promise<Reason> {
    for (;;) {
      const { at, because } = this.#nextWrite;
      const delayMs = at - this.#tools.clock.now();
      if (delayMs <= 0 || (await this.#pause(delayMs)) === 'over' || this.#stay.withdrawn.aborted)
        return because;
    }
  }

  /** When to write next, as far as is known. */
  get #nextWrite(): { at: MonotonicMs; because: Reason } {
    const { retryPeriod } = this.#tools;
    const [lastButOne, last] = this.#writtenAt;
    if (this.#writeProblem !== undefined) return { at: after(last, retryPeriod), because: 'deafness' };
    if (this.#isWanted) return { at: after(lastButOne, retryPeriod), because: 'need' };
    if (this.#watch.state === 'open') return { at: after(last, REFRESH_MS), because: 'silence' };
    const since = last > this.#watchedSince ? last : this.#watchedSince;
    return { at: after(since, retryPeriod), because: 'deafness' };
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
   * Writes `''` into a Lease that does not say who holds it: such a one, made by hand say, crashes the API server when it
   * elects somebody (1.36.3).
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
    `The lease candidate of this process' identity stands for the lease '${readable(spec.leaseName)}' and not for ` +
      `'${leaseName}'. Each coordinated election needs an identity of its own: leave identity out, or give another.`,
    { maybeCommitted: false },
  );
}

/** What a request failed with. Locks and candidates throw nothing else. */
async function problemOf(request: Promise<void>): Promise<LeaderError | undefined> {
  try {
    await request;
    return undefined;
  } catch (error) {
    return error as LeaderError;
  }
}
