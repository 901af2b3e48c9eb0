/**
 * An election on a lease, as one pure function: `step(state, event)` gives the next state and what is to be done. It does no
 * I/O, waits for nothing and knows no clock: time and chance come in with each event. Everything that affects the election is
 * in the state, and everything that it does is an effect.
 *
 * Guarantees: a term begins only through a conditional write whose success was seen, and is certain from before that write was
 * sent for `renewDeadline`, which is shorter than what others must wait; it ends at the first sign of loss; no failure of the
 * API server ends the campaign. Not guaranteed: that work which ignores both signal and token stops. Rules: ARCHITECTURE.md.
 *
 * To be read in this order: state, events, effects, step; then what happens, in the order of an election's life.
 */
import { LONG_AGO, NEVER, after, earlier, type Instant, type MonotonicMs } from './clock.js';
import { decide, type Decision } from './decide.js';
import { isPassing, type LeaderError, type LeaseRequestError } from './errors.js';
import {
  BEFORE_ALL_TIMES,
  WriteNotKeptError,
  nextTime,
  recordToAcquire,
  recordToRelease,
  recordToRenew,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WatchEvent,
  type WriteOutcome,
} from './lease.js';
import {
  awaitsRelease,
  begin,
  beginTerm,
  campaignAt,
  extendTerm,
  handOver,
  onLifeEvent,
  hasRunOut,
  renewableTerm,
  lifeDue,
  lifeDueAt,
  loseTerm,
  measure,
  newLife,
  pictureOf,
  released,
  tell,
  tellState,
  type Life,
  type LifeEffect,
  type LifeEvent,
  type Picture,
  type Reading,
  type Term,
  Turn,
} from './life.js';
import { takeoverOf, type RenewalOutcome } from './meter.js';
import {
  heldUntil,
  holderIn,
  isValid,
  owesToOthers,
  validFor,
  validityOf,
  versionOf,
  type Observation,
} from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import * as pace from './pacing.js';
import {
  longLease,
  longLeaseUntil,
  nextEndOf,
  problemsIn,
  releaseFailed,
  sameProblems,
  tooManyConflicts,
  watchDenied,
  withProblem,
  withSuccess,
  withoutPast,
  withoutProblem,
  type ProblemKind,
  type Problems,
} from './problems.js';
import {
  newRelease,
  nextOfRelease,
  releaseRead,
  releaseReadFailed,
  releaseWriteFailed,
  type Release,
} from './release.js';
import type { Reply } from './requests.js';
import {
  attemptConflicted,
  attemptFailed,
  attemptSent,
  mayBeOurs,
  noSight,
  noteGap,
  releaseSent,
  seeDeletion,
  seeEvent,
  seeReply,
  seeWritten,
  voidAttempts,
  wasOurs,
  type News,
  type Seen,
  type Sight,
  type WriteAttempt,
} from './sight.js';
import type { TermEndReason } from './term.js';
import {
  newWatch,
  watchDue,
  watchDueAt,
  watchEnded,
  watchExpected,
  watchOpened,
  watchShowed,
  watchStarted,
  watchStopped,
  type Watch,
} from './watch.js';

// State

/** What an election is made with, and never changes. */
export interface ElectionConfig {
  readonly options: ResolvedElectionOptions;
  readonly slot: number;
  /** The lease, for people: `namespace/name`. */
  readonly lease: string;
  readonly canWatch: boolean;
  readonly isGuarded: boolean;
}

/** All there is to know of an election: nothing is stored beside it. */
export interface Election {
  readonly config: ElectionConfig;
  /** The phase, its term, and how terms come and go. */
  readonly life: Life;
  /** What is known of the lease. */
  readonly sight: Sight;
  /** When to ask next, and how the leader renews. */
  readonly pacing: pace.Pacing;
  readonly rhythm: pace.Rhythm;
  readonly watch: Watch;
  readonly problems: Problems;
  /** The requests under way. */
  readonly requests: readonly Request[];
  /** How many requests were sent. */
  readonly sent: number;
  /** The release that the phase awaits. Claims that are under way decide first whether there is anything to release. */
  readonly release: Release | 'awaitingClaims' | undefined;
  /** What keeps this process from wanting to lead, if that is to be mended. */
  readonly objection: LeaderError | undefined;
  /** The time in the last record that this process wrote. */
  readonly lastTime: MicroTime;
  /** The version of what was made of the last write of ours that was not kept. Whoever it names, it is nobody's but ours. */
  readonly unkeptVersion: string | undefined;
  /** The holder that was seen last: whoever was asked for the lease. */
  readonly seenLeader: string;
  /** The holder that was announced last. */
  readonly announcedLeader: string;
  /** That the holder of the lease must be waited for far too long, as it was told. */
  readonly longLease: LeaderError | undefined;
  /** When the next thing is due, if nothing happens before. */
  readonly wakeAt: MonotonicMs;
}

