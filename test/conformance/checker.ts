/**
 * Checks the trace of one process against the rules of ARCHITECTURE.md. It sees what the process saw, sent and decided (the events
 * and effects of its steps, with the readings of its own clocks), keeps a small account of its own, and knows each transition that
 * the rules allow. An effect that no transition explains fails, and so does a step without an effect that a rule demands.
 *
 * It shares no code with lib/election. The formulas of rules 1 to 3 are those that the solver proves G1 from (test/proof/rules.ts).
 * What it leaves open is how fast and how often: it says what may be done, and of what must be done only how a term ends.
 */
import { storyTeller, type ElectionTrace, type LeaseRecord } from '../../lib/election/index.js';
import type { ElectionConfig, ElectionEffect, TimedEvent } from '../../lib/election/machine.js';
import type { Measured, Reading, Told } from '../../lib/election/life.js';
import { certainUntil, claimableFrom, isCertain, numbers } from '../proof/rules.js';
import {
  LeaseAccount,
  isSame,
  type Attempt,
  type Known,
  type SeenLease,
  type Sighting,
} from './lease-account.js';
import { RULES, type Transition, type RuleNumber } from './transitions.js';

/** A step of a process. */
export interface Step {
  readonly event: TimedEvent;
  readonly effects: readonly ElectionEffect[];
  readonly wakeAt: number;
}

/** A step that the rules do not explain. */
export class Unexplained extends Error {
  override readonly name = 'Unexplained';

  constructor(
    /** The rule that is nearest. */
    readonly rule: RuleNumber,
    what: string,
    story: string,
    knew: string,
  ) {
    super(`Rule ${String(rule)}: ${what}\n${story}\nThe rule: ${RULES[rule]}\nThe checker knew: ${knew}`);
  }
}

type Effect<K extends ElectionEffect['do']> = Extract<ElectionEffect, { do: K }>;
type EndReason = Effect<'endTerm'>['reason'];
type Phase =
  'idle' | 'following' | 'leading' | 'closing' | 'draining' | 'guard' | 'releasing' | 'leaving' | 'stopped';

/** The term that is open, or of which the release is under way. */
interface OpenTerm {
  readonly number: number;
  readonly beganAt: number;
  readonly isAnnounced: boolean;
  /** When the write was sent that its validity comes from. */
  readonly sentAt: number;
  readonly sentOn: number;
  /** How long after that the next renewal is due. */
  readonly renewAfter: number;
  /** Why it is handed over, if it is. */
  readonly closed: { readonly reason: EndReason; readonly cooldown: number } | undefined;
}

interface SentRequest {
  readonly number: number;
  readonly kind: 'read' | 'write' | 'releaseRead' | 'releaseWrite';
  readonly sentAt: number;
}

/** The longest that a floating-point sum may differ from the same sum in another order, in milliseconds. */
const ROUNDING = 1e-6;
/** Rule 4. */
const MOST_UNANSWERED = 4;
const SHORTEST_PATIENCE = 1_000;
/** Rule 4: so many of a kind may go one right after the other. */
const AT_ONCE = 2;
/** Rule 4: the share of its cost that a request that succeeded gives back. */
const ALMOST_ALL = 7 / 8;
/** Rule 9. */
const COURTESY = 250;
const SILENT_INTERVALS = 2.1;
/** Renewals that come so many times as fast as the leader's interval were held up on their way. */
const BURST = 10;
/** Rule 10. */
const RELEASES_PER_RETRY_PERIOD = 4;

