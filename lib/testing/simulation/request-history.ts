import {
  isLeaderError,
  isNewer,
  sameRecord,
  type LeaseRecord,
  type LeaseSnapshot,
} from '../../election/internal.js';
import type { RequestFaults } from '../simulated-faults.js';

/**
 * Why a request was sent. `aside`: on behalf of the application, so that the pace of the election does not apply.
 * `releaseRead`: perhaps to release the lease.
 */
export type RequestPurpose = 'read' | 'write' | 'release' | 'releaseRead' | 'aside';

/** The options of a process that its requests depend on. */
export interface RequestRules {
  readonly renewDeadline: number;
  readonly renewInterval: number;
  readonly retryPeriod: number;
  readonly jitterFactor: number;
}

/** A request that was sent. All times are of the monotonic clock of the process. */
export interface SentRequest {
  readonly purpose: RequestPurpose;
  readonly record: LeaseRecord | undefined;
  /** The version that a write is conditional on. */
  readonly base: string | undefined;
  readonly sentAt: number;
  /** How long it may take at least and at most. */
  readonly patience: readonly [leastMs: number, mostMs: number];
  /** When it must have been sent again, if there is no reply. */
  readonly resendAt: number;
  readonly signal: AbortSignal | undefined;
  /** It renews a record of the same claim. */
  readonly isRenewal: boolean;
  reply: 'none' | 'success' | 'conflict' | 'failure';
  repliedAt: number | undefined;
  /** It was refused, or stored twice, by a fault. */
  isSpoiled: boolean;
}

/** What a request knows when it is sent. */
export type Sending = Pick<SentRequest, 'purpose' | 'record'> & {
  readonly base: LeaseSnapshot | undefined;
  readonly newConnection: boolean;
  /** Fires when the request is given up. Default: never. */
  readonly signal?: AbortSignal;
};

/** Until when the server asked for no request. */
interface Told {
  readonly askedAt: number;
  readonly atLeastUntil: number;
  readonly atMostUntil: number;
}

/** The server has asked for no delay. */
const NOT_TOLD: Told = { askedAt: 0, atLeastUntil: Number.NEGATIVE_INFINITY, atMostUntil: 0 };

/** What the server asked for, without the least wait: it is not certain that the election must wait. */
function withoutLeast(told: Told): Told {
  return { ...told, atLeastUntil: Number.NEGATIVE_INFINITY };
}

/** The shortest time-out (ARCHITECTURE.md, rule 4). */
const SHORTEST_PATIENCE_MS = 1_000;
/** How many requests of a kind may be unanswered. */
const MOST_UNANSWERED = 4;
/** Without a fault a request is answered sooner. */
const PROMPT_MS = 10;
/** Timers are rounded. */
const ROUNDING_MS = 0.001;
/** How many writes are remembered. */
const REMEMBERED = 8;
/** What a request that succeeded gives back of its share of the rate, unless it was a renewal, which gives back everything. */
const MOSTLY = 1 - 1 / 8;

/**
 * The requests of one process, and whether they keep to rule 4 of ARCHITECTURE.md: how long each may take, when it is sent
 * again and over which connection, how long Retry-After is obeyed, and how many may be sent. It also says whether what the
 * requests of a term have met explains that the term ran out.
 */
export class RequestHistory {
  readonly #rules: RequestRules;
  readonly #rate: number;
  readonly #now: () => number;
  /** Until when the term of the process may be certain; undefined if it has none, or hands it over. */
  readonly #certainUntil: () => number | undefined;
  /** Whether it has a term, perhaps one that is not announced yet. */
  readonly #hasTerm: () => boolean;
  readonly #broken: (what: string) => void;
  readonly #underWay = new Set<SentRequest>();
  readonly #rates: Readonly<Record<Exclude<RequestPurpose, 'aside'>, Rate>>;
  /** The newest writes, the newest first. */
  #writes: readonly SentRequest[] = [];
  #newest: SentRequest | undefined;
  #newestRead: SentRequest | undefined;
  #told: Told | undefined;
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** When the newest of the answered requests was sent that may have been one of the election. */
  #perhapsAnsweredAt = Number.NEGATIVE_INFINITY;
  /** When the newest write was sent that is known to have succeeded, and the newest of those that were answered. */
  #earnedAt = Number.NEGATIVE_INFINITY;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  /** How many writes were refused as conflicts since one succeeded, or a race was lost. */
  #conflicts = 0;
  /** The Lease was last shown with the record of another process. */
  #isHeldByAnother = false;
  /** When the process last continued after a pause. */
  #resumedAt = Number.NEGATIVE_INFINITY;
  /** When its wall clock went ahead of the monotonic clock. */
  #jumpedAt = Number.NEGATIVE_INFINITY;

