/**
 * The election on a Lease as one pure function: `step(state, event)` returns the next state and the effects. It does no I/O,
 * waits for nothing and reads no clock: time and randomness come with each event. Everything that affects the election is in
 * the state, and everything it does is an effect.
 *
 * Guarantees: a term begins only through a conditional write whose success was seen. It is certain for `renewDeadline` from
 * before that write was sent, which is shorter than the time that others must wait. It ends at the first sign of loss. No
 * failure of the API server ends the campaign. Not guaranteed: that work which ignores both signal and token stops. The rules
 * are in ARCHITECTURE.md.
 *
 * The order of this file: state, events, effects, step; then the handling of events, in the order of an election's life.
 */
import { LONG_AGO, NEVER, after, earlier, type Instant, type MonotonicMs } from './clock.js';
import { claimableAt, decide, type Decision } from './decide.js';
import type { Candidacy } from './elector.js';
import { isPassing, type LeaderError, type LeaseRequestError } from './errors.js';
import {
  BEFORE_ALL_TIMES,
  WriteNotKeptError,
  isNewer,
  nextTime,
  recordToAcquire,
  recordToExpire,
  recordToRelease,
  recordToRenew,
  sameRecord,
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
  quit,
  released,
  tell,
  tellState,
  termIn,
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
  strangeHolder,
  tooManyConflicts,
  watchBroken,
  watchDenied,
  whyRunOut,
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
  isBroken,
  isWorse,
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

/** The constant parts of an election. */
export interface ElectionConfig {
  readonly options: ResolvedElectionOptions;
  readonly slot: number;
  /** `namespace/name` of the lease, for messages. */
  readonly lease: string;
  readonly canWatch: boolean;
  readonly isGuarded: boolean;
}

/** The state of an election. Nothing that affects it is stored elsewhere. */
export interface Election {
  readonly config: ElectionConfig;
  /** The phase and its term. */
  readonly life: Life;
  /** What is known of the lease. */
  readonly sight: Sight;
  /** When the next requests may go. */
  readonly pacing: pace.Pacing;
  /** How often the leader renews, as seen. */
  readonly rhythm: pace.Rhythm;
  readonly watch: Watch;
  readonly problems: Problems;
  /** The requests in flight. */
  readonly requests: readonly Request[];
  /** How many requests were sent. */
  readonly sent: number;
  /** The release that the phase awaits. While claims are in flight it is unknown whether there is anything to release. */
  readonly release: Release | 'awaitingClaims' | undefined;
  /** Why this process does not want to lead, if that is an error. */
  readonly objection: LeaderError | undefined;
  /** This process will not want to lead in this run. */
  readonly abstains: boolean;
  /** The `renewTime` of the last record that this process wrote. */
  readonly lastTime: MicroTime;
  /** The version under which the server stored our last write with other values. Its holder, whoever it names, is not real. */
  readonly unkeptVersion: string | undefined;
  /** The holder that was seen last. */
  readonly seenLeader: string;
  /** The holder that was announced last. */
  readonly announcedLeader: string;
  /** What the holder wrote about its process, if this is followed. */
  readonly followed: string | undefined;
  /** What a process wrote about itself that was proven dead last, and when. A dead process stays dead. */
  readonly gone: { readonly process: string; readonly at: MonotonicMs } | undefined;
  /** The reported error about the holder: that it must be respected for very long, or does not fit to this process. */
  readonly holderProblem: LeaderError | undefined;
  /** Another process with our identity writes the lease. */
  readonly hasNamesake: boolean;
  /** When the next thing is due. */
  readonly wakeAt: MonotonicMs;
}

/** A request in flight, and why it was sent. */
type Request =
  | {
      readonly kind: 'read';
      readonly number: number;
      readonly sentAt: MonotonicMs;
      /** Sent by a follower in doubt: the lease may have been released. */
      readonly inDoubt: boolean;
      /** Sent because an open watch had been silent for too long. */
      readonly isOverdue: boolean;
    }
  | { readonly kind: 'write'; readonly number: number; readonly attempt: WriteAttempt }
  | { readonly kind: 'releaseRead' | 'releaseWrite'; readonly number: number; readonly sentAt: MonotonicMs };

/** The state of an election that has not started. */
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
    abstains: false,
    lastTime: BEFORE_ALL_TIMES,
    unkeptVersion: undefined,
    seenLeader: '',
    announcedLeader: '',
    followed: undefined,
    gone: undefined,
    holderProblem: undefined,
    hasNamesake: false,
    wakeAt: NEVER,
  };
}