/** Follows one process. */
export class Checker {
  /** How often each transition was used. */
  readonly used = new Map<Transition, number>();
  readonly #config: ElectionConfig;
  readonly #lease: LeaseAccount;
  #phase: Phase = 'idle';
  #term: OpenTerm | undefined;
  #terms = 0;
  /** The announced term of which the end was not told yet, and why it ended. */
  #untold: { readonly number: number; readonly reason: EndReason } | undefined;
  #isLeaving = false;
  #cooldownUntil = Number.NEGATIVE_INFINITY;
  #drainUntil = Number.NEGATIVE_INFINITY;
  #requests: readonly SentRequest[] = [];
  #sent = 0;
  /** When the newest request of a kind was sent, and how much of its rate is used up, as the time at which that is made good. */
  readonly #lanes = {
    read: { newest: Number.NEGATIVE_INFINITY, restedAt: Number.NEGATIVE_INFINITY },
    write: { newest: Number.NEGATIVE_INFINITY, restedAt: Number.NEGATIVE_INFINITY },
  };
  /** The watch: when it was opened or closed last, and when it last showed anything, and a renewal; the shortest time between two. */
  #watch = {
    stream: 0,
    isStreaming: false,
    isOpen: false,
    changedAt: Number.NEGATIVE_INFINITY,
    newsAt: Number.NEGATIVE_INFINITY,
    renewedAt: Number.NEGATIVE_INFINITY,
    shortest: Number.POSITIVE_INFINITY,
  };
  /** The process that was proven dead last, and when that was proven first. */
  #dead: { readonly process: string; readonly at: number } | undefined;
  /** The process that is followed, the leader that was told last, and the last time that was written into a record. */
  #followed: string | undefined;
  #leader = '';
  #lastTime = '';
  /** Since when the lease that is being released is not ours. */
  #notOursSince: number | undefined;
  /** When the first request of a release was sent, and how many there were. */
  #releasesSince: number | undefined;
  #releaseRequests = 0;
  /** The step in progress, and what the rest of it is about: the sighting of its event, and why the term must end in it. */
  #step!: Step;
  #sighting: Sighting | undefined;
  #mustEnd: EndReason | undefined;

  constructor(config: ElectionConfig) {
    this.#config = config;
    this.#lease = new LeaseAccount(config.options);
    this.#watch.shortest = config.options.renewInterval;
  }

  /** Checks the next step. @throws Unexplained */
  check(step: Step): void {
    const { event, effects, wakeAt } = step;
    this.#step = step;
    this.#sighting = undefined;
    this.#mustEnd = undefined;
    if (this.#phase === 'stopped') {
      this.#demand(effects.length === 0, 10, 'an election that has ended does nothing');
      return;
    }
    if (this.#isOpen && !this.#isCertain()) {
      this.#mustEnd = 'deadline';
      this.#lease.voidAttempts();
    }
    this.#note(event);
    const { known } = this.#lease;
    const isOurs = known.kind === 'lease' && known.own !== undefined;
    const hasNone = this.#phase === 'releasing' && !isOurs;
    this.#notOursSince = hasNone ? (this.#notOursSince ?? event.at.now) : undefined;
    for (const effect of effects) this.#explain(effect);
    this.#finish(wakeAt);
  }

  // What happened

  #note(event: TimedEvent): void {
    switch (event.type) {
      case 'start':
        this.#phase = 'following';
        return;
      case 'stop':
        if (this.#phase === 'idle') this.#phase = 'following';
        this.#isLeaving = true;
        return;
      case 'readReplied':
      case 'writeReplied':
        this.#replied(event);
        return;
      case 'looked':
        if (event.reply.ok) this.#see(this.#lease.replied(event.reply.value, event.sentAt, event.at));
        return;
      case 'asked':
        if (event.reply.ok && event.reply.value.kind === 'written')
          this.#see(this.#lease.written(event.reply.value.snapshot, event.sentAt, event.at));
        return;
      case 'watchOpened':
      case 'watchShowed':
      case 'watchEnded':
        if (event.stream === this.#watch.stream && this.#watch.isStreaming) this.#watched(event);
        return;
      case 'holderGone':
        // `lockDelay` counts from the first proof, however often it is reported.
        if (this.#dead?.process !== event.process) this.#dead = { process: event.process, at: event.at.now };
        return;
      case 'termClosed':
        if (this.#phase === 'closing' && this.#term?.number === event.term) this.#phase = 'draining';
        return;
      case 'guardFinished':
      case 'candidacyChanged':
      case 'timePassed':
      case 'workIdle':
      case 'stepDown':
      case 'exit':
        return;
    }
  }

  #replied(event: Extract<TimedEvent, { type: 'readReplied' | 'writeReplied' }>): void {
    const request = this.#requests.find(({ number }) => number === event.number);
    if (request === undefined) return;
    this.#requests = this.#requests.filter((one) => one !== request);
    const { reply, at } = event;
    const { kind, sentAt } = request;
    const lane = kind === 'read' || kind === 'write' ? this.#lanes[kind] : undefined;
    const giveBack = (share: number): void => {
      if (lane !== undefined) lane.restedAt -= share * this.#config.options.retryPeriod;
    };
    if (!reply.ok) {
      const { code, maybeCommitted, retryAfterMs } = reply.error;
      const mayRepeat = retryAfterMs === undefined && PASSING.includes(code);
      if (kind === 'write')
        this.#lease.failed(request.number, {
          maybeCommitted,
          isInvalid: code === 'LEADER_REQUEST_INVALID',
          mayRepeat,
        });
      return;
    }
    if (event.type === 'readReplied') {
      giveBack(ALMOST_ALL);
      if (event.reply.ok) this.#see(this.#lease.replied(event.reply.value, sentAt, at));
      return;
    }
    if (!event.reply.ok) return;
    const outcome = event.reply.value;
    if (outcome.kind === 'conflict') {
      // A lost race costs as little as a success.
      giveBack(ALMOST_ALL);
      this.#lease.conflicted(request.number);
      return;
    }
    // A renewal costs nothing. A claim costs an eighth, which is not counted here.
    giveBack(1);
    this.#see(this.#lease.written(outcome.snapshot, sentAt, at));
  }

  #watched(event: Extract<TimedEvent, { type: 'watchOpened' | 'watchShowed' | 'watchEnded' }>): void {
    const { now } = event.at;
    switch (event.type) {
      case 'watchOpened':
        // An event that repeats itself is none.
        if (this.#watch.isOpen) return;
        this.#lease.watchOpened(now);
        this.#watch = { ...this.#watch, isOpen: true, changedAt: now, newsAt: now };
        return;
      case 'watchShowed': {
        const before = this.#lease.known;
        this.#see(
          event.event.kind === 'seen'
            ? this.#lease.shown(event.event.snapshot, event.at)
            : this.#lease.deleted(event.event.resourceVersion, event.at),
        );
        if (this.#sighting !== undefined) this.#noteRhythm(before, now);
        return;
      }
      case 'watchEnded':
        this.#watch = { ...this.#watch, isOpen: false, changedAt: now };
        return;
    }
  }

  /** Rule 9: the shortest time between two renewals that the watch has shown. What comes in a burst says nothing about the leader. */
  #noteRhythm(before: Known, now: number): void {
    const { known } = this.#lease;
    const { renewedAt, shortest } = this.#watch;
    this.#watch.newsAt = now;
    if (before.kind !== 'lease' || known.kind !== 'lease') return;
    const [old, record] = [before.snapshot.record, known.snapshot.record];
    if (old.holderIdentity !== record.holderIdentity || isSame(old, record)) return;
    const interval = now - renewedAt;
    this.#watch.renewedAt = now;
    if (interval >= this.#config.options.renewInterval / BURST)
      this.#watch.shortest = Math.min(shortest, interval);
  }

  /** Rules 1 and 5: a sighting that proves a renewal of the open term extends it. */
  #see(sighting: Sighting | undefined): void {
    this.#sighting = sighting;
    const proved = sighting?.proved;
    const term = this.#term;
    if (proved === undefined || term === undefined || !this.#isOpen || proved.term !== term.number) return;
    if (proved.sentAt <= term.sentAt) return;
    const { sentAt, sentOn } = proved;
    this.#use(
      this.#event.type === 'writeReplied'
        ? 'the reply to a renewal extends the term'
        : 'the sight of a renewal extends the term',
    );
    this.#term = { ...term, sentAt, sentOn, renewAfter: this.#config.options.renewInterval };
  }

  // What was done about it

  #explain(effect: ElectionEffect): void {
    switch (effect.do) {
      case 'write':
        this.#write(effect);
        return;
      case 'read':
        this.#read(effect);
        return;
      case 'beginTerm':
        this.#begin(effect);
        return;
      case 'closeTerm':
        this.#close(effect);
        return;
      case 'endTerm':
        this.#end(effect);
        return;
      case 'openWatch':
        this.#demand(!this.#watch.isStreaming, 9, 'a watch is opened while another is open');
        this.#demand(
          effect.stream === this.#watch.stream + 1,
          9,
          'the streams of a watch are not numbered one by one',
        );
        this.#demand(this.#config.canWatch, 9, 'the lock has no watch');
        this.#use('a watch is opened');
        this.#watch = {
          ...this.#watch,
          stream: effect.stream,
          isStreaming: true,
          isOpen: false,
          changedAt: this.#at.now,
        };
        return;
      case 'closeWatch':
        this.#demand(
          this.#watch.isStreaming && effect.stream === this.#watch.stream,
          9,
          'another watch than the open one is closed',
        );
        this.#use('a watch is closed');
        this.#watch = { ...this.#watch, isStreaming: false, isOpen: false, changedAt: this.#at.now };
        return;
      case 'followHolder':
        this.#follow(effect);
        return;
      case 'guard':
        this.#guard(effect);
        return;
      case 'awaitIdle':
        this.#use('running work is waited for');
        return;
      case 'tell':
        this.#tell(effect.event);
        return;
      case 'measure':
        this.#measure(effect.fact);
        return;
    }
  }

  // Requests

  #write(effect: Effect<'write'>): void {
    this.#demand(effect.number === this.#sent + 1, 3, 'requests are not numbered one by one');
    this.#demand(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(effect.record.renewTime ?? ''),
      11,
      'a time has not six digits',
    );
    this.#demand(
      (effect.record.renewTime ?? '') > this.#lastTime,
      11,
      'the times of its records do not grow',
    );
    this.#lastTime = effect.record.renewTime ?? '';
    if (effect.record.holderIdentity !== '') this.#releaseEndsSilently();
    if (this.#phase === 'releasing' || this.#phase === 'leaving') this.#release(effect);
    else if (this.#isOpen) this.#renew(effect);
    else this.#claim(effect);
    this.#sent = effect.number;
  }

  #renew(effect: Effect<'write'>): void {
    const { known } = this.#lease;
    const { base, record, number, patienceMs } = effect;
    const term = this.#term as OpenTerm;
    this.#demand(this.#phase !== 'closing', 10, 'a renewal is sent before the gate has closed');
    if (this.#mustEnd !== undefined || !this.#isCertain())
      this.#refuse(2, 'a renewal is sent in a term that has run out');
    if (known.kind !== 'lease' || known.own === undefined) this.#refuse(6, 'a lease is renewed that is lost');
    this.#conditional(base, 'a renewal');
    this.#demand(!this.#lease.mustRead, 5, 'a renewal is sent while it is unknown what became of the last');
    const { options } = this.#config;
    const expected: LeaseRecord = {
      ...without(known.snapshot.record, 'process', 'note'),
      leaseDurationSeconds: options.leaseDuration / 1_000,
      renewTime: record.renewTime,
    };
    this.#demand(
      isSame(record, expected) && record.wantedBy === expected.wantedBy,
      11,
      'a renewal changes more than renewTime and the duration',
    );
    this.#describesSelf(record);
    const earlier = this.#lease.attemptsOnKnown().filter((attempt) => attempt.term === term.number);
    const validFor = this.#validFor();
    const isDue = options.renewDeadline - validFor >= term.renewAfter - ROUNDING;
    if (known.touch === 'unanswered') this.#use('a touched record is overwritten');
    else if (earlier.length > 0) this.#use('a renewal is sent again');
    else if (isDue) this.#use('a renewal is sent');
    else this.#refuse(3, 'a renewal is sent before it is due');
    this.#paced('write', patienceMs, validFor, number);
    this.#lease.sent(this.#attempt(effect, term.number));
  }

  #claim(effect: Effect<'write'>): void {
    const { base, record, number, patienceMs } = effect;
    const { known } = this.#lease;
    const { options } = this.#config;
    const { now, running, stands } = this.#at;
    this.#demand(this.#phase === 'following', 10, `a claim is sent while this process is ${this.#phase}`);
    this.#demand(!this.#isLeaving, 10, 'a claim is sent by a process that stops');
    this.#demand(stands, 8, 'a claim is sent by a process that does not want to lead');
    this.#demand(
      running === 0 || now >= this.#drainUntil,
      8,
      'a claim is sent while work of a lost term runs',
    );
    this.#demand(now >= this.#cooldownUntil, 8, 'a claim is sent before the cool-down is over');
    if (known.kind === 'nothing') this.#refuse(3, 'a claim is sent although nothing was seen');
    this.#conditional(base, 'a claim');
    this.#demand(
      !this.#lease.mustRead,
      5,
      'a claim is sent while it is unknown what became of the last write',
    );
    const again = this.#lease
      .attemptsOnKnown()
      .some((attempt) => attempt.term === undefined && attempt.counts);
    if (known.kind === 'absent') this.#claimWithoutLease(known.owed, again);
    else this.#claimLease(known, again);
    this.#claimRecord(record, base?.record);
    this.#describesSelf(record);
    this.#paced('write', patienceMs, options.renewDeadline, number);
    this.#lease.sent(this.#attempt(effect, undefined));
  }

  #claimWithoutLease(owed: number, again: boolean): void {
    const { lockDelay } = this.#config.options;
    const from = claimableFrom(numbers, owed, 0, lockDelay);
    this.#demand(
      this.#at.now >= from,
      3,
      `a Lease is created while the last holder is owed it, until ${String(from)}`,
    );
    this.#use(
      again
        ? 'a claim is sent again'
        : owed === Number.NEGATIVE_INFINITY
          ? 'a Lease is created that nobody is owed'
          : 'a Lease is created when its last holder is owed it no more',
    );
  }

  #claimLease(known: SeenLease, again: boolean): void {
    const { lockDelay, identity, reclaimOwnLease } = this.#config.options;
    const { now } = this.#at;
    const { snapshot, own, touch, owed, heldUntil, seenAt } = known;
    const { holderIdentity: holder, wantedBy, process } = snapshot.record;
    const use = (transition: Transition): void => {
      this.#use(again ? 'a claim is sent again' : transition);
    };
    const deadAt =
      this.#dead !== undefined && own === undefined && process === this.#dead.process
        ? this.#dead.at
        : undefined;
    if (holder === '') {
      this.#demand(
        now >= owed && now >= heldUntil,
        3,
        `a released lease is claimed while an earlier holder is owed it, until ${String(Math.max(owed, heldUntil))}`,
      );
      const isWanted = wantedBy !== undefined && wantedBy !== identity;
      if (isWanted && now < seenAt + COURTESY)
        this.#refuse(9, 'a released lease is claimed at once that another process has asked for');
      use(
        isWanted
          ? 'a released lease is claimed that the process that asked for it has left'
          : 'a released lease is claimed',
      );
      return;
    }
    if (own !== undefined && touch !== 'unanswered') {
      this.#demand(
        now >= claimableFrom(numbers, owed, 0, lockDelay),
        3,
        `its own record is claimed while the holder of an earlier Lease is owed it, until ${String(owed)}`,
      );
      use('its own record is claimed');
      return;
    }
    if (reclaimOwnLease && holder === identity) {
      use('a record of its name is claimed');
      return;
    }
    if (now >= claimableFrom(numbers, heldUntil, 0, lockDelay)) {
      use('a lease that has run out is claimed');
      return;
    }
    if (deadAt !== undefined) {
      const from = claimableFrom(numbers, Math.max(deadAt, owed), 0, lockDelay);
      this.#demand(now >= from, 13, `the lease of a dead process is claimed before ${String(from)}`);
      use('the lease of a dead process is claimed');
      return;
    }
    if (this.#dead !== undefined && own === undefined)
      this.#refuse(
        13,
        `the lease of '${holder}' is claimed, who is owed it until ${String(heldUntil)}; another process was proven dead`,
      );
    if (this.#config.options.identity === holder)
      this.#refuse(7, 'a record of its name that it did not write is claimed before it has run out');
    this.#refuse(1, `the lease of '${holder}' is claimed, who is owed it until ${String(heldUntil)}`);
  }

  #claimRecord(record: LeaseRecord, base: LeaseRecord | undefined): void {
    const { identity, leaseDuration } = this.#config.options;
    const keepsName = base?.holderIdentity === identity && base.acquireTime !== undefined;
    const transitions =
      base === undefined ? 0 : Math.min((base.leaseTransitions ?? 0) + (keepsName ? 0 : 1), 2 ** 31 - 1);
    this.#demand(record.holderIdentity === identity, 11, 'a claim has another name');
    this.#demand(
      record.leaseDurationSeconds === leaseDuration / 1_000,
      11,
      'a claim has another duration than leaseDuration',
    );
    this.#demand(
      record.leaseTransitions === transitions,
      11,
      `a claim counts ${String(record.leaseTransitions)} transitions, not ${String(transitions)}`,
    );
    const moved = keepsName
      ? (record.acquireTime ?? '') > base.acquireTime
      : record.acquireTime?.slice(0, 23) === record.renewTime?.slice(0, 23);
    this.#demand(moved || record.acquireTime === record.renewTime, 7, 'a claim does not move acquireTime on');
    this.#demand(record.wantedBy === undefined, 11, 'a claim keeps that somebody has asked for the lease');
  }

  #release(effect: Effect<'write'>): void {
    const { known } = this.#lease;
    const { base, record, number, patienceMs } = effect;
    const { retryPeriod, spread, releaseOnCancel } = this.#config.options;
    this.#demand(!this.#isOpen, 10, 'a release is sent before the term has ended');
    const isByStop = this.#phase === 'leaving' || this.#term?.closed?.reason === 'stopped';
    this.#demand(releaseOnCancel || !isByStop, 10, 'a release is sent with releaseOnCancel: false');
    if (known.kind !== 'lease' || known.own === undefined)
      this.#refuse(10, 'a lease is released that is not ours');
    this.#demand(
      known.owed <= this.#at.now,
      10,
      'a lease is released while the holder of an earlier one is owed it',
    );
    this.#conditional(base, 'a release');
    this.#demand(
      !this.#lease.mustRead,
      10,
      'a release is sent while it is unknown whether the lease is ours',
    );
    this.#demand(
      this.#at.running === 0 || this.#phase !== 'leaving',
      10,
      'a release is sent while work runs',
    );
    const { acquireTime, renewTime } = record;
    const expected: LeaseRecord = {
      ...without(known.snapshot.record, 'process', 'note', 'wantedBy'),
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: renewTime,
      renewTime,
    };
    this.#demand(isSame(record, expected) && acquireTime === renewTime, 11, 'a release has another form');
    this.#demand(record.process === undefined, 11, 'a release says something about its process');
    const mayKeep = spread || known.snapshot.record.note?.priority !== undefined;
    this.#demand(
      record.wantedBy === (mayKeep ? known.snapshot.record.wantedBy : undefined),
      9,
      'a release keeps a wrong note of who has asked',
    );
    this.#demand(patienceMs <= retryPeriod + ROUNDING, 10, 'a release is waited for longer than retryPeriod');
    this.#use(
      this.#phase === 'leaving'
        ? 'a process that stops releases what is still its own'
        : 'a term that was handed over is released',
    );
    this.#releaseSent(number, 'releaseWrite');
    this.#lease.releaseSent();
  }

  #read({ number, patienceMs }: Effect<'read'>): void {
    this.#demand(number === this.#sent + 1, 3, 'requests are not numbered one by one');
    const { known } = this.#lease;
    const { retryPeriod, renewDeadline } = this.#config.options;
    this.#sent = number;
    if (patienceMs > retryPeriod + ROUNDING) this.#releaseEndsSilently();
    if (this.#phase === 'releasing' || this.#phase === 'leaving') {
      this.#demand(
        patienceMs <= retryPeriod + ROUNDING,
        10,
        'a read of a release is waited for longer than retryPeriod',
      );
      this.#use('a read tells whether there is anything to release');
      this.#releaseSent(number, 'releaseRead');
      return;
    }
    const isOpen = this.#isOpen;
    if (!isOpen && this.#phase !== 'following')
      this.#refuse(9, `a read is sent while this process is ${this.#phase}`);
    const inDoubt = this.#lease.mayRead;
    if (known.kind === 'nothing') this.#use('a first read');
    else if (inDoubt) this.#use(isOpen ? 'a leader reads in doubt' : 'a follower reads in doubt');
    else if (isOpen) this.#refuse(3, 'a leader reads although it knows the lease');
    else if (this.#lease.gapSince !== undefined) this.#use('a read after a watch has opened');
    else if (!this.#watch.isOpen) this.#poll();
    else this.#overdue();
    this.#paced('read', patienceMs, isOpen ? this.#validFor() : renewDeadline, number);
  }

  #poll(): void {
    const since = Math.min(
      this.#watch.changedAt,
      Math.max(this.#lanes.read.newest, this.#lanes.write.newest),
    );
    const { retryPeriod } = this.#config.options;
    this.#demand(
      this.#at.now >= since + retryPeriod - ROUNDING,
      9,
      'a poll is sent before retryPeriod has passed',
    );
    this.#use('a poll without a watch');
  }

  #overdue(): void {
    const { newsAt, shortest } = this.#watch;
    const isSilent = this.#at.now >= newsAt + SILENT_INTERVALS * shortest - ROUNDING;
    this.#demand(isSilent, 9, `a read is sent although the watch has shown something at ${String(newsAt)}`);
    this.#use('a read because the watch is silent');
  }

  /** Rule 4. */
  #paced(kind: 'read' | 'write', patienceMs: number, left: number, number: number): void {
    const { now } = this.#at;
    const { retryPeriod } = this.#config.options;
    const patience = Math.max(left / 2, SHORTEST_PATIENCE);
    this.#demand(
      Math.abs(patienceMs - patience) <= ROUNDING,
      4,
      `a ${kind} is waited for ${String(patienceMs)} ms, not for ${String(patience)}`,
    );
    const lane = this.#lanes[kind];
    const unanswered = this.#requests.filter((request) => request.kind === kind);
    this.#demand(unanswered.length < MOST_UNANSWERED, 4, `a fifth ${kind} is sent while four are unanswered`);
    this.#demand(
      now >= lane.restedAt - (AT_ONCE - 1) * retryPeriod - ROUNDING,
      4,
      `too many ${kind}s are sent one right after the other`,
    );
    lane.newest = now;
    lane.restedAt = Math.max(lane.restedAt, now) + retryPeriod;
    this.#requests = [...this.#requests, { number, kind, sentAt: now }];
  }

  #releaseSent(number: number, kind: 'releaseRead' | 'releaseWrite'): void {
    const { now } = this.#at;
    const { retryPeriod, renewDeadline } = this.#config.options;
    const isUnderWay = this.#requests.some(
      (request) => request.kind === 'releaseRead' || request.kind === 'releaseWrite',
    );
    this.#demand(!isUnderWay, 10, 'two requests of a release are under way');
    if (this.#releasesSince === undefined) this.#releaseRequests = 0;
    this.#releasesSince ??= now;
    this.#demand(
      now < this.#releasesSince + renewDeadline,
      10,
      'a release goes on for longer than renewDeadline',
    );
    this.#releaseRequests += 1;
    const most = 4 + 2 * RELEASES_PER_RETRY_PERIOD * ((now - this.#releasesSince) / retryPeriod);
    this.#demand(this.#releaseRequests <= most, 10, 'a release is tried too often');
    this.#requests = [...this.#requests, { number, kind, sentAt: now }];
  }

  /** Rule 3: it is conditional on what was seen last. */
  #conditional(base: Effect<'write'>['base'], what: string): void {
    const { known } = this.#lease;
    const isLast =
      known.kind === 'lease'
        ? base?.resourceVersion === known.snapshot.resourceVersion && base.uid === known.snapshot.uid
        : base === undefined;
    this.#demand(isLast, 3, `${what} is not conditional on what was seen last`);
  }

  #describesSelf(record: LeaseRecord): void {
    this.#demand(
      record.process === this.#at.process,
      13,
      'a record says something about another process than the writer',
    );
  }

  #attempt({ number, record, base }: Effect<'write'>, term: number | undefined): Attempt {
    return { number, record, base, term, sentAt: this.#at.now, sentOn: this.#at.date, counts: true };
  }

  // Terms

  #begin({ term }: Effect<'beginTerm'>): void {
    const { known } = this.#lease;
    const proved = this.#sighting?.proved;
    if (proved === undefined || proved.term !== undefined)
      this.#refuse(5, 'a term begins, and no claim of this campaign is shown to have succeeded');
    this.#demand(
      this.#phase === 'following' && !this.#isLeaving,
      5,
      `a term begins while this process is ${this.#phase}`,
    );
    if (known.kind !== 'lease') this.#refuse(5, 'a term begins without a Lease');
    this.#demand(term.number === this.#terms + 1, 6, 'terms are not numbered one by one');
    const { renewDeadline, renewInterval } = this.#config.options;
    const { validity } = term;
    const isStamped =
      validity.until === certainUntil(numbers, proved.sentAt, renewDeadline) &&
      validity.untilDate === certainUntil(numbers, proved.sentOn, renewDeadline) &&
      validity.sentOn === proved.sentOn;
    this.#demand(
      isStamped,
      1,
      `a term is certain until ${String(validity.until)}, but its claim was sent at ${String(proved.sentAt)}`,
    );
    this.#demand(
      term.beganAt === this.#at.now && term.startedAt === this.#at.date,
      1,
      'a term begins at another time',
    );
    this.#demand(
      known.owed <= this.#at.now,
      3,
      `a term begins while the holder of an earlier Lease is owed it, until ${String(known.owed)}`,
    );
    this.#demand(
      String(term.fencingToken) === known.snapshot.resourceVersion.replace(/^0+(?=\d)/, ''),
      12,
      `the token is ${String(term.fencingToken)}, and the write was stored as ${known.snapshot.resourceVersion}`,
    );
    const renewAfter = renewInterval * (1 - this.#at.chance);
    this.#demand(
      Math.abs(term.renewAfter - renewAfter) <= ROUNDING,
      3,
      'the first renewal of a term is due at another time',
    );
    this.#terms = term.number;
    this.#phase = 'leading';
    this.#term = {
      number: term.number,
      beganAt: this.#at.now,
      isAnnounced: false,
      sentAt: proved.sentAt,
      sentOn: proved.sentOn,
      renewAfter: term.renewAfter,
      closed: undefined,
    };
    this.#demand(this.#isCertain(), 2, 'a term begins that has run out');
    this.#use(
      this.#event.type === 'writeReplied'
        ? 'the reply to a claim begins a term'
        : 'the sight of a claim begins a term',
    );
  }

  #close({ term: number, reason }: Effect<'closeTerm'>): void {
    const term = this.#term;
    if (term === undefined || !this.#isOpen || term.closed !== undefined || term.number !== number)
      this.#refuse(10, 'a term is closed that is not open');
    const { now, stands } = this.#at;
    const { termLimit, retryPeriod, identity } = this.#config.options;
    const { known } = this.#lease;
    const wantedBy = known.kind === 'lease' ? known.snapshot.record.wantedBy : undefined;
    const event = this.#event;
    let cooldown = retryPeriod;
    if (reason === 'stopped') {
      this.#demand(event.type === 'stop', 10, 'a term is closed as stopped, and nobody stopped this process');
      cooldown = 0;
      this.#use('a term is closed because the process stops');
    } else if (reason === 'termLimit') {
      this.#demand(termLimit > 0 && now >= term.beganAt + termLimit, 6, 'a term is closed before its limit');
      this.#use('a term is closed at its limit');
    } else if (reason === 'steppedDown' && event.type === 'stepDown') {
      ({ cooldown } = event);
      this.#use('a term is closed because the application steps down');
    } else if (reason === 'steppedDown' && wantedBy !== undefined && wantedBy !== identity)
      this.#use('a term is closed because another process has asked for the lease');
    else if (reason === 'steppedDown' && !stands)
      this.#use('a term is closed because this process does not want to lead');
    else this.#refuse(6, `a term is closed as ${reason}, which nothing explains`);
    this.#term = { ...term, closed: { reason, cooldown } };
    this.#phase = 'closing';
  }

  #end({ term: number, reason, renewedAt }: Effect<'endTerm'>): void {
    const term = this.#term;
    if (term === undefined || !this.#isOpen || term.number !== number)
      this.#refuse(6, 'a term ends that is not open');
    this.#demand(renewedAt === term.sentOn, 1, 'a term ends with another time of its last renewal');
    const { now, running } = this.#at;
    const { drainTimeout, onLost } = this.#config.options;
    const isHandOver = term.closed?.reason === reason && this.#mustEnd === undefined;
    if (term.isAnnounced) this.#untold = { number, reason };
    if (this.#event.type === 'exit' && this.#mustEnd === undefined) {
      this.#demand(reason === (term.closed?.reason ?? 'stopped'), 10, `a term ends at the exit as ${reason}`);
      this.#use('a term ends because the process exits');
      this.#phase = 'stopped';
      this.#term = undefined;
    } else if (isHandOver && (this.#phase === 'draining' || this.#phase === 'guard')) {
      const isGuardDone = this.#phase === 'guard' && this.#event.type === 'guardFinished';
      this.#demand(running === 0 || isGuardDone, 10, 'a term ends while its work runs');
      this.#demand(!this.#config.isGuarded || isGuardDone, 10, 'a term ends before its guard has finished');
      this.#use('a term ends when its work has ended');
      this.#phase = 'releasing';
      this.#releasesSince = undefined;
    } else {
      this.#lost(reason);
      const { closed, isAnnounced } = term;
      if (closed !== undefined) this.#cooldownUntil = now + closed.cooldown;
      this.#drainUntil = now + drainTimeout;
      if (onLost === 'exit' && isAnnounced) this.#isLeaving = true;
      this.#phase = this.#isLeaving ? 'leaving' : 'following';
      this.#releasesSince = undefined;
      this.#term = undefined;
    }
    this.#lease.voidAttempts();
    this.#mustEnd = undefined;
  }

  #lost(reason: EndReason): void {
    const { known } = this.#lease;
    if (this.#mustEnd === 'deadline') {
      this.#demand(reason === 'deadline', 2, `a term that has run out ends as ${reason}`);
      this.#use('a term ends because it has run out');
      return;
    }
    if (reason === 'deadline') this.#refuse(2, 'a term ends as run out that is certain');
    if (reason === 'leaseGone') {
      this.#demand(known.kind === 'absent', 6, 'a term ends because there is no Lease, but there is one');
      this.#use('a term ends because the Lease is gone');
    } else if (reason === 'released' || reason === 'superseded') {
      if (known.kind !== 'lease' || known.own !== undefined)
        this.#refuse(6, `a term ends as ${reason}, but the lease is ours`);
      const isFree = known.snapshot.record.holderIdentity === '';
      this.#demand(
        isFree === (reason === 'released'),
        6,
        `a term ends as ${reason}, but the holder is '${known.snapshot.record.holderIdentity}'`,
      );
      this.#use(
        isFree ? 'a term ends because the lease has no holder' : "a term ends because of another's record",
      );
    } else this.#refuse(10, `a term ends as ${reason}, which nothing explains`);
  }

  #guard({ when, term }: Effect<'guard'>): void {
    this.#demand(this.#config.isGuarded, 10, 'a guard is asked that does not exist');
    if (when === 'start') {
      this.#demand(
        this.#term?.number === term && this.#phase === 'leading',
        10,
        'the guard is asked about a term that has not begun',
      );
      this.#use('the guard is asked as a term begins');
      return;
    }
    if (this.#phase === 'draining') {
      this.#demand(this.#at.running === 0, 10, 'the guard is asked while work runs');
      this.#phase = 'guard';
    }
    this.#use('the guard is asked as a term ends');
  }

  #follow({ process }: Effect<'followHolder'>): void {
    const { known } = this.#lease;
    const its = known.kind === 'lease' && known.own === undefined ? known.snapshot.record.process : undefined;
    this.#demand(
      process === its || process === undefined,
      13,
      `the process '${String(process)}' is followed, and the holder is '${String(its)}'`,
    );
    this.#demand(process !== this.#followed, 13, 'a process is followed that is followed already');
    this.#followed = process;
    this.#use(process === undefined ? 'no process is followed' : "the holder's process is followed");
  }

  // What observers hear

  #tell(event: Told): void {
    switch (event.type) {
      case 'stateChanged':
        this.#picture(event.state.kind);
        return;
      case 'startedLeading': {
        const term = this.#term;
        if (term?.number !== event.term || term.isAnnounced || !this.#isOpen)
          this.#refuse(10, 'a term is announced that has not begun');
        const isGuardDone = this.#event.type === 'guardFinished' && this.#event.when === 'start';
        this.#demand(
          !this.#config.isGuarded || isGuardDone,
          10,
          'a term is announced before its guard has finished',
        );
        this.#term = { ...term, isAnnounced: true };
        this.#use('a term is announced');
        return;
      }
      case 'stoppedLeading':
        this.#demand(
          this.#untold?.number === event.term && this.#untold.reason === event.reason,
          6,
          'the end of a term is told that has not ended, or twice',
        );
        this.#untold = undefined;
        this.#releaseEnds(this.#at.now);
        this.#use('the end of a term is told');
        return;
      case 'newLeader': {
        const { known } = this.#lease;
        const holder = known.kind === 'lease' ? known.snapshot.record.holderIdentity : '';
        this.#demand(
          event.identity === holder && holder !== this.#leader,
          9,
          `the leader is told to be '${event.identity}', and the holder is '${holder}'`,
        );
        this.#leader = holder;
        this.#use('a new leader is told');
        return;
      }
      case 'error':
        this.#error(event.error.code);
        return;
    }
  }

  /** An error is that of the event, or one that the election finds by itself. */
  #error(code: string): void {
    const event = this.#event;
    const { known } = this.#lease;
    const isOthers = known.kind === 'lease' && known.own === undefined;
    const found: Record<string, boolean> = {
      LEADER_PROCESS_PAUSED: this.#mustEnd === 'deadline',
      LEADER_CLOCK_JUMPED: this.#mustEnd === 'deadline',
      LEADER_DRAIN_TIMEOUT: this.#at.running > 0,
      LEADER_RELEASE_FAILED: this.#phase === 'releasing' || this.#phase === 'leaving',
      LEADER_WRITE_CONFLICT:
        event.type === 'writeReplied' && event.reply.ok && event.reply.value.kind === 'conflict',
      LEADER_WATCH_DENIED: event.type === 'watchEnded' && event.problem?.code === 'LEADER_FORBIDDEN',
      LEADER_WATCH_BROKEN: this.#config.canWatch,
      LEADER_LONG_LEASE: isOthers || known.kind === 'absent',
      LEADER_DURATIONS_DIFFER: isOthers,
      LEADER_NAMESAKE: isOthers,
    };
    const isOfEvent =
      ('reply' in event && !event.reply.ok && event.reply.error.code === code) ||
      ('problem' in event && event.problem?.code === code) ||
      ('objection' in event && event.objection?.code === code) ||
      ('error' in event && event.error?.code === code);
    this.#demand(isOfEvent || found[code] === true, 9, `${code} is told, which nothing explains`);
    this.#use('an error is told');
  }

  #picture(kind: string): void {
    const isOpen = this.#isOpen && this.#isCertain();
    switch (kind) {
      case 'leading':
        this.#demand(
          isOpen && this.#term?.closed === undefined,
          2,
          'a state is told as leading, and no term is open',
        );
        break;
      case 'handingOver':
        this.#demand(
          this.#term?.closed !== undefined,
          10,
          'a state is told as a hand-over, and there is none',
        );
        break;
      case 'stopped':
        this.#demand(
          this.#isLeaving || this.#event.type === 'exit',
          10,
          'a process is told to have stopped that nobody stopped',
        );
        this.#phase = 'stopped';
        break;
      default:
        break;
    }
    this.#use('a change of the state is told');
  }

  /** Nobody is told of the end of a term that was not announced. What is sent now is sent by a process that releases nothing. */
  #releaseEndsSilently(): void {
    if (this.#notOursSince !== undefined && this.#term?.isAnnounced === false)
      this.#releaseEnds(this.#notOursSince);
  }

  /** The release has ended, if one was under way. */
  #releaseEnds(at: number): void {
    const closed = this.#term?.closed;
    if (this.#phase !== 'releasing' || closed === undefined) return;
    this.#cooldownUntil = at + closed.cooldown;
    this.#phase = this.#isLeaving ? 'stopped' : 'following';
    this.#term = undefined;
  }

  #measure(_fact: Measured): void {
    this.#use('a figure is measured');
  }

  // After the effects

  #finish(wakeAt: number): void {
    const { known } = this.#lease;
    const { now, date } = this.#at;
    const event = this.#event;
    if (this.#mustEnd !== undefined) this.#refuse(2, 'a term that has run out does not end');
    if (this.#phase === 'stopped') return;
    if (event.type === 'stop' && this.#phase === 'following') {
      this.#phase = 'leaving';
      this.#releasesSince = undefined;
    }
    if (this.#isOpen && this.#phase !== 'closing') {
      if (known.kind === 'absent') this.#refuse(6, 'the Lease is gone, and the term goes on');
      if (known.kind === 'lease' && known.own === undefined)
        this.#refuse(
          6,
          `the lease is held by '${known.snapshot.record.holderIdentity}', and the term goes on`,
        );
    }
    if (this.#isOpen) {
      const term = this.#term as OpenTerm;
      const { renewDeadline } = this.#config.options;
      const left = Math.min(
        certainUntil(numbers, term.sentAt, renewDeadline) - now,
        certainUntil(numbers, term.sentOn, renewDeadline) - date,
      );
      this.#demand(wakeAt <= now + left + ROUNDING, 2, 'nothing looks at the clocks when the term runs out');
    }
  }

  // Words

  get #event(): TimedEvent {
    return this.#step.event;
  }

  /** What the process' instruments show in this step. */
  get #at(): Reading {
    return this.#step.event.at;
  }

  /** Whether there is a term that has not ended. */
  get #isOpen(): boolean {
    return this.#term !== undefined && this.#phase !== 'releasing' && this.#phase !== 'following';
  }

  /** Rule 2: whether the term is certain, by both clocks. */
  #isCertain(): boolean {
    const term = this.#term as OpenTerm;
    const { now, date } = this.#at;
    const sent = { monotonic: term.sentAt, wall: term.sentOn };
    return isCertain(numbers, { monotonic: now, wall: date }, sent, this.#config.options.renewDeadline);
  }

  #validFor(): number {
    const { sentAt, sentOn } = this.#term as OpenTerm;
    const { renewDeadline } = this.#config.options;
    const { now, date } = this.#at;
    const onMonotonic = certainUntil(numbers, sentAt, renewDeadline) - now;
    const onWall = certainUntil(numbers, sentOn, renewDeadline) - date;
    return Math.max(Math.min(onMonotonic, onWall), 0);
  }

  #use(transition: Transition): void {
    this.used.set(transition, (this.used.get(transition) ?? 0) + 1);
  }

  #demand(isTrue: boolean, rule: RuleNumber, otherwise: string): void {
    if (!isTrue) this.#refuse(rule, otherwise);
  }

  #refuse(rule: RuleNumber, what: string): never {
    const knew = {
      at: this.#at,
      phase: this.#phase,
      term: this.#term,
      known: this.#lease.known,
      mustRead: this.#lease.mustRead,
      requests: this.#requests,
      cooldownUntil: this.#cooldownUntil,
      drainUntil: this.#drainUntil,
    };
    throw new Unexplained(
      rule,
      what,
      storyOf(this.#step),
      JSON.stringify(knew, (key, value: unknown) =>
        key === 'carried'
          ? undefined
          : typeof value === 'bigint' || value === Infinity || value === -Infinity
            ? String(value)
            : value,
      ),
    );
  }
}

/** Failures that an immediate retry may overcome (rule 9): no answer, 5xx, 429. */
const PASSING: readonly string[] = [
  'LEADER_UNREACHABLE',
  'LEADER_REQUEST_TIMEOUT',
  'LEADER_SERVER_ERROR',
  'LEADER_THROTTLED',
];

function without<T extends object, K extends keyof T>(value: T, ...keys: readonly K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key as K))) as Omit<T, K>;
}

/** The step in the lines of a story. */
function storyOf({ event, effects, wakeAt }: Step): string {
  const lines: string[] = [];
  const state = { wakeAt, life: { phase: { kind: 'following' } } } as Parameters<ElectionTrace>[2];
  storyTeller((line) => lines.push(line))(event, effects, state);
  return lines.join('\n');
}