/** A request under way, and why it was sent. */
type Request =
  | {
      readonly kind: 'read';
      readonly number: number;
      readonly sentAt: MonotonicMs;
      /** A follower is in doubt: somebody may have given up the lease. */
      readonly inDoubt: boolean;
      /** A watch was open, and should have shown by then what is asked. */
      readonly isOverdue: boolean;
    }
  | { readonly kind: 'write'; readonly number: number; readonly attempt: WriteAttempt }
  | { readonly kind: 'releaseRead' | 'releaseWrite'; readonly number: number; readonly sentAt: MonotonicMs };

/** The state of an election that has not begun. */
export function newElection(config: ElectionConfig): Election {
  const { options, isGuarded } = config;
  const { leaseName, drainTimeout, onLost } = options;
  return {
    config,
    life: newLife({ leaseName, drainTimeout, onLost, isGuarded }),
    sight: noSight(options),
    pacing: pace.newPacing(options),
    rhythm: pace.newRhythm(options.renewInterval),
    watch: newWatch(options.retryPeriod),
    problems: {},
    requests: [],
    sent: 0,
    release: undefined,
    objection: undefined,
    lastTime: BEFORE_ALL_TIMES,
    unkeptVersion: undefined,
    seenLeader: '',
    announcedLeader: '',
    longLease: undefined,
    wakeAt: NEVER,
  };
}

/** What the election shows of itself at an instant. Looks at the clocks: a term that ran out is never shown. */
export function describe(state: Election, at: Instant): Picture {
  const { life, sight, problems, objection, longLease, watch } = state;
  const until = heldUntil(sight.observation);
  const others = [objection, longLease].filter((error) => error !== undefined);
  return pictureOf(life, at, {
    leader: holderIn(sight.observation),
    expiresAt: until === LONG_AGO ? undefined : until,
    problems: [...problemsIn(problems), ...others],
    watch: watch.state,
  });
}

// Events

/** Everything that happens to an election, with what the instruments show at that instant. */
export type TimedEvent = MachineEvent & { readonly at: Reading };

/** What happens. */
export type MachineEvent =
  | LifeEvent
  | { readonly type: 'start'; readonly objection: LeaderError | undefined }
  | {
      readonly type: 'readReplied';
      readonly number: number;
      readonly reply: Reply<LeaseSnapshot | undefined>;
    }
  | { readonly type: 'writeReplied'; readonly number: number; readonly reply: Reply<WriteOutcome> }
  | { readonly type: 'watchOpened'; readonly stream: number }
  | {
      readonly type: 'watchShowed';
      readonly stream: number;
      readonly event: Exclude<WatchEvent, { kind: 'opened' }>;
    }
  | {
      readonly type: 'watchEnded';
      readonly stream: number;
      readonly problem: LeaseRequestError | undefined;
    }
  /** A read for whoever wants to know now was answered: it changes nothing about when the election's own requests go. */
  | {
      readonly type: 'looked';
      readonly sentAt: MonotonicMs;
      readonly reply: Reply<LeaseSnapshot | undefined>;
    }
  /** A note on another's lease, that we would like to have it, was answered. */
  | { readonly type: 'asked'; readonly sentAt: MonotonicMs; readonly reply: Reply<WriteOutcome> }
  /** Whether this process wants to lead may have changed, or what keeps it from that. */
  | { readonly type: 'candidacyChanged'; readonly objection: LeaderError | undefined }
  | { readonly type: 'stepDown'; readonly cooldown: number };

/** Is told each step of an election: what happened, what is done about it, and the state after it. */
export type ElectionTrace = (event: TimedEvent, effects: readonly ElectionEffect[], state: Election) => void;

// Effects

/** What is to be done: {@link LifeEffect}, and requests. */
export type ElectionEffect = LifeEffect | RequestEffect;

/** Each request is answered by an event with its number. A request that takes longer than its patience has failed. */
export type RequestEffect =
  | { readonly do: 'read'; readonly number: number; readonly patienceMs: number }
  | {
      readonly do: 'write';
      readonly number: number;
      /** What it is conditional on; undefined: on the Lease not existing. */
      readonly base: LeaseSnapshot | undefined;
      readonly record: LeaseRecord;
      readonly patienceMs: number;
    }
  | { readonly do: 'openWatch'; readonly stream: number }
  | { readonly do: 'closeWatch'; readonly stream: number };

// Step

/** The next state, and what is to be done. The same state and event give the same. */
export function step(
  state: Election,
  event: TimedEvent,
): { readonly state: Election; readonly effects: readonly ElectionEffect[] } {
  if (state.life.phase.kind === 'stopped') return { state, effects: [] };
  const turn: ElectionTurn = new Turn(state, event.at, describe);
  if (hasRunOut(state.life, event.at)) lose(turn, 'deadline');
  onEvent(turn, event);
  passTime(turn);
  goOn(turn);
  return { state: turn.state, effects: turn.effects };
}