/** The public picture of the election at an instant. It never shows a term that has run out. */
export function describe(state: Election, at: Instant): Picture {
  const { config, life, sight, problems, objection, abstains, holderProblem, watch } = state;
  const record = sight.observation.kind === 'present' ? sight.observation.snapshot.record : undefined;
  const until = heldUntil(sight.observation, goneAt(state));
  const others = [objection, holderProblem].filter((error) => error !== undefined);
  return pictureOf(life, at, {
    leader: holderIn(sight.observation),
    expiresAt: until === LONG_AGO ? undefined : until,
    leaderNote: record?.note,
    askedBy: record?.wantedBy === config.options.identity ? undefined : record?.wantedBy,
    ...(abstains && { campaigns: false }),
    problems: [...problemsIn(problems), ...others],
    watch: watch.state,
  });
}

/** When the lease may be claimed by what is known of it; undefined while nothing is. */
export function freeAt(state: Election): MonotonicMs | undefined {
  const { observation } = state.sight;
  if (observation.kind === 'unseen') return undefined;
  return claimableAt(observation, { options: state.config.options, goneAt: goneAt(state) });
}

// Events

/** An event and its reading. */
export type TimedEvent = MachineEvent & { readonly at: Reading };

/** What the state shows of the candidacy. Whether the process stands at present is part of each {@link Reading}. */
export type CandidacyOf = Pick<Candidacy, 'objection' | 'abstains'>;

/** Everything that can happen to an election. */
export type MachineEvent =
  | LifeEvent
  | (CandidacyOf & { readonly type: 'start' })
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
  /** A read on behalf of a user was answered. It does not affect the pace of the election's own requests. */
  | {
      readonly type: 'looked';
      readonly sentAt: MonotonicMs;
      readonly reply: Reply<LeaseSnapshot | undefined>;
    }
  /** The write that asks another holder for the lease (`wantedBy`) was answered. */
  | { readonly type: 'asked'; readonly sentAt: MonotonicMs; readonly reply: Reply<WriteOutcome> }
  /** Whether this process wants to lead may have changed, or something else about its candidacy. */
  | (CandidacyOf & { readonly type: 'candidacyChanged' })
  | { readonly type: 'stepDown'; readonly cooldown: number }
  /** The process that wrote `process` about itself is dead. Follows `followHolder`. */
  | { readonly type: 'holderGone'; readonly process: string }
  /** The process exits: no later event will come. */
  | { readonly type: 'exit' };

/** Called with each step of an election: the event, its effects, and the state after it. */
export type ElectionTrace = (event: TimedEvent, effects: readonly ElectionEffect[], state: Election) => void;

// Effects

/** What the driver and the elector must do. */
export type ElectionEffect = LifeEffect | RequestEffect;

/** A request is answered by an event with its number. It fails if it takes longer than `patienceMs`. */
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
  | { readonly do: 'closeWatch'; readonly stream: number }
  /** Feed `holderGone` when the process is dead that wrote `process` about itself; undefined: follow none. */
  | { readonly do: 'followHolder'; readonly process: string | undefined };

// Step

