/**
 * Keeps this process' LeaseCandidate: made, alive, its pings answered as they are seen; deleted when told to. A candidate
 * that nobody answers for costs the others seconds at each election, for half an hour.
 */
import {
  LeaseRequestError,
  readable,
  type LeaderError,
  type LeaseCall,
  type LeaseLock,
} from '../../election/index.js';
import { namesHolder } from '../lease-object.js';
import { isPinged, type CandidateObject, type CandidateSpec } from './candidate-object.js';
import type { LeaseCandidates } from './lease-candidates.js';
import { pause, within, type Patience } from './patience.js';

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
  const { withdrawn, overdue } = stay;
  let known: CandidateObject | undefined;
  while (!withdrawn.aborted) {
    const round = new Round(tools, known, stay);
    const problem = await round.run();
    known = round.known;
    if (problem !== undefined) tools.tell(problem);
    if (problem !== undefined || !round.opened) await pause(tools, withdrawn);
  }
  for (let attempt = 1; attempt <= DELETIONS && !overdue.aborted; attempt++) {
    const problem = await problemOf(removeOwn(tools, known, overdue));
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

/** The candidate is written, then watched until something ends that. */
class Round {
  readonly #tools: CandidateTools;
  readonly #over = new AbortController();
  readonly #stay: Stay;
  known: CandidateObject | undefined;
  opened = false;
  #answering = false;
  #problem: LeaderError | undefined;

  constructor(tools: CandidateTools, known: CandidateObject | undefined, stay: Stay) {
    this.#tools = tools;
    this.known = known;
    this.#stay = stay;
  }

  /** @returns what is wrong, if something is; that a withdrawal ended it is not. */
  async run(): Promise<LeaderError | undefined> {
    const { clock } = this.#tools;
    const { withdrawn } = this.#stay;
    const end = (): void => {
      this.#over.abort();
    };
    withdrawn.addEventListener('abort', end, { once: true });
    let disarm = (): void => undefined;
    this.#problem = await problemOf(this.#write());
    if (this.#problem === undefined && this.known !== undefined && !withdrawn.aborted) {
      disarm = clock.setTimer(REFRESH_MS, end);
      const watchProblem = await problemOf(this.#watch());
      this.#problem ??= watchProblem;
    }
    disarm();
    withdrawn.removeEventListener('abort', end);
    return withdrawn.aborted ? undefined : this.#problem;
  }

  async #write(): Promise<void> {
    const { candidates, leaseName } = this.#tools;
    await this.#nameHolder();
    const base = this.known ?? (await this.#within((call) => candidates.get(call)));
    if (base !== undefined && base.spec.leaseName !== leaseName) throw namesake(base, leaseName);
    if (!this.#over.signal.aborted) await this.#put(base);
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
    const signal = base === undefined ? this.#stay.overdue : this.#over.signal;
    this.known = await this.#within((call) => candidates.put(spec, clock.date(), base, call), signal);
  }

  #within<T>(request: (call: LeaseCall) => Promise<T>, signal = this.#over.signal): Promise<T> {
    return within(this.#tools, request, signal);
  }

  #watch(): Promise<void> {
    return this.#tools.candidates.watch(
      () => {
        this.opened = true;
        this.#tools.tell(undefined);
      },
      (candidate) => {
        this.known = candidate;
        // Somebody deleted it: it is made anew.
        if (candidate === undefined) this.#over.abort();
        else void this.#answer();
      },
      this.#over.signal,
    );
  }

  async #answer(): Promise<void> {
    if (this.#answering) return;
    this.#answering = true;
    while (this.known !== undefined && isPinged(this.known) && !this.#over.signal.aborted) {
      const problem = await problemOf(this.#put(this.known));
      this.#problem ??= problem;
      if (problem !== undefined) this.#over.abort();
    }
    this.#answering = false;
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