type ElectionTurn = Turn<Election, RequestEffect>;

/** What has become due by now. It comes after the event, so that an event of the same instant counts first. */
function passTime(turn: ElectionTurn): void {
  const { at } = turn;
  if (turn.life.phase.kind === 'stopped') return;
  lifeDue(turn);
  changeWatch(turn, watchDue(turn.state.watch, at.now, at.chance));
}

function onEvent(turn: ElectionTurn, event: MachineEvent): void {
  switch (event.type) {
    case 'start': {
      const { config, watch } = turn.state;
      begin(turn);
      onObjection(turn, event.objection);
      changeWatch(turn, watchStarted(watch, config.canWatch, turn.at.now));
      return;
    }
    case 'readReplied':
    case 'writeReplied':
      onReply(turn, event);
      return;
    case 'watchOpened':
    case 'watchShowed':
    case 'watchEnded':
      if (event.stream === turn.state.watch.stream && turn.state.watch.isStreaming) onWatch(turn, event);
      return;
    case 'looked':
      if (event.reply.ok) onRead(turn, event.reply.value, event.sentAt);
      return;
    case 'asked':
      onAsked(turn, event);
      return;
    case 'candidacyChanged':
      if (turn.life.phase.kind !== 'idle') onObjection(turn, event.objection);
      return;
    case 'stepDown':
      handOver(turn, 'steppedDown', event.cooldown);
      return;
    case 'timePassed':
    case 'termClosed':
    case 'workIdle':
    case 'guardFinished':
    case 'stop':
      onLifeEvent(turn, event);
      return;
  }
}

/** Decides, and does so again after each decision, until there is nothing to do but wait. */
function goOn(turn: ElectionTurn): void {
  if (turn.life.phase.kind === 'stopped') return;
  changeProblems(turn, withoutPast(turn.state.problems, turn.at.now));
  if (!wantsToWrite(turn)) changeProblems(turn, withoutProblem(turn.state.problems, 'write'));
  let until = NEVER;
  for (let goesOn = true; goesOn;) {
    const { life } = turn.state;
    if (awaitsRelease(life)) {
      until = goOnReleasing(turn);
      goesOn = !awaitsRelease(turn.life);
    } else if (mayDecide(life)) {
      const decision = decideNow(turn);
      goesOn = decision.do !== 'wait';
      if (decision.do === 'wait') until = decision.until;
      else act(turn, decision);
    } else goesOn = false;
  }
  const { life, watch, problems, sight, config } = turn.state;
  if (life.phase.kind === 'stopped') return;
  if (mayDecide(life)) {
    announceLeader(turn);
    announceLongLease(turn);
  }
  const isLong = turn.state.longLease !== undefined;
  const longUntil = isLong ? longLeaseUntil(sight.observation, config.options.leaseDuration) : NEVER;
  const dueAt = earlier(
    earlier(nextEndOf(problems), lifeDueAt(life, turn.at)),
    earlier(watchDueAt(watch), longUntil),
  );
  turn.change({ wakeAt: earlier(dueAt, until) });
}

// To decide

/** Follows, or holds the lease and has told its work to stop if that is due. */
function mayDecide(life: Life): boolean {
  const { phase } = life;
  if (phase.kind === 'handingOver' && phase.awaiting === 'close') return false;
  return phase.kind === 'following' || renewableTerm(life) !== undefined;
}

function decideNow({ state, at }: ElectionTurn): Decision {
  const { life, sight, pacing, rhythm, config } = state;
  const { renewDeadline, termLimit } = config.options;
  const term = renewableTerm(life);
  return decide({
    now: at.now,
    observation: sight.observation,
    doubtful: sight.doubtful,
    hasGap: sight.gapSince !== undefined,
    notBefore: pacing.notBefore,
    noReadBefore: pace.notBeforeOf(pacing, 'read'),
    noWriteBefore: pace.notBeforeOf(pacing, 'write'),
    campaignAt: campaignAt(life, at.running),
    pollAt: pacing.pollAt,
    silentAt: pace.silentAt(rhythm, sight.observation),
    stands: at.stands,
    options: config.options,
    term: term && {
      renewAt: renewalDueAt(term, renewDeadline, at),
      limitAt: termLimit > 0 ? after(term.beganAt, termLimit) : NEVER,
      closing: life.phase.kind === 'handingOver',
    },
  });
}

/** By the clock that leaves less of the validity. */
function renewalDueAt(
  { validity, renewAfter }: Term,
  renewDeadline: number,
  { now, date }: Instant,
): MonotonicMs {
  const sentSince = renewDeadline - validFor(validity, now, date);
  return after(now, renewAfter - sentSince);
}