/** The next state and the effects of an event. The same state and event give the same result. */
export function step(
  state: Election,
  event: TimedEvent,
): { readonly state: Election; readonly effects: readonly ElectionEffect[] } {
  if (state.life.phase.kind === 'stopped') return { state, effects: [] };
  const turn: ElectionTurn = new Turn(state, event.at, describe);
  if (hasRunOut(state.life, event.at)) runOut(turn);
  onEvent(turn, event);
  passTime(turn);
  goOn(turn);
  return { state: turn.state, effects: turn.effects };
}

type ElectionTurn = Turn<Election, RequestEffect>;

/** Does what has become due. It comes after the event, so that an event of the same instant counts first. */
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
      onCandidacy(turn, event);
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
      if (turn.life.phase.kind !== 'idle') onCandidacy(turn, event);
      return;
    case 'stepDown':
      handOver(turn, 'steppedDown', event.cooldown);
      return;
    case 'holderGone':
      holderGone(turn, event.process);
      return;
    case 'exit':
      quit(turn);
      if (turn.life.phase.kind === 'stopped') end(turn);
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

/** Decides and acts, again and again, until there is nothing to do but wait. */
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
    followHolder(turn, processOf(sight.observation));
    announceLeader(turn);
    announceHolderProblem(turn);
  }
  const isLong = turn.state.holderProblem?.code === 'LEADER_LONG_LEASE';
  const longUntil = isLong ? longLeaseUntil(sight.observation, config.options.leaseDuration) : NEVER;
  const dueAt = earlier(
    earlier(nextEndOf(problems), lifeDueAt(life, turn.at)),
    earlier(watchDueAt(watch), longUntil),
  );
  turn.change({ wakeAt: earlier(dueAt, until) });
}

// Deciding

/** Whether there is something to decide: the process follows, or holds a lease that it does not release yet. */
function mayDecide(life: Life): boolean {
  const { phase } = life;
  if (phase.kind === 'handingOver' && phase.awaiting === 'close') return false;
  return phase.kind === 'following' || renewableTerm(life) !== undefined;
}

/** What another holder wrote about its process. */
function processOf(observation: Observation): string | undefined {
  return observation.kind === 'present' && !observation.mine
    ? observation.snapshot.record.process
    : undefined;
}

/** When the process of the holder was proven dead. */
function goneAt({ gone, sight }: Election): MonotonicMs | undefined {
  return gone !== undefined && gone.process === processOf(sight.observation) ? gone.at : undefined;
}

function holderGone(turn: ElectionTurn, process: string): void {
  const { now } = turn.at;
  // The wait for `lockDelay` has begun.
  if (turn.state.gone?.process === process) return;
  turn.change({ gone: { process, at: now }, pacing: pace.hurry(turn.state.pacing, now) });
  if (goneAt(turn.state) !== undefined) tellState(turn);
}

function followHolder(turn: ElectionTurn, process: string | undefined): void {
  if (process === turn.state.followed) return;
  turn.change({ followed: process });
  turn.effects.push({ do: 'followHolder', process });
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
    goneAt: goneAt(state),
    stands: at.stands,
    options: config.options,
    term: term && {
      renewAt: renewalDueAt(term, renewDeadline, at),
      limitAt: termLimit > 0 ? after(term.beganAt, termLimit) : NEVER,
      closing: life.phase.kind === 'handingOver',
    },
  });
}

