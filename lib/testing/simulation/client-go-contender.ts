import {
  type LeaseRecord,
  type LeaseSnapshot,
  type WriteOutcome,
  pause,
  sameRecord,
} from '../../election/internal.js';
import type { SimulatedClock } from '../simulated-clock.js';
import type { SimulatedLease, SimulatedLeaseLock } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import { EventLoop } from './event-loop.js';
import { microTimeOf } from './micro-time.js';
import type { Party } from './party.js';
import type { Witness } from './witness.js';

/** The timing of the contender, and the world it lives in. */
export interface ClientGoParts {
  readonly name: string;
  readonly time: SimulatedTime;
  readonly lease: SimulatedLease;
  readonly witness: Witness;
  readonly log: (line: string) => void;
  readonly leaseDuration: number;
  readonly renewDeadline: number;
  readonly retryPeriod: number;
}

const JITTER_FACTOR = 1.2;

/**
 * A contender that behaves like client-go's leaderelection (v0.36), for mixed fleets. It polls, renews every
 * retryPeriod, gives up when renewals have failed for renewDeadline, and takes over when it has seen a record
 * unchanged for the lease duration in that record. It was written from a description of that behaviour.
 */
export class ClientGoContender implements Party {
  readonly name: string;
  readonly identity: string;
  readonly goesByName = true;
  readonly records = undefined;
  readonly rate = 1;
  readonly reclaims = false;
  readonly lockDelay = 0;
  readonly loop: EventLoop;
  readonly #parts: ClientGoParts;
  readonly #clock: SimulatedClock;
  readonly #lock: SimulatedLeaseLock;
  readonly #cancelled = new AbortController();
  readonly #requests = new Set<AbortController>();
  #observed: LeaseSnapshot | undefined;
  #observedAt = Number.NEGATIVE_INFINITY;
  #leads = false;

  constructor(parts: ClientGoParts) {
    this.name = parts.name;
    this.identity = parts.name;
    this.#parts = parts;
    this.loop = new EventLoop(parts.time);
    this.#clock = parts.time.clock({ deliver: this.loop.deliver });
    this.#lock = parts.lease.lock(parts.name, this.loop.deliver);
    this.#lock.knowsProcess = false;
  }

  get now(): number {
    return this.#clock.now();
  }

  jobsRunning(): number {
    return 0;
  }

  /** What its callers believe. client-go does not look at a clock for it. */
  get leads(): boolean {
    return this.#leads && this.loop.liveness !== 'dead';
  }

  start(): void {
    this.#parts.log(`${this.name} (client-go) starts`);
    void this.#run();
  }

  /** Cancels its context, with ReleaseOnCancel. */
  stop(): void {
    this.#cancelled.abort();
    for (const request of this.#requests) request.abort(new Error('cancelled'));
  }

  kill(): void {
    this.loop.kill();
  }

  get #isCancelled(): boolean {
    return this.#cancelled.signal.aborted;
  }

  async #run(): Promise<void> {
    const { retryPeriod } = this.#parts;
    while (!this.#isCancelled) {
      if (await this.#tryAcquireOrRenew()) await this.#lead();
      await pause(this.#clock, retryPeriod * (1 + this.#clock.random() * JITTER_FACTOR));
    }
  }

  async #lead(): Promise<void> {
    const { log, retryPeriod, renewDeadline, witness } = this.#parts;
    this.#leads = true;
    log(`${this.name} (client-go) leads`);
    witness.otherStarted(this);
    let failingSince: number | undefined;
    while (!this.#isCancelled) {
      await pause(this.#clock, retryPeriod);
      const startedAt = this.now;
      failingSince ??= startedAt;
      if (await this.#tryAcquireOrRenew()) failingSince = undefined;
      else if (this.now - failingSince >= renewDeadline) break;
    }
    this.#leads = false;
    log(`${this.name} (client-go) stops leading`);
    if (this.#isCancelled) await this.#release();
  }

  /** One attempt, in the steps of client-go's function of the same name. */
  async #tryAcquireOrRenew(): Promise<boolean> {
    const fast = this.#isMine && this.#holdsUntil > this.now;
    if (fast && this.#observed !== undefined && (await this.#put(this.#observed))) return true;
    const found = await this.#ask((signal) => this.#lock.get({ signal, newConnection: false }));
    if (found === FAILED) return false;
    if (found === undefined) return await this.#put(undefined);
    this.#observe(found);
    const { holderIdentity } = found.record;
    if (holderIdentity !== '' && !this.#isMine && this.#holdsUntil > this.now) return false;
    return await this.#put(found);
  }

  get #isMine(): boolean {
    return this.#observed?.record.holderIdentity === this.identity;
  }

  get #holdsUntil(): number {
    return this.#observedAt + (this.#observed?.record.leaseDurationSeconds ?? 0) * 1000;
  }

  async #put(base: LeaseSnapshot | undefined): Promise<boolean> {
    const now = microTimeOf(this.#clock);
    const previous = base?.record;
    const kept = previous?.holderIdentity === this.identity;
    return await this.#write(base, {
      holderIdentity: this.identity,
      leaseDurationSeconds: this.#parts.leaseDuration / 1000,
      acquireTime: kept ? previous.acquireTime : now,
      renewTime: now,
      leaseTransitions: previous === undefined ? 0 : (previous.leaseTransitions ?? 0) + (kept ? 0 : 1),
    });
  }

  async #release(): Promise<void> {
    if (!this.#isMine || this.#observed === undefined) return;
    const now = microTimeOf(this.#clock);
    await this.#write(this.#observed, {
      ...this.#observed.record,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
    });
  }

  async #write(base: LeaseSnapshot | undefined, record: LeaseRecord): Promise<boolean> {
    this.#parts.witness.sends(this, record);
    const outcome = await this.#ask<WriteOutcome>((signal) => {
      const call = { signal, newConnection: false };
      return base === undefined ? this.#lock.create(record, call) : this.#lock.update(base, record, call);
    });
    if (outcome === FAILED || outcome.kind === 'conflict') return false;
    this.#observe(outcome.snapshot);
    return true;
  }

  #observe(seen: LeaseSnapshot): void {
    this.#parts.witness.shows(this, seen);
    const unchanged = this.#observed !== undefined && sameRecord(this.#observed.record, seen.record);
    if (!unchanged) this.#observedAt = this.now;
    this.#observed = seen;
  }

  /** Makes a request. Any failure fails the attempt. The client gives up after half the renew deadline. */
  async #ask<T>(request: (signal: AbortSignal) => Promise<T>): Promise<T | typeof FAILED> {
    const controller = new AbortController();
    this.#requests.add(controller);
    const disarm = this.#clock.setTimer(this.#parts.renewDeadline / 2, () => {
      controller.abort(new Error('too late'));
    });
    try {
      return await request(controller.signal);
    } catch {
      return FAILED;
    } finally {
      disarm();
      this.#requests.delete(controller);
    }
  }
}

const FAILED = Symbol('failed');