function act(turn: ElectionTurn, decision: Exclude<Decision, { do: 'wait' }>): void {
  const { options } = turn.state.config;
  switch (decision.do) {
    case 'read':
      read(turn);
      return;
    case 'create':
      write(turn, undefined, recordToAcquire(options, undefined, timeOfRecord(turn), turn.at.chance));
      return;
    case 'takeOver': {
      const { base } = decision;
      write(turn, base, recordToAcquire(options, base.record, timeOfRecord(turn), turn.at.chance));
      return;
    }
    case 'renew': {
      const { base } = decision;
      write(turn, base, recordToRenew(options, base.record, timeOfRecord(turn)));
      return;
    }
    case 'handOver':
      handOver(turn, decision.reason, options.retryPeriod);
      return;
    case 'lose':
      lose(turn, decision.reason);
      return;
  }
}

/** Holds the lease, or would take it. */
function wantsToWrite({ state, at }: ElectionTurn): boolean {
  const { life } = state;
  return renewableTerm(life) !== undefined || (at.stands && at.now >= campaignAt(life, at.running));
}

/** The term is lost: no attempt that was sent so far begins or extends a term any more (rule 5). */
function lose(turn: ElectionTurn, reason: TermEndReason): void {
  turn.change({ sight: voidAttempts(turn.state.sight) });
  loseTerm(turn, reason);
}

// To ask

function senderOf({ state, at }: ElectionTurn): pace.Sender {
  const term = renewableTerm(state.life);
  const { now, chance } = at;
  return { now, chance, validFor: term && validFor(term.validity, now, at.date) };
}

/** How long a request may take: its share of the validity that is left, or of the renewDeadline. */
export function patienceOf(state: Election, at: Instant): number {
  const term = renewableTerm(state.life);
  const left =
    term === undefined ? state.config.options.renewDeadline : validFor(term.validity, at.now, at.date);
  return pace.patienceFor(left);
}

/** Something says that the observation may be out of date. */
function hasDoubt({ doubtful, gapSince }: Sight): boolean {
  return doubtful || gapSince !== undefined;
}

function read(turn: ElectionTurn): void {
  const sender = senderOf(turn);
  const { sight, pacing } = turn.state;
  const inDoubt = hasDoubt(sight) && sender.validFor === undefined;
  const isOverdue = watchIsOverdue(turn);
  turn.change({ pacing: pace.sending(pacing, 'read', sender) });
  const number = underWay(turn, { kind: 'read', sentAt: turn.at.now, inDoubt, isOverdue });
  turn.effects.push({ do: 'read', number, patienceMs: patienceOf(turn.state, turn.at) });
}

/** Writes `record` on top of `base`, or the first record there is: to extend the term, or to begin one. */
function write(turn: ElectionTurn, base: LeaseSnapshot | undefined, record: LeaseRecord): void {
  const { now: sentAt, date: sentOn } = turn.at;
  const attempt = { base, record, term: renewableTerm(turn.life)?.number, sentAt, sentOn };
  turn.change({
    pacing: pace.sending(turn.state.pacing, 'write', senderOf(turn)),
    sight: attemptSent(turn.state.sight, attempt),
  });
  const number = underWay(turn, { kind: 'write', attempt });
  turn.effects.push({ do: 'write', number, base, record, patienceMs: patienceOf(turn.state, turn.at) });
}

type Numbered<R> = R extends Request ? Omit<R, 'number'> : never;

function underWay(turn: ElectionTurn, request: Numbered<Request>): number {
  const number = turn.state.sent + 1;
  turn.change({ sent: number, requests: [...turn.state.requests, { ...request, number }] });
  return number;
}

/** The time of a record that is written now: later than that of every record before it. */
function timeOfRecord(turn: ElectionTurn): MicroTime {
  const lastTime = nextTime(turn.state.lastTime, turn.at.date, turn.at.chance);
  turn.change({ lastTime });
  return lastTime;
}

/** A watch is open, and should have shown a renewal by now. */
function watchIsOverdue({ state, at }: ElectionTurn): boolean {
  const { pacing, rhythm, sight } = state;
  return pacing.pollAt === undefined && at.now >= pace.silentAt(rhythm, sight.observation);
}

/** Whether there is anything to ask for: what is known need not be, unless it must be polled. */
function wantsReads(turn: ElectionTurn): boolean {
  const { sight, pacing, life } = turn.state;
  if (hasDoubt(sight) || sight.observation.kind === 'unseen') return true;
  return renewableTerm(life) === undefined && (pacing.pollAt !== undefined || watchIsOverdue(turn));
}

// What comes back