  constructor(
    rules: RequestRules,
    process: {
      /** The rate of its monotonic clock. Its wall clock has the true rate. */
      readonly rate: number;
      readonly now: () => number;
      readonly certainUntil: () => number | undefined;
      readonly hasTerm: () => boolean;
      readonly broken: (what: string) => void;
    },
  ) {
    this.#rules = rules;
    this.#rate = process.rate;
    this.#now = process.now;
    this.#certainUntil = process.certainUntil;
    this.#hasTerm = process.hasTerm;
    this.#broken = process.broken;
    const { retryPeriod } = rules;
    this.#rates = {
      read: new Rate(2, retryPeriod),
      write: new Rate(2, retryPeriod),
      release: new Rate(2, retryPeriod / 4),
      // They may also be reads of the renewals while work is being stopped.
      releaseRead: new Rate(5, retryPeriod / 5),
    };
  }

  /** A request is sent now. */
  sent({ purpose, record, base, newConnection, signal }: Sending): SentRequest {
    const { jitterFactor } = this.#rules;
    const now = this.#now();
    const certainUntil = this.#certainUntil();
    const isRenewal = record !== undefined && record.acquireTime === base?.record.acquireTime;
    const request: SentRequest = {
      purpose,
      record,
      base: base?.resourceVersion,
      sentAt: now,
      patience: this.#patienceAt(now, certainUntil),
      resendAt: now + this.#resendAfterMs * (certainUntil === undefined ? 1 + jitterFactor : 1),
      signal,
      isRenewal,
      reply: 'none',
      repliedAt: undefined,
      isSpoiled: false,
    };
    this.#checkUnderWay(request, newConnection);
    if (purpose === 'read' || purpose === 'write') this.#checkPace(now);
    if (purpose !== 'aside' && !this.#rates[purpose].take(now))
      this.#broken(`sends more requests (${purpose}) than one in ${String(this.#rules.retryPeriod)} ms`);
    this.#underWay.add(request);
    this.#newest = request;
    if (record === undefined) this.#newestRead = request;
    if (purpose === 'write') this.#writes = [request, ...this.#writes].slice(0, REMEMBERED);
    return request;
  }

  /** This happens to the request that was just sent. */
  meets({ conflict, copyAfterMs }: RequestFaults): void {
    const request = this.#newest;
    if (request?.sentAt === this.#now()) request.isSpoiled = conflict === true || copyAfterMs !== undefined;
  }

  answered(request: SentRequest, reply: 'success' | 'conflict'): void {
    this.#settle(request, reply);
    const { purpose, sentAt, isRenewal } = request;
    // It may have been a request of the election all the same.
    if (purpose === 'aside' || purpose === 'releaseRead') {
      this.#perhapsAnsweredAt = Math.max(this.#perhapsAnsweredAt, sentAt);
      if (this.#told !== undefined) this.#told = withoutLeast(this.#told);
    }
    if (purpose !== 'read' && purpose !== 'write') return;
    if (reply === 'conflict') {
      this.#conflicts += 1;
      this.#excuseLostRaces();
      return;
    }
    this.#answeredAt = Math.max(this.#answeredAt, sentAt);
    if (this.#told !== undefined && sentAt >= this.#told.askedAt) this.#told = undefined;
    this.#rates[purpose].giveBack(isRenewal ? 1 : MOSTLY);
    if (purpose === 'read') return;
    this.#conflicts = 0;
    this.#confirmedAt = Math.max(this.#confirmedAt, sentAt);
    this.#earnedAt = Math.max(this.#earnedAt, sentAt);
  }

  failed(request: SentRequest, error: unknown, wasGivenUp: boolean): void {
    this.#settle(request, 'failure');
    const { purpose, sentAt, patience } = request;
    const now = this.#now();
    if (isLeaderError(error, 'LEADER_REQUEST_TIMEOUT') && wasGivenUp) {
      const tookMs = now - sentAt;
      const [leastMs] = patience;
      if (tookMs < leastMs - ROUNDING_MS && purpose !== 'aside')
        this.#broken(`gave up a request (${purpose}) after ${tookMs.toFixed(0)} of ${leastMs.toFixed(0)} ms`);
    }
    const retryAfterMs = (error as { retryAfterMs?: number }).retryAfterMs;
    if (retryAfterMs === undefined || wasGivenUp || sentAt < this.#answeredAt) return;
    const told = this.#toldBy(sentAt, retryAfterMs);
    if (purpose === 'read' || purpose === 'write')
      this.#told = sentAt < this.#perhapsAnsweredAt ? withoutLeast(told) : told;
    if (purpose === 'aside') {
      const { atLeastUntil, atMostUntil } = this.#told ?? NOT_TOLD;
      this.#told = { ...told, atLeastUntil, atMostUntil: Math.max(atMostUntil, told.atMostUntil) };
    }
  }

  /** The process was shown the Lease. @param isOwn it wrote this record itself. */
  shown({ record }: LeaseSnapshot, isOwn: boolean): void {
    const write = this.#writes.find((sent) => sent.record !== undefined && sameRecord(sent.record, record));
    // What it wrote and somebody has edited may be what another process with its name wrote.
    this.#isHeldByAnother = (!isOwn || write === undefined) && record.holderIdentity !== '';
    if (isOwn && write !== undefined) this.#earnedAt = Math.max(this.#earnedAt, write.sentAt);
    if (this.#isHeldByAnother) this.#excuseLostRaces();
  }

  /** While another process holds the lease, conflicts are lost races, which count less. */
  #excuseLostRaces(): void {
    if (!this.#isHeldByAnother || this.#conflicts === 0) return;
    this.#rates.write.giveBack(MOSTLY);
    this.#conflicts = 0;
  }

  /** The process did not run until now. */
  resumed(): void {
    this.#resumedAt = this.#now();
  }

  /** The wall clock went ahead of the monotonic clock: it was set, or the machine was suspended. */
  clockJumped(): void {
    this.#jumpedAt = this.#now();
  }

  /**
   * Whether the term that runs out now could not be renewed in time: because the process did not run, because its wall clock
   * went ahead, or because the newest write that could have been answered by now has met a fault, or the read after it.
   */
  explainsDeadline(): boolean {
    const now = this.#now();
    this.#checkDelay(now);
    if (now <= this.#resumedAt + PROMPT_MS || this.#jumpedAt >= this.#earnedAt) return true;
    const write = this.#writes.find(({ sentAt }) => sentAt < now - PROMPT_MS);
    if (write === undefined || hasMetFault(write)) return true;
    // Somebody has changed the Lease since. A read must show how, and then another write may go.
    const read = this.#newestRead;
    if (read !== undefined && read.sentAt >= write.sentAt && hasMetFault(read)) return true;
    return write.reply === 'conflict' && now < write.resendAt + PROMPT_MS;
  }

  get #resendAfterMs(): number {
    const { retryPeriod, renewDeadline } = this.#rules;
    return Math.max(retryPeriod, renewDeadline / 2 / MOST_UNANSWERED);
  }

  #patienceAt(now: number, certainUntil: number | undefined): SentRequest['patience'] {
    const { renewDeadline, retryPeriod } = this.#rules;
    const shortest = Math.min(SHORTEST_PATIENCE_MS, retryPeriod);
    if (certainUntil === undefined) return [shortest, Math.max(renewDeadline / 2, SHORTEST_PATIENCE_MS)];
    return [
      Math.max(this.#surelyLeft(now) / 2, shortest),
      Math.max((certainUntil - now) / 2, SHORTEST_PATIENCE_MS),
    ];
  }

  #toldBy(askedAt: number, retryAfterMs: number): Told {
    const { renewDeadline } = this.#rules;
    const now = this.#now();
    const certainUntil = this.#certainUntil();
    const within = (longestMs: number): number => now + Math.min(retryAfterMs, Math.max(longestMs, 0));
    const leftMs = this.#surelyLeft(now);
    return {
      askedAt,
      // Of a term that is not announced yet, or is handed over, the validity is not known here.
      atLeastUntil: within(!this.#hasTerm() && leftMs <= 0 ? renewDeadline : leftMs / 2),
      atMostUntil: within(certainUntil === undefined ? renewDeadline : (certainUntil - now) / 2),
    };
  }

  /** How much is left of the validity that answered writes have earned, by the clock that leaves less. */
  #surelyLeft(now: number): number {
    if (this.#jumpedAt >= this.#confirmedAt) return 0;
    const passedMs = now - this.#confirmedAt;
    return this.#rules.renewDeadline - Math.max(passedMs, passedMs / this.#rate);
  }

  #settle(request: SentRequest, reply: SentRequest['reply']): void {
    this.#underWay.delete(request);
    request.reply = reply;
    request.repliedAt = this.#now();
    this.#checkPatience(request);
  }

  #checkPatience({ sentAt, purpose, patience: [, mostMs] }: SentRequest): void {
    const now = this.#now();
    const until = Math.max(sentAt + mostMs, this.#resumedAt);
    if (now > until + ROUNDING_MS)
      this.#broken(
        `waits for a reply (${purpose}) for ${(now - sentAt).toFixed(0)} ms instead of ${mostMs.toFixed(0)}`,
      );
  }

  /** What must hold while earlier requests are unanswered. */
  #checkUnderWay({ purpose, base }: SentRequest, newConnection: boolean): void {
    let unanswered = 0;
    for (const earlier of this.#underWay) {
      this.#checkPatience(earlier);
      // One that was given up at this instant is settled after this.
      if (purpose === 'aside' || earlier.purpose === 'aside' || earlier.signal?.aborted === true) continue;
      if (!newConnection)
        this.#broken(`sends a request (${purpose}) on the connection of one that is unanswered`);
      if (earlier.purpose !== purpose) continue;
      unanswered += 1;
      if (base !== undefined && earlier.base !== undefined && isNewer(earlier.base, base))
        this.#broken(`sends a write on an older version than the one that is unanswered`);
    }
    if (unanswered >= MOST_UNANSWERED && this.#resumedAt === Number.NEGATIVE_INFINITY)
      this.#broken(`has ${String(unanswered + 1)} unanswered requests (${purpose})`);
  }

  /** Whether the server allows a request, and the leader has not waited for too long. */
  #checkPace(now: number): void {
    const told = this.#told;
    if (told !== undefined && now < told.atLeastUntil - ROUNDING_MS)
      this.#broken(
        `sends a request ${(told.atLeastUntil - now).toFixed(0)} ms before the server has asked for one`,
      );
    if (this.#certainUntil() !== undefined) this.#checkDelay(now);
  }

  /** A leader sends a request at the latest when the next renewal is due, or the last request must be sent again. */
  #checkDelay(now: number): void {
    const dueAt = Math.max(
      this.#earnedAt + this.#rules.renewInterval,
      this.#newest?.resendAt ?? now,
      this.#told?.atMostUntil ?? 0,
      this.#resumedAt,
    );
    if (now > dueAt + ROUNDING_MS)
      this.#broken(`leads and sends no request for ${(now - dueAt).toFixed(0)} ms although one is due`);
  }
}

/** Whether anything went wrong with a request. */
function hasMetFault({
  reply,
  repliedAt = Number.POSITIVE_INFINITY,
  sentAt,
  isSpoiled,
}: SentRequest): boolean {
  return reply === 'none' || reply === 'failure' || isSpoiled || repliedAt > sentAt + PROMPT_MS;
}

/** A rate: so many at once, then one for each period. */
class Rate {
  readonly #atOnce: number;
  readonly #period: number;
  #restedAt = Number.NEGATIVE_INFINITY;

  constructor(atOnce: number, period: number) {
    this.#atOnce = atOnce;
    this.#period = period;
  }

  /** One more; false if it is too many. */
  take(now: number): boolean {
    const isAllowed = this.#restedAt - (this.#atOnce - 1) * this.#period <= now + ROUNDING_MS;
    this.#restedAt = Math.max(this.#restedAt, now) + this.#period;
    return isAllowed;
  }

  giveBack(share: number): void {
    this.#restedAt -= share * this.#period;
  }
}
