import {
  isLeaderError,
  sameRecord,
  type ElectionTrace,
  type LeaderErrorCode,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type TermEndReason,
  type WriteOutcome,
} from '../../election/internal.js';
import type { SimulatedLeaseLock } from '../simulated-lease.js';
import type { Candidate } from './candidate.js';
import type { FleetLease } from './fleet-lease.js';
import { LeaderSights } from './leader-sights.js';
import type { RequestHistory, RequestPurpose } from './request-history.js';

/** What a {@link LeaseUse} needs of its process. */
export interface LeaseUseParts {
  readonly lock: SimulatedLeaseLock;
  /** Notes the requests for this Lease. */
  readonly requests: RequestHistory;
  /** True time. */
  readonly now: () => number;
  /** A request failed, and the election must report it. */
  readonly heard: (code: LeaderErrorCode) => void;
  /** The application asks for reads of its own, whose failures are reported to it. */
  readonly isConfirming: () => boolean;
  readonly isStopping: () => boolean;
  /** A term on this Lease has ended. */
  readonly ended: (use: LeaseUse, reason: TermEndReason) => void;
  /** It is about to send a release of this Lease. */
  readonly releases: () => void;
  /** Reports a promise that was not kept. */
  readonly broken: (what: string) => void;
  /** Another trace to call. */
  readonly trace: ElectionTrace | undefined;
}

/** One process' use of one Lease: the witness sees all requests, replies and events. */
export class LeaseUse {
  readonly on: FleetLease;
  /** The lock without the witness. */
  readonly bare: SimulatedLeaseLock;
  readonly lock: LeaseLock;
  readonly requests: RequestHistory;
  readonly sights = new LeaderSights();
  /** How often the watch was opened. */
  watchesOpened = 0;
  /** When the newest answered read was sent. */
  readSentAt = Number.NEGATIVE_INFINITY;
  /** The token of the newest term that began on this Lease. */
  token = 0n;
  /** Nobody was told yet of the newest term on this Lease. */
  isNew = false;
  /** Its election on this Lease campaigns, or has a term that it does not hand over. */
  #takesPart = false;
  #hasTerm = false;
  /** Its last watch was refused. */
  #isDenied = false;
  readonly #party: Candidate;
  readonly #parts: LeaseUseParts;

  constructor(party: Candidate, on: FleetLease, parts: LeaseUseParts) {
    this.on = on;
    this.bare = parts.lock;
    this.requests = parts.requests;
    this.#party = party;
    this.#parts = parts;
    this.lock = this.#witnessed(parts.lock);
  }

  /** Follows the steps of the election on this Lease. */
  readonly trace: ElectionTrace = (event, effects, state) => {
    const { phase } = state.life;
    const { kind } = phase;
    this.#hasTerm = 'term' in phase;
    this.#takesPart = kind === 'starting' || kind === 'leading' || kind === 'following';
    for (const effect of effects) {
      if (effect.do === 'beginTerm') {
        this.token = effect.term.fencingToken;
        this.isNew = true;
      }
      if (effect.do === 'endTerm') this.#parts.ended(this, effect.reason);
    }
    this.#followWatch(event, effects, state);
    this.#parts.trace?.(event, effects, state);
  };