function onReply(turn: ElectionTurn, event: MachineEvent & { type: 'readReplied' | 'writeReplied' }): void {
  const request = turn.state.requests.find(({ number }) => number === event.number);
  if (request === undefined) return;
  turn.change({ requests: turn.state.requests.filter((other) => other !== request) });
  if (event.type === 'readReplied') {
    if (request.kind === 'read') onReadReplied(turn, request, event.reply);
    if (request.kind === 'releaseRead') onReleaseRead(turn, request.sentAt, event.reply);
  } else {
    if (request.kind === 'write') onWriteReplied(turn, request.attempt, event.reply);
    if (request.kind === 'releaseWrite') onReleaseWritten(turn, request.sentAt, event.reply);
  }
}

function onReadReplied(
  turn: ElectionTurn,
  { sentAt, inDoubt, isOverdue }: Request & { kind: 'read' },
  reply: Reply<LeaseSnapshot | undefined>,
): void {
  if (!reply.ok) {
    // A follower in doubt asks again at once: somebody may have given up the lease.
    onFailure(turn, 'read', reply.error, sentAt, inDoubt && mayRepeatNow(turn, 'read', reply.error, sentAt));
    return;
  }
  turn.change({ pacing: pace.answered(turn.state.pacing, 'read', sentAt) });
  hurryAfter(turn, onRead(turn, reply.value, sentAt, isOverdue));
}

function onWriteReplied(turn: ElectionTurn, attempt: WriteAttempt, reply: Reply<WriteOutcome>): void {
  const wasDoubtful = turn.state.sight.doubtful;
  const { sentAt, term } = attempt;
  const isRenewal = term !== undefined;
  if (!reply.ok) onWriteFailed(turn, attempt, reply.error);
  else if (reply.value.kind === 'conflict') onConflict(turn, attempt);
  else {
    turn.change({ pacing: pace.answered(turn.state.pacing, 'write', sentAt, isRenewal) });
    changeProblems(turn, withSuccess(turn.state.problems, 'write', sentAt));
    hurryAfter(turn, onStored(turn, reply.value.snapshot, sentAt));
  }
  if (!isRenewal) return;
  measure(turn, { type: 'renewal', outcome: outcomeOf(reply), latencyMs: turn.at.now - sentAt });
  // A renewal that was refused without effect is counted as failed, and no more.
  const mayBeDone = reply.ok || reply.error.maybeCommitted;
  if (mayBeDone && turn.state.sight.doubtful && !wasDoubtful) measure(turn, { type: 'slowPath' });
}

function outcomeOf(reply: Reply<WriteOutcome>): RenewalOutcome {
  if (!reply.ok) return 'failed';
  return reply.value.kind === 'written' ? 'renewed' : 'conflict';
}

/** From how many conflicts in a row on they are reported: one or two are what others' edits and lost races leave. */
const REPORTED_CONFLICTS = 3;

function onConflict(turn: ElectionTurn, attempt: WriteAttempt): void {
  const pacing = pace.conflicted(turn.state.pacing, attempt.sentAt);
  turn.change({ pacing, sight: attemptConflicted(turn.state.sight, attempt) });
  excuseLostRace(turn);
  if (turn.state.sight.doubtful) turn.change({ pacing: pace.hurryToRead(turn.state.pacing, turn.at.now) });
  if (pacing.conflicts >= REPORTED_CONFLICTS)
    report(turn, 'write', tooManyConflicts(turn.state.config.lease, pacing.conflicts), attempt.sentAt);
}

function onWriteFailed(turn: ElectionTurn, attempt: WriteAttempt, error: LeaseRequestError): void {
  const { sentAt, term } = attempt;
  const { sight } = turn.state;
  if (error instanceof WriteNotKeptError) turn.change({ unkeptVersion: error.keptVersion });
  // To make a claim again is the quickest way to find out: if it was carried out, the second is refused.
  const atOnce = term === undefined && mayRepeatNow(turn, 'write', error, sentAt);
  const { observation } = sight;
  const wasSeenSince = observation.kind !== 'unseen' && observation.seenAt > sentAt;
  turn.change({ sight: attemptFailed(sight, attempt, error, !atOnce && !wasSeenSince) });
  onFailure(turn, 'write', error, sentAt, atOnce);
  // Whether it was done is the first thing to know.
  if (turn.state.sight.doubtful) turn.change({ pacing: pace.hurryToRead(turn.state.pacing, turn.at.now) });
}

function mayRepeatNow(
  { state, at }: ElectionTurn,
  kind: pace.RequestKind,
  error: LeaseRequestError,
  sentAt: MonotonicMs,
): boolean {
  return isPassing(error) && pace.mayRepeat(state.pacing, kind, sentAt, at.now);
}