/** When the next renewal is due, by the clock that leaves less of the validity. */
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
  const { chance, process, note } = turn.at;
  const about = { ...(process !== undefined && { process }), ...(note !== undefined && { note }) };
  switch (decision.do) {
    case 'read':
      read(turn);
      return;
    case 'create':
      write(turn, undefined, recordToAcquire(options, undefined, timeOfRecord(turn), chance, about));
      return;
    case 'takeOver': {
      const { base } = decision;
      write(turn, base, recordToAcquire(options, base.record, timeOfRecord(turn), chance, about));
      return;
    }
    case 'renew': {
      const { base } = decision;
      write(turn, base, recordToRenew(options, base.record, timeOfRecord(turn), about));
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

/** Whether this process holds the lease or campaigns for it. */
function wantsToWrite({ state, at }: ElectionTurn): boolean {
  const { life } = state;
  return renewableTerm(life) !== undefined || (at.stands && at.now >= campaignAt(life, at.running));
}

/** The term is lost. No attempt sent so far can begin or extend a term any more (rule 5). */
function lose(turn: ElectionTurn, reason: TermEndReason): void {
  turn.change({ sight: voidAttempts(turn.state.sight) });
  loseTerm(turn, reason);
}

/** The term has run out. If renewals did not fail, it tells why. */
function runOut(turn: ElectionTurn): void {
  const { life, wakeAt: dueAt, config } = turn.state;
  const { validity } = termIn(life.phase) as Term;
  const cause = whyRunOut({ validity, dueAt }, turn.at, config.options);
  if (cause !== undefined) tell(turn, { type: 'error', error: cause });
  lose(turn, 'deadline');
}

// Sending requests

function senderOf({ state, at }: ElectionTurn): pace.Sender {
  const term = renewableTerm(state.life);
  const { now, chance } = at;
  return { now, chance, validFor: term && validFor(term.validity, now, at.date) };
}

/** How long a request may take: its share of the remaining validity, or of `renewDeadline` for a follower. */
export function patienceOf(state: Election, at: Instant): number {
  const term = renewableTerm(state.life);
  const left =
    term === undefined ? state.config.options.renewDeadline : validFor(term.validity, at.now, at.date);
  return pace.patienceFor(left);
}

/** Whether the observation may be out of date. */
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

/** Writes `record` on top of `base`, or creates the Lease: to extend the term, or to begin one. */
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

/** The `renewTime` of a record that is written now: later than that of every earlier one. */
function timeOfRecord(turn: ElectionTurn): MicroTime {
  const lastTime = nextTime(turn.state.lastTime, turn.at.date, turn.at.chance);
  turn.change({ lastTime });
  return lastTime;
}

/** Whether a watch is open that should have shown a renewal by now. */
function watchIsOverdue({ state, at }: ElectionTurn): boolean {
  const { pacing, rhythm, sight } = state;
  return pacing.pollAt === undefined && at.now >= pace.silentAt(rhythm, sight.observation);
}

/** Whether a read is wanted: because of doubt, to poll, or because the watch is silent. */
function wantsReads(turn: ElectionTurn): boolean {
  const { sight, pacing, life } = turn.state;
  if (hasDoubt(sight) || sight.observation.kind === 'unseen') return true;
  return renewableTerm(life) === undefined && (pacing.pollAt !== undefined || watchIsOverdue(turn));
}

// Replies

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
    // A follower in doubt reads again at once: the lease may have been released.
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
  // The slow path counts only renewals that may have been committed.
  const mayBeDone = reply.ok || reply.error.maybeCommitted;
  if (mayBeDone && turn.state.sight.doubtful && !wasDoubtful) measure(turn, { type: 'slowPath' });
}

function outcomeOf(reply: Reply<WriteOutcome>): RenewalOutcome {
  if (!reply.ok) return 'failed';
  return reply.value.kind === 'written' ? 'renewed' : 'conflict';
}

/** How many conflicts in a row are reported. One or two are normal: edits by others, lost races. */
const REPORTED_CONFLICTS = 3;

function onConflict(turn: ElectionTurn, attempt: WriteAttempt): void {
  const pacing = pace.conflicted(turn.state.pacing, attempt.sentAt);
  turn.change({
    pacing: pace.hurryToRead(pacing, turn.at.now),
    sight: attemptConflicted(turn.state.sight, attempt),
  });
  excuseLostRace(turn);
  if (pacing.conflicts >= REPORTED_CONFLICTS)
    report(turn, 'write', tooManyConflicts(turn.state.config.lease, pacing.conflicts), attempt.sentAt);
}

function onWriteFailed(turn: ElectionTurn, attempt: WriteAttempt, error: LeaseRequestError): void {
  const { sentAt, term } = attempt;
  const { sight } = turn.state;
  if (error instanceof WriteNotKeptError) turn.change({ unkeptVersion: error.keptVersion });
  // Repeating a claim is the fastest way to learn its outcome: if the first was committed, the second is refused.
  const atOnce = term === undefined && mayRepeatNow(turn, 'write', error, sentAt);
  const { observation } = sight;
  const wasSeenSince = observation.kind !== 'unseen' && observation.seenAt > sentAt;
  turn.change({ sight: attemptFailed(sight, attempt, error, !atOnce && !wasSeenSince) });
  onFailure(turn, 'write', error, sentAt, atOnce);
  // The read that tells whether it was committed goes at once.
  turn.change({ pacing: pace.hurryToRead(turn.state.pacing, turn.at.now) });
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
 * The write that asks the holder for the lease (`wantedBy`); undefined while this process leads or does not campaign, or
 * when there is no holder.
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

// Sightings

/** A read showed the lease, or that there is none. @param isOverdue the open watch should have shown it before. */
function onRead(
  turn: ElectionTurn,
  lease: LeaseSnapshot | undefined,
  sentAt: MonotonicMs,
  isOverdue = false,
): News | undefined {
  changeProblems(turn, withSuccess(turn.state.problems, 'read', sentAt));
  const news = see(turn, seeReply(turn.state.sight, lease, sentAt, turn.at), 'reply');
  if (lease !== undefined || (isOverdue && news?.moved === true))
    expectOfWatch(turn, lease?.resourceVersion, isOverdue);
  return news;
}

/** The reply to a write showed the stored lease. */
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
      const isDenied = problem?.code === 'LEADER_FORBIDDEN';
      const ended = watchEnded(turn.state.watch, problem, now, chance);
      if (
        problem !== undefined &&
        problem.code !== turn.state.watch.reported &&
        (isDenied || !isBroken(ended))
      )
        report(turn, 'watch', isDenied ? watchDenied(turn.state.config.lease, problem) : problem, now);
      changeWatch(turn, ended);
      return;
    }
  }
}