  /** A watch that is refused is reported once, until one opens. */
  #followWatch(...[event, effects, state]: Parameters<ElectionTrace>): void {
    if (event.type === 'watchOpened') this.#isDenied = false;
    if (event.type !== 'watchEnded' || event.stream !== state.watch.stream || event.problem === undefined)
      return;
    const isDenied = event.problem.code === 'LEADER_FORBIDDEN';
    const isTold = effects.some(
      (effect) =>
        effect.do === 'tell' &&
        effect.event.type === 'error' &&
        effect.event.error.code === 'LEADER_WATCH_DENIED',
    );
    if (isDenied && isTold === this.#isDenied)
      this.#parts.broken(
        isTold ? 'reports again that it may not watch' : 'does not report that it may not watch',
      );
    this.#isDenied = isDenied;
  }

  /** Whether its last watch was refused. */
  get isDenied(): boolean {
    return this.#isDenied;
  }

  /** Whether its election on this Lease has a term, perhaps one that is not announced yet. */
  get hasTerm(): boolean {
    return this.#hasTerm;
  }

  /**
   * Whether the lease is held by a record of its process that this knows of. It does not know of a claim that was carried out
   * after its last read.
   */
  get isLeftBehind(): boolean {
    const { lease, witness, changedAt } = this.on;
    const { resourceVersion = '0' } = lease.stored ?? {};
    const isClaim = isFirstOfTerm(lease.stored?.record) && BigInt(resourceVersion) !== this.token;
    return witness.isHeldBy(this.#party) && !(isClaim && changedAt > this.readSentAt);
  }

  /** Whether its watch hangs while somebody renews the lease, which must be noticed. */
  get isDeaf(): boolean {
    const { leaseDurationSeconds = 0 } = this.on.lease.stored?.record ?? {};
    return this.bare.watchHangs && this.#parts.now() < this.on.changedAt + leaseDurationSeconds * 1_000;
  }

  #shown<T extends LeaseSnapshot | undefined>(lease: T, call?: LeaseCall): T {
    // Nobody receives a reply to a request that was given up.
    if (call?.signal.aborted === true) return lease;
    if (lease !== undefined) {
      const { witness } = this.on;
      witness.shows(this.#party, lease);
      this.requests.shown(lease, witness.hasWritten(this.#party, lease));
    }
    this.sights.note(lease, call === undefined ? 'event' : 'reply');
    return lease;
  }

  #heard<T>(asking: Promise<T>): Promise<T> {
    return asking.catch((error: unknown) => {
      // A release reports its failures in one error.
      if (isLeaderError(error) && this.#takesPart && !this.#parts.isStopping()) this.#parts.heard(error.code);
      throw error;
    });
  }

  /** Why the election reads now. */
  get #purposeOfRead(): RequestPurpose {
    const { isConfirming, isStopping } = this.#parts;
    if (isConfirming()) return 'aside';
    const closes = this.on.witness.handsOver(this.#party) || !this.#takesPart || isStopping();
    return closes ? 'releaseRead' : 'read';
  }

  /** Notes a request, and what comes of it. */
  async #noted<T>(
    purpose: RequestPurpose,
    { call, base, record }: { call: LeaseCall; base?: LeaseSnapshot; record?: LeaseRecord },
    send: () => Promise<T>,
  ): Promise<T> {
    const { newConnection, signal } = call;
    const request = this.requests.sent({ purpose, base, record, newConnection, signal });
    try {
      const reply = await send();
      const isConflict = isOutcome(reply) && reply.kind === 'conflict';
      if (!signal.aborted) this.requests.answered(request, isConflict ? 'conflict' : 'success');
      return reply;
    } catch (error) {
      this.requests.failed(request, error, signal.aborted);
      throw error;
    }
  }

  #witnessed(lock: SimulatedLeaseLock): LeaseLock {
    const { witness } = this.on;
    const { isConfirming, now, releases } = this.#parts;
    return {
      describe: () => lock.describe(),
      get: async (call) => {
        const sentAt = now();
        // A failure of a confirmation is reported to the application.
        const reading = this.#noted(this.#purposeOfRead, { call }, () => lock.get(call));
        const lease = await (isConfirming() ? reading : this.#heard(reading));
        this.readSentAt = Math.max(this.readSentAt, sentAt);
        return this.#shown(lease, call);
      },
      create: async (record, call) => {
        witness.sends(this.#party, record);
        const outcome = await this.#heard(
          this.#noted('write', { call, record }, () => lock.create(record, call)),
        );
        if (outcome.kind === 'written') this.#shown(outcome.snapshot, call);
        return outcome;
      },
      update: async (base, record, call) => {
        const isRelease = record.holderIdentity === '';
        // A request for the lease does not change the record.
        const isAsking = sameRecord(base.record, record);
        if (isRelease) releases();
        if (!isAsking) witness.sends(this.#party, record);
        const purpose = isRelease ? 'release' : 'write';
        const outcome = await this.#heard(
          this.#noted(isAsking ? 'aside' : purpose, { call, base, record }, () =>
            lock.update(base, record, call),
          ),
        );
        if (outcome.kind === 'written') this.#shown(outcome.snapshot, call);
        return outcome;
      },
      watch: (onEvent, signal) => {
        this.watchesOpened += 1;
        return lock.watch((event) => {
          if (event.kind === 'seen') this.#shown(event.snapshot);
          if (event.kind === 'deleted') {
            witness.showsDeletion(this.#party, event.resourceVersion);
            this.sights.note(undefined, 'event');
          }
          onEvent(event);
        }, signal);
      },
    };
  }
}

/** Whether the two times of a record are of one millisecond. */
function isFirstOfTerm({ acquireTime, renewTime }: Partial<LeaseRecord> = {}): boolean {
  return renewTime?.slice(0, 23) === acquireTime?.slice(0, 23);
}

function isOutcome(reply: unknown): reply is WriteOutcome {
  return typeof reply === 'object' && reply !== null && 'kind' in reply;
}