function onFailure(
  turn: ElectionTurn,
  kind: pace.RequestKind,
  error: LeaseRequestError,
  sentAt: MonotonicMs,
  atOnce: boolean,
): void {
  turn.change({ pacing: pace.failed(turn.state.pacing, kind, error, sentAt, senderOf(turn), atOnce) });
  report(turn, kind, error, sentAt);
}

function onAsked(turn: ElectionTurn, { sentAt, reply }: MachineEvent & { type: 'asked' }): void {
  if (!reply.ok) report(turn, 'ask', reply.error, sentAt);
  else {
    changeProblems(turn, withSuccess(turn.state.problems, 'ask', sentAt));
    if (reply.value.kind === 'written') onStored(turn, reply.value.snapshot, sentAt);
  }
}

/**
 * The note to leave on another's lease, that this process would like to have it; undefined while it leads or does not
 * campaign, and when there is nobody to ask.
 */
export function noteToAsk(
  { life, sight, config }: Election,
  { now, running, stands }: Reading,
): { readonly base: LeaseSnapshot; readonly record: LeaseRecord } | undefined {
  const campaigns = life.phase.kind === 'following' && stands && now >= campaignAt(life, running);
  const { observation } = sight;
  if (!campaigns || sight.doubtful || observation.kind !== 'present' || observation.mine) return undefined;
  if (holderIn(observation) === '') return undefined;
  const { snapshot: base } = observation;
  return { base, record: { ...base.record, wantedBy: config.options.identity } };
}

// What is seen

/** A read showed the lease, or that there is none. @param isOverdue A watch was open, and should have shown it before. */
function onRead(
  turn: ElectionTurn,
  lease: LeaseSnapshot | undefined,
  sentAt: MonotonicMs,
  isOverdue = false,
): News | undefined {
  changeProblems(turn, withSuccess(turn.state.problems, 'read', sentAt));
  const news = see(turn, seeReply(turn.state.sight, lease, sentAt, turn.at), 'reply');
  if (lease !== undefined || isOverdue) expectOfWatch(turn, lease?.resourceVersion, isOverdue);
  return news;
}

/** The reply to a write showed what is stored. */
function onStored(turn: ElectionTurn, lease: LeaseSnapshot, sentAt: MonotonicMs): News | undefined {
  const news = see(turn, seeWritten(turn.state.sight, lease, sentAt, turn.at), 'reply');
  expectOfWatch(turn, lease.resourceVersion, false);
  return news;
}

function expectOfWatch(turn: ElectionTurn, version: string | undefined, isOverdue: boolean): void {
  changeWatch(turn, watchExpected(turn.state.watch, version, isOverdue, turn.at.now));
}

function onWatch(
  turn: ElectionTurn,
  event: MachineEvent & { type: 'watchOpened' | 'watchShowed' | 'watchEnded' },
): void {
  const { now, chance } = turn.at;
  switch (event.type) {
    case 'watchOpened':
      changeWatch(turn, watchOpened(turn.state.watch, now));
      return;
    case 'watchShowed': {
      changeWatch(turn, watchShowed(turn.state.watch, event.event, now));
      const { sight } = turn.state;
      const seen =
        event.event.kind === 'seen'
          ? seeEvent(sight, event.event.snapshot, turn.at)
          : seeDeletion(sight, event.event.resourceVersion, turn.at);
      hurryAfter(turn, see(turn, seen, 'watch'));
      return;
    }
    case 'watchEnded': {
      const { problem } = event;
      if (problem !== undefined && problem.code !== turn.state.watch.reported) {
        const isDenied = problem.code === 'LEADER_FORBIDDEN';
        report(turn, 'watch', isDenied ? watchDenied(turn.state.config.lease, problem) : problem, now);
      }
      changeWatch(turn, watchEnded(turn.state.watch, problem, now, chance));
      return;
    }
  }
}

/** Opens and closes streams as the watch now says, and notes whether events can be expected. */
function changeWatch(turn: ElectionTurn, watch: Watch): void {
  const before = turn.state.watch;
  turn.change({ watch });
  const isAnother = watch.stream !== before.stream;
  if (before.isStreaming && (isAnother || !watch.isStreaming))
    turn.effects.push({ do: 'closeWatch', stream: before.stream });
  if (watch.isStreaming && isAnother) turn.effects.push({ do: 'openWatch', stream: watch.stream });
  if (watch.state === before.state) return;
  const isOpen = watch.state === 'open';
  measure(turn, { type: 'watch', isOpen });
  if (isOpen) changeProblems(turn, withoutProblem(turn.state.problems, 'watch'));
  turn.change({ pacing: pace.watching(turn.state.pacing, isOpen, senderOf(turn)) });
  if (isOpen) lookAfterGap(turn);
}

