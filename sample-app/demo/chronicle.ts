import type { ReplicaMessage } from '../replica-report.js';
import type { Claim, ClaimHistory, JobRun, LeadingLook } from './check-claims.js';
import { showTime } from './show-time.js';

/** A change that is shown on the screen. */
export interface Transition {
  readonly at: number;
  readonly text: string;
}

interface OpenClaim {
  readonly replica: string;
  readonly token: bigint;
  readonly from: number;
  until: number;
  endedAt: number | undefined;
}

const WORTH_A_WORD_MS = 500;

/** Collects the reports of the replicas, and the actions of the demo. */
export class Chronicle {
  readonly transitions: Transition[] = [];
  readonly #startedAt: number;
  readonly #claims = new Map<string, OpenClaim>();
  readonly #jobs: JobRun[] = [];
  readonly #looks: LeadingLook[] = [];
  #onTransition: (transition: Transition) => void = () => undefined;

  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  onTransition(listener: (transition: Transition) => void): void {
    this.#onTransition = listener;
  }

  /** Adds an action or observation of the demo. */
  note(at: number, text: string): void {
    const transition = { at: at - this.#startedAt, text };
    this.transitions.push(transition);
    this.#onTransition(transition);
  }

  take(replica: string, message: ReplicaMessage): void {
    switch (message.type) {
      case 'ready':
        this.note(message.at, `${replica} is ready`);
        return;
      case 'claim':
        this.#claim(replica, message.token, message.from, message.until);
        return;
      case 'claimEnded':
        this.#end(replica, message.token, message.at, message.reason);
        return;
      case 'job':
        this.#jobs.push({ replica, token: BigInt(message.token), at: message.at });
        return;
      case 'looked':
        if (message.leads) this.#looks.push({ replica, at: message.at });
        return;
      case 'leader':
        return;
    }
  }

  get history(): ClaimHistory {
    const claims: Claim[] = [...this.#claims.values()].map(({ replica, token, from, until, endedAt }) => ({
      replica,
      token,
      from,
      until: Math.min(until, endedAt ?? until),
    }));
    return { claims, jobs: this.#jobs, looks: this.#looks };
  }

  jobsOf(replica: string): number {
    return this.#jobs.filter((job) => job.replica === replica).length;
  }

  /** The claim that is open at `at`, on the machine's clock. */
  leaderAt(at: number): Claim | undefined {
    return this.history.claims.find((claim) => claim.from <= at && at < claim.until);
  }

  #claim(replica: string, token: string, from: number, until: number): void {
    const key = `${replica}/${token}`;
    const known = this.#claims.get(key);
    if (known === undefined) {
      this.#claims.set(key, { replica, token: BigInt(token), from, until, endedAt: undefined });
      this.note(from, `${replica} leads, token ${token}`);
      return;
    }
    known.until = Math.max(known.until, until);
  }

  #end(replica: string, token: string, at: number, reason: string): void {
    const claim = this.#claims.get(`${replica}/${token}`);
    if (claim === undefined) return;
    claim.endedAt = at;
    // A frozen replica reports this only when it continues; its term was over before.
    const late = at - claim.until > WORTH_A_WORD_MS;
    const overSince = late ? `, over since ${showTime(claim.until - this.#startedAt).trim()}` : '';
    this.note(at, `${replica} stops leading (${reason}${overSince})`);
  }
}