/** Opens and closes streams as `watch` demands, and notes whether events can be expected. */
function changeWatch(turn: ElectionTurn, watch: Watch): void {
  const before = turn.state.watch;
  turn.change({ watch });
  const isAnother = watch.stream !== before.stream;
  if (before.isStreaming && (isAnother || !watch.isStreaming))
    turn.effects.push({ do: 'closeWatch', stream: before.stream });
  if (watch.isStreaming && isAnother) turn.effects.push({ do: 'openWatch', stream: watch.stream });
  const isReported = turn.state.problems.watch?.error?.code === 'LEADER_WATCH_BROKEN';
  if (isBroken(watch) && !isReported && isWorse(watch, before))
    report(turn, 'watch', watchBroken(turn.state.config.lease), turn.at.now);
  const isOpen = watch.state === 'open';
  const isChanged = watch.state !== before.state;
  if (isChanged) measure(turn, { type: 'watch', isOpen });
  // While streams are useless, it solves nothing that another one opens.
  if (isOpen && !(isReported && isBroken(watch)))
    changeProblems(turn, withoutProblem(turn.state.problems, 'watch'));
  if (!isChanged) return;
  turn.change({ pacing: pace.watching(turn.state.pacing, isOpen, senderOf(turn)) });
  if (isOpen) lookAfterGap(turn);
}

/** A new stream does not show that another holder's Lease was deleted before it opened, so a read must. */
function lookAfterGap(turn: ElectionTurn): void {
  const { rhythm, sight, pacing } = turn.state;
  const { now } = turn.at;
  turn.change({
    rhythm: pace.rhythmAtOpening(rhythm, now),
    sight: noteGap(sight, now),
    pacing: pace.hurryToRead(pacing, now),
  });
}