/** A stream shows what is there as it opens, but not that another's Lease was deleted while none was open: a read does. */
function lookAfterGap(turn: ElectionTurn): void {
  const { rhythm, sight, pacing } = turn.state;
  const { now } = turn.at;
  turn.change({
    rhythm: pace.rhythmAtOpening(rhythm, now),
    sight: noteGap(sight, now),
    pacing: pace.hurryToRead(pacing, now),
  });
}

/** What was seen counts, unless it is stale. */
function see(turn: ElectionTurn, { sight, news }: Seen, channel: 'watch' | 'reply'): News | undefined {
  turn.change({ sight });
  if (news === undefined) return undefined;
  const { observation } = sight;
  const record = observation.kind === 'present' ? observation.snapshot.record : undefined;
  turn.change({ rhythm: pace.rhythmSeeing(turn.state.rhythm, record, turn.at.now, channel) });
  excuseLostRace(turn);
  reviewProblems(turn, news.proved);
  if (news.proved !== undefined) onProved(turn, news.proved);
  return news;
}

/** A write succeeded: it begins or extends the term it was for, by the stamp taken before it was sent. */
function onProved(turn: ElectionTurn, attempt: WriteAttempt): void {
  const { sight, life, config } = turn.state;
  const { observation } = sight;
  const { now, date, chance } = turn.at;
  if (observation.kind !== 'present' || attempt.term !== renewableTerm(life)?.number) return;
  const validity = validityOf(attempt.sentAt, attempt.sentOn, config.options.renewDeadline);
  const { renewInterval } = config.options;
  if (attempt.term !== undefined) {
    extendTerm(turn, { validity, renewAfter: renewInterval });
    return;
  }
  if (life.phase.kind !== 'following' || !isValid(validity, now, date)) return;
  if (owesToOthers(observation, now)) return;
  const fencingToken = BigInt(observation.snapshot.resourceVersion);
  // The first renewal comes by chance earlier, so that those of many elections which begin at one instant are spread.
  const renewAfter = renewInterval * (1 - chance);
  beginTerm(
    turn,
    { fencingToken, slot: config.slot, validity, renewAfter },
    takeoverOf(attempt.base, config.options.identity),
  );
}

/** What was seen may call for a request before its time: a released lease is claimed at once. */
function hurryAfter(turn: ElectionTurn, news: News | undefined): void {
  if (news?.moved === true) turn.change({ pacing: pace.hurry(turn.state.pacing, turn.at.now) });
}

/** Another holds the lease: what was refused before says nothing about the next claim. */
function excuseLostRace(turn: ElectionTurn): void {
  const { observation } = turn.state.sight;
  if (isHeldByAnother(observation, turn.at.now) && holderIn(observation) !== '')
    turn.change({ pacing: pace.lostRace(turn.state.pacing) });
}

function isHeldByAnother(observation: Observation, now: MonotonicMs): boolean {
  return observation.kind === 'present' && !observation.mine && observation.heldUntil > now;
}

function onObjection(turn: ElectionTurn, objection: LeaderError | undefined): void {
  if (objection === turn.state.objection) return;
  turn.change({ objection });
  tellState(turn);
  if (objection !== undefined) tell(turn, { type: 'error', error: objection });
}

// To give the lease up

/** Goes on with the release that the phase awaits, or ends it. Returns when to go on if nothing comes back before. */
function goOnReleasing(turn: ElectionTurn): MonotonicMs {
  const isUnderWay = (...kinds: readonly Request['kind'][]): boolean =>
    turn.state.requests.some(({ kind }) => kinds.includes(kind));
  if (turn.state.release === undefined) beginRelease(turn);
  const { sight, config } = turn.state;
  if (turn.state.release === 'awaitingClaims' && !isUnderWay('write'))
    turn.change({ release: newRelease(sight, turn.at.now, config.options) });
  const { release } = turn.state;
  // Undefined: there was nothing to release.
  if (typeof release !== 'object' || isUnderWay('releaseRead', 'releaseWrite')) return NEVER;
  const next = nextOfRelease(release, sight, turn.at.now);
  const { now: sentAt } = turn.at;
  switch (next.do) {
    case 'wait':
      return next.until;
    case 'read': {
      const number = underWay(turn, { kind: 'releaseRead', sentAt });
      turn.effects.push({ do: 'read', number, patienceMs: next.patienceMs });
      return NEVER;
    }
    case 'write': {
      const record = recordToRelease(next.base.record, timeOfRecord(turn));
      turn.change({ sight: releaseSent(turn.state.sight) });
      const number = underWay(turn, { kind: 'releaseWrite', sentAt });
      turn.effects.push({ do: 'write', number, base: next.base, record, patienceMs: next.patienceMs });
      return NEVER;
    }
    case 'giveUp':
      reportRelease(turn, release.problem);
      endRelease(turn);
      return NEVER;
    case 'leave':
      endRelease(turn);
      return NEVER;
  }
}

/** Voids all writes, and gives the lease up if that is wanted, and it is ours, or may be through a write still unanswered. */
function beginRelease(turn: ElectionTurn): void {
  const { life, sight, requests, config } = turn.state;
  const { phase } = life;
  const isStopping = phase.kind === 'leaving' || (phase.kind === 'handingOver' && phase.reason === 'stopped');
  const isWanted = !isStopping || config.options.releaseOnCancel;
  turn.change({ sight: voidAttempts(sight) });
  if (!isWanted || !mayBeOurs(sight)) {
    endRelease(turn);
    return;
  }
  // What is ours already waits for nothing: a renewal that hangs comes to nothing once the release is written.
  const hasClaims = !wasOurs(sight) && requests.some(({ kind }) => kind === 'write');
  turn.change({ release: hasClaims ? 'awaitingClaims' : newRelease(sight, turn.at.now, config.options) });
}

function endRelease(turn: ElectionTurn): void {
  turn.change({ release: undefined });
  released(turn);
  if (turn.life.phase.kind === 'stopped') end(turn);
}

function onReleaseRead(
  turn: ElectionTurn,
  sentAt: MonotonicMs,
  reply: Reply<LeaseSnapshot | undefined>,
): void {
  if (reply.ok) onRead(turn, reply.value, sentAt);
  const { release } = turn.state;
  if (typeof release !== 'object') return;
  turn.change({
    release: reply.ok ? releaseRead(release) : releaseReadFailed(release, reply.error, sentAt, turn.at.now),
  });
}

function onReleaseWritten(turn: ElectionTurn, sentAt: MonotonicMs, reply: Reply<WriteOutcome>): void {
  const { release } = turn.state;
  if (reply.ok && reply.value.kind === 'written') {
    onStored(turn, reply.value.snapshot, sentAt);
    endRelease(turn);
  } else if (typeof release === 'object') {
    const error = reply.ok ? undefined : reply.error;
    turn.change({ release: releaseWriteFailed(release, error, sentAt, turn.at.now) });
  }
}

function reportRelease(turn: ElectionTurn, cause: LeaseRequestError | undefined): void {
  const { sight, config } = turn.state;
  const { observation } = sight;
  const until = observation.kind === 'unseen' ? NEVER : observation.heldUntil;
  report(turn, 'release', releaseFailed(config.options.leaseName, cause), turn.at.now, until);
}

/** Nothing more happens. */
function end(turn: ElectionTurn): void {
  changeWatch(turn, watchStopped(turn.state.watch));
  announceLeader(turn);
  turn.change({ requests: [], wakeAt: NEVER });
}

// To tell

/** A request of that kind failed, which was sent at `sentAt`. @param until when the problem is over by itself. */
function report(
  turn: ElectionTurn,
  kind: ProblemKind,
  error: LeaderError,
  sentAt: MonotonicMs,
  until = NEVER,
): void {
  if (kind !== 'read' || wantsReads(turn))
    changeProblems(turn, withProblem(turn.state.problems, kind, error, sentAt, until));
  tell(turn, { type: 'error', error });
}

function changeProblems(turn: ElectionTurn, problems: Problems): void {
  const before = turn.state.problems;
  turn.change({ problems });
  if (!sameProblems(before, problems)) tellState(turn);
}

/** What is seen may show that a write has succeeded, or that no request of some kind is wanted now. */
function reviewProblems(turn: ElectionTurn, proved: WriteAttempt | undefined): void {
  const over = (kind: ProblemKind): void => {
    changeProblems(turn, withoutProblem(turn.state.problems, kind));
  };
  const { sight, unkeptVersion, seenLeader } = turn.state;
  const { observation } = sight;
  if (proved !== undefined) changeProblems(turn, withSuccess(turn.state.problems, 'write', proved.sentAt));
  if (!wantsReads(turn)) over('read');
  if (isHeldByAnother(observation, turn.at.now) && versionOf(observation) !== unkeptVersion) over('write');
  if (proved !== undefined || !wasOurs(sight)) over('release');
  const leader = holderIn(observation);
  if (leader !== seenLeader) over('ask');
  turn.change({ seenLeader: leader });
}

function announceLeader(turn: ElectionTurn): void {
  const leader = holderIn(turn.state.sight.observation);
  if (leader === turn.state.announcedLeader) return;
  turn.change({ announcedLeader: leader });
  tell(turn, { type: 'newLeader', identity: leader });
}

function announceLongLease(turn: ElectionTurn): void {
  const { sight, config, longLease: told } = turn.state;
  const error = longLease(sight.observation, turn.at.now, config.options);
  if ((error === undefined) === (told === undefined)) return;
  turn.change({ longLease: error });
  tellState(turn);
  if (error !== undefined) tell(turn, { type: 'error', error });
}