/** Takes note of a sighting, unless it is stale. */
function see(turn: ElectionTurn, { sight, news }: Seen, channel: 'watch' | 'reply'): News | undefined {
  const before = turn.state.sight.observation;
  turn.change({ sight });
  if (news === undefined) return undefined;
  noteNamesake(turn, before);
  const { observation } = sight;
  const record = observation.kind === 'present' ? observation.snapshot.record : undefined;
  turn.change({ rhythm: pace.rhythmSeeing(turn.state.rhythm, record, turn.at.now, channel) });
  excuseLostRace(turn);
  if (turn.state.holderProblem !== undefined) announceHolderProblem(turn);
  reviewProblems(turn, news.proved);
  if (news.proved !== undefined) onProved(turn, news.proved);
  return news;
}

/**
 * Notes whether another process writes records with our identity: it is seen to change one, while no write of ours is in flight
 * that the server may have stored with other values. One record with our name proves nothing: an earlier life of this process
 * may have written it.
 */
function noteNamesake(turn: ElectionTurn, before: Observation): void {
  const { sight, requests, hasNamesake, config } = turn.state;
  const { observation } = sight;
  const { identity } = config.options;
  const isOurName = observation.kind === 'present' && !observation.mine && holderIn(observation) === identity;
  const isChanged =
    isOurName &&
    before.kind === 'present' &&
    holderIn(before) === identity &&
    isNewer(observation.snapshot.resourceVersion, before.snapshot.resourceVersion) &&
    !sameRecord(before.snapshot.record, observation.snapshot.record) &&
    !requests.some(({ kind }) => kind === 'write');
  turn.change({ hasNamesake: isOurName && (hasNamesake || isChanged) });
}

/** A write succeeded: it begins or extends the term it was for. The validity counts from before it was sent. */
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
  // The first renewal comes earlier by a random amount, to spread the renewals of many terms that begin at one instant.
  const renewAfter = renewInterval * (1 - chance);
  beginTerm(
    turn,
    { fencingToken, slot: config.slot, validity, renewAfter },
    takeoverOf(attempt.base, config.options.identity, turn.state.gone?.process),
  );
}

/** A change of the lease lets the next request go at once: a released lease is claimed without delay. */
function hurryAfter(turn: ElectionTurn, news: News | undefined): void {
  if (news?.moved === true) turn.change({ pacing: pace.hurry(turn.state.pacing, turn.at.now) });
}

/** Another process holds the lease, so earlier conflicts were lost races and do not slow down the next claim. */
function excuseLostRace(turn: ElectionTurn): void {
  if (isHeldByAnother(turn.state.sight.observation, turn.at.now))
    turn.change({ pacing: pace.lostRace(turn.state.pacing) });
}

function isHeldByAnother(observation: Observation, now: MonotonicMs): boolean {
  return observation.kind === 'present' && !observation.mine && observation.heldUntil > now;
}

function onCandidacy(turn: ElectionTurn, { objection, abstains = false }: CandidacyOf): void {
  const before = turn.state;
  const isNews = objection !== before.objection;
  if (!isNews && abstains === before.abstains) return;
  turn.change({ objection, abstains });
  tellState(turn);
  if (isNews && objection !== undefined) tell(turn, { type: 'error', error: objection });
}

// Releasing the lease

/** Continues the release that the phase awaits, or ends it. Returns when to continue if no reply comes before. */
function goOnReleasing(turn: ElectionTurn): MonotonicMs {
  const isUnderWay = (...kinds: readonly Request['kind'][]): boolean =>
    turn.state.requests.some(({ kind }) => kinds.includes(kind));
  if (turn.state.release === undefined) beginRelease(turn);
  const { sight, config } = turn.state;
  if (turn.state.release === 'awaitingClaims' && !isUnderWay('write'))
    turn.change({ release: newRelease(sight, turn.at.now, config.options) });
  const { release } = turn.state;
  // If undefined, there was nothing to release.
  if (typeof release !== 'object' || isUnderWay('releaseRead', 'releaseWrite')) return NEVER;
  const next = nextOfRelease(release, sight, turn.at.now);
  const { now: sentAt } = turn.at;
  switch (next.do) {
    case 'wait':
      return next.until;
    case 'read': {
      const number = underWay(turn, { kind: 'releaseRead', sentAt });
      turn.effects.push({ do: 'read', number, patienceMs: next.patienceMs });
      break;
    }
    case 'write': {
      const record = recordToRelease(config.options, next.base.record, timeOfRecord(turn));
      turn.change({ sight: releaseSent(turn.state.sight) });
      const number = underWay(turn, { kind: 'releaseWrite', sentAt });
      turn.effects.push({ do: 'write', number, base: next.base, record, patienceMs: next.patienceMs });
      break;
    }
    case 'giveUp':
      reportRelease(turn, release.problem);
      endRelease(turn);
      break;
    case 'leave':
      endRelease(turn);
  }
  return NEVER;
}

/** Voids all attempts, and begins to release the lease if that is wanted and the lease is or may be ours. */
function beginRelease(turn: ElectionTurn): void {
  const { life, sight, config } = turn.state;
  const { phase } = life;
  const isStopping = phase.kind === 'leaving' || (phase.kind === 'handingOver' && phase.reason === 'stopped');
  const isWanted = !isStopping || config.options.releaseOnCancel;
  turn.change({ sight: voidAttempts(sight) });
  if (!isWanted || !mayBeOurs(sight)) {
    endRelease(turn);
    return;
  }
  // A lease that is certainly ours need not wait: a renewal in flight is refused once the release is written.
  const release = wasOurs(sight) ? newRelease(sight, turn.at.now, config.options) : 'awaitingClaims';
  turn.change({ release });
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
  const error = releaseFailed(config.options.leaseName, cause);
  report(turn, 'release', error, turn.at.now, heldUntil(sight.observation));
}

/**
 * The update that releases the lease when the process exits, or lets it run out; undefined if it has no term, or if the lease is not to be released,
 * not ours, or owed to an earlier holder. It is conditional like any other, so doubt does no harm here.
 */
export function releaseAtExit(
  { life, sight, config, lastTime }: Election,
  { now, date, chance }: Reading,
): { readonly base: LeaseSnapshot; readonly record: LeaseRecord } | undefined {
  const { observation } = sight;
  const isWanted = termIn(life.phase) !== undefined && config.options.releaseOnCancel;
  if (!isWanted || observation.kind !== 'present' || !observation.mine || owesToOthers(observation, now))
    return undefined;
  const { snapshot: base } = observation;
  // Nobody waits after a release, but `lockDelay` gives time to what the process has sent.
  const time = nextTime(lastTime, date, chance);
  const record =
    config.options.lockDelay > 0
      ? recordToExpire(base.record, time)
      : recordToRelease(config.options, base.record, time);
  return { base, record };
}

/** The election has ended: closes the watch and forgets the requests. */
function end(turn: ElectionTurn): void {
  changeWatch(turn, watchStopped(turn.state.watch));
  followHolder(turn, undefined);
  announceLeader(turn);
  turn.change({ requests: [], wakeAt: NEVER });
}

// Reporting

/** Reports that a request of this kind, sent at `sentAt`, failed. @param until when the problem is over by itself. */
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

/** Drops the problems that a sighting has solved: a write has succeeded, or requests of a kind are no longer wanted. */
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

function announceHolderProblem(turn: ElectionTurn): void {
  const { sight, config, holderProblem: told, hasNamesake } = turn.state;
  const error =
    longLease(sight.observation, turn.at.now, config) ??
    strangeHolder(sight.observation, hasNamesake, config);
  // The message about a long lease says how long it still is.
  const isTold = error?.code === 'LEADER_LONG_LEASE' || error?.message === told?.message;
  if (error?.code === told?.code && isTold) return;
  turn.change({ holderProblem: error });
  tellState(turn);
  if (error !== undefined) tell(turn, { type: 'error', error });
}
