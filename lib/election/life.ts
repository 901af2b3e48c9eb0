/**
 * The life of an election's terms: they begin, are lost or handed over, and at the end the elector leaves. Pure. All it knows
 * of a lease is the validity of the term. The owner of a {@link Life} says when a term begins, is extended or is lost, and
 * releases the lease when the phase awaits that.
 *
 * Guarantees (docs/guarantees.md, G4 and G5): each term that began ends once; work is told to stop before the lease is
 * released, and the lease is kept while work runs; an event is reported after the state has changed.
 */
import {
  LONG_AGO,
  NEVER,
  after,
  earlier,
  later,
  type Instant,
  type MonotonicMs,
  type WallMs,
} from './clock.js';
import type { ElectionCondition } from './elector.js';
import { LeaderError } from './errors.js';
import type { HolderNote } from './lease.js';
import type { ElectionFact, Takeover } from './meter.js';
import { isValid, validFor, type Validity } from './observation.js';
import type { TermEndReason } from './term.js';

// State

/** A term, as data. The handle that users hold is looked up by its number. */
export interface Term {
  /** Numbers the terms of this elector, from 1. */
  readonly number: number;
  readonly fencingToken: bigint;
  readonly slot: number;
  /** When it began, by both clocks. */
  readonly startedAt: WallMs;
  readonly beganAt: MonotonicMs;
  readonly validity: Validity;
  /** Milliseconds from the sending of the write that earned the validity to the next renewal. */
  readonly renewAfter: number;
}

/** What an elector is doing, and the data of that phase. */
export type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'following' }
  /** The lease is held, but the guard must finish before the term is announced. Users still see a follower. */
  | { readonly kind: 'starting'; readonly term: Term; readonly takeover: Takeover }
  | { readonly kind: 'leading'; readonly term: Term }
  | HandingOver
  /** Told to stop, without a term: work of the last term still runs, or the lease may still be ours. */
  | { readonly kind: 'leaving'; readonly awaiting: 'work' | 'release' }
  | { readonly kind: 'stopped' };

/** A term is being handed over. */
export interface HandingOver {
  readonly kind: 'handingOver';
  readonly term: Term;
  readonly reason: TermEndReason;
  /** How long not to campaign afterwards, in milliseconds. */
  readonly cooldown: number;
  /** The beginning of the term was announced, so its end must be. */
  readonly announced: boolean;
  /**
   * `close`: work is being told to stop. `work`: work still runs. `guard`: the guard's `atEnd` runs. The lease is renewed in
   * all three. `release`: only the release is sent.
   */
  readonly awaiting: 'close' | 'work' | 'guard' | 'release';
}

/** The options that a {@link Life} depends on. Milliseconds. */
export interface LifeRules {
  readonly leaseName: string;
  readonly drainTimeout: number;
  readonly onLost: 'campaign' | 'exit';
  /** Each term has a guard. */
  readonly isGuarded: boolean;
}

/** The present term and phase of an elector, and how they may go on. */
export interface Life {
  readonly rules: LifeRules;
  readonly phase: Phase;
  /** How many terms have begun. */
  readonly terms: number;
  /** No campaign before this. */
  readonly cooldownUntil: MonotonicMs;
  /** No campaign before this while work of a lost term runs. */
  readonly drainUntil: MonotonicMs;
  /** For each wait for running work, when it has lasted `drainTimeout`; `NEVER` once that was reported. */
  readonly drains: readonly MonotonicMs[];
  /** The effect `awaitIdle` was given, and the event `workIdle` has not come. */
  readonly awaitsIdle: boolean;
  /** The elector stops when its term has ended. */
  readonly isLeaving: boolean;
}

/** The life of an elector that has not started. */
export function newLife(rules: LifeRules): Life {
  return {
    rules,
    phase: { kind: 'idle' },
    terms: 0,
    cooldownUntil: LONG_AGO,
    drainUntil: LONG_AGO,
    drains: [],
    awaitsIdle: false,
    isLeaving: false,
  };
}

/** The term of a phase, if it has one. */
export function termIn(phase: Phase): Term | undefined {
  return 'term' in phase ? phase.term : undefined;
}

/** The term that is being renewed: from its beginning until its release begins, valid or not. */
export function renewableTerm({ phase }: Life): Term | undefined {
  return phase.kind === 'handingOver' && phase.awaiting === 'release' ? undefined : termIn(phase);
}

/** Whether work may run in the term with this number. Allocates nothing, because the gate calls it for each call. */
export function isOpen({ phase }: Life, number: number, now: MonotonicMs, date: WallMs): boolean {
  return (
    (phase.kind === 'leading' || phase.kind === 'starting') &&
    phase.term.number === number &&
    isValid(phase.term.validity, now, date)
  );
}

/** No campaign before this (ARCHITECTURE.md, rule 8). */
export function campaignAt({ cooldownUntil, drainUntil }: Life, running: number): MonotonicMs {
  return running > 0 ? later(cooldownUntil, drainUntil) : cooldownUntil;
}

/** What a {@link Picture} shows besides the life: the holder as last seen, and the condition of the requests. */
export interface Surroundings extends ElectionCondition {
  readonly leader: string;
  readonly expiresAt: MonotonicMs | undefined;
  readonly leaderNote?: HolderNote | undefined;
  readonly campaigns?: false;
  readonly askedBy?: string | undefined;
}

/** The public picture of a state, in which a term is its number. */
export type Picture =
  | { readonly kind: 'idle' }
  | (Surroundings & { readonly kind: 'following' })
  | (ElectionCondition & { readonly kind: 'leading'; readonly term: number })
  | (ElectionCondition & {
      readonly kind: 'handingOver';
      readonly term: number;
      readonly reason: TermEndReason;
      readonly askedBy?: string | undefined;
    })
  | { readonly kind: 'stopped' };

/** The public picture of a life at an instant. It never shows a term that has run out. */
export function pictureOf(life: Life, { now, date }: Instant, surroundings: Surroundings): Picture {
  const { leader, expiresAt, leaderNote, campaigns, askedBy, ...condition } = surroundings;
  const { phase } = life;
  const term = renewableTerm(life);
  const isCertain = term === undefined || isValid(term.validity, now, date);
  if (phase.kind === 'idle' || phase.kind === 'stopped') return phase;
  if (phase.kind === 'leading' && isCertain)
    return { kind: 'leading', term: phase.term.number, ...condition };
  if (phase.kind === 'handingOver' && phase.announced && isCertain)
    return {
      kind: 'handingOver',
      term: phase.term.number,
      reason: phase.reason,
      ...(askedBy !== undefined && { askedBy }),
      ...condition,
    };
  return {
    kind: 'following',
    leader,
    expiresAt,
    ...(leaderNote !== undefined && { leaderNote }),
    ...(campaigns === false && { campaigns }),
    ...condition,
  };
}

// A step

/** Time, randomness and other inputs of a step, read at one instant. */
export interface Reading extends Instant {
  /** In [0, 1). */
  readonly chance: number;
  /** How many pieces of gated work run, of whatever term. */
  readonly running: number;
  /** Whether this process wants to lead. */
  readonly stands: boolean;
  /** What this process writes about itself into its records. Default: nothing. */
  readonly process?: string | undefined;
  /** What else it writes about itself. Default: nothing. */
  readonly note?: HolderNote | undefined;
}

/** An event for observers, in which a term is its number. */
export type Told =
  | { readonly type: 'stateChanged'; readonly state: Picture }
  | { readonly type: 'startedLeading'; readonly term: number; readonly takeover: Takeover }
  | { readonly type: 'stoppedLeading'; readonly term: number; readonly reason: TermEndReason }
  | { readonly type: 'newLeader'; readonly identity: string }
  | { readonly type: 'error'; readonly error: LeaderError };

/** A fact for the meter, in which a term is its number. */
export type Measured =
  | Exclude<ElectionFact, { type: 'termBegan' | 'termEnded' | 'failed' | 'call' }>
  | { readonly type: 'termBegan'; readonly term: number; readonly takeover: Takeover }
  | {
      readonly type: 'termEnded';
      readonly term: number;
      readonly reason: TermEndReason;
      readonly lengthMs: number;
    };

/** What the driver must do, in this order, except that observers are notified last. */
export type LifeEffect =
  | { readonly do: 'tell'; readonly event: Told }
  | { readonly do: 'measure'; readonly fact: Measured }
  /** Creates the handle that users hold. */
  | { readonly do: 'beginTerm'; readonly term: Term }
  /** Work must stop, the lease is still held: fire the term's signal and stop waiting for the guard, then feed `termClosed`. */
  | { readonly do: 'closeTerm'; readonly term: number; readonly reason: TermEndReason }
  /** The term is over: like `closeTerm`, and the handle keeps the time of the last renewal. */
  | {
      readonly do: 'endTerm';
      readonly term: number;
      readonly reason: TermEndReason;
      readonly renewedAt: WallMs;
    }
  /** Call the guard, and feed `guardFinished` when it has settled or timed out. */
  | { readonly do: 'guard'; readonly when: 'start' | 'end'; readonly term: number }
  /** Feed `workIdle` as soon as no work runs. */
  | { readonly do: 'awaitIdle' };

/** An event that every kind of elector has. */
export type LifeEvent =
  | { readonly type: 'timePassed' }
  /** The signal of a term that is being handed over has fired. */
  | { readonly type: 'termClosed'; readonly term: number }
  /** No gated work runs any more. Follows `awaitIdle`. */
  | { readonly type: 'workIdle' }
  /** The guard has settled or timed out. */
  | {
      readonly type: 'guardFinished';
      readonly when: 'start' | 'end';
      readonly term: number;
      readonly error: LeaderError | undefined;
    }
  /** The elector must stop. */
  | { readonly type: 'stop' };

/** The part of a step in progress that concerns the life. */
export interface LifeTurn {
  life: Life;
  readonly at: Reading;
  readonly effects: { push(...effects: readonly LifeEffect[]): unknown };
  /** The public picture of the state so far. */
  picture(): Picture;
}

/** A step in progress: the state so far, the reading, and the effects so far. */
export class Turn<S extends { readonly life: Life }, E> implements LifeTurn {
  readonly effects: (LifeEffect | E)[] = [];
  /** A copy of the state before the step, which the step changes. */
  readonly state: S;

  constructor(
    before: S,
    readonly at: Reading,
    private readonly describe: (state: S, at: Instant) => Picture,
  ) {
    this.state = { ...before };
  }

  get life(): Life {
    return this.state.life;
  }

  set life(life: Life) {
    Object.assign(this.state, { life });
  }

  change(part: Partial<S>): void {
    Object.assign(this.state, part);
  }

  picture(): Picture {
    return this.describe(this.state, this.at);
  }
}

/** Notifies observers of `events`. */
export function tell(turn: LifeTurn, ...events: readonly Told[]): void {
  for (const event of events) turn.effects.push({ do: 'tell', event });
}

/** Notifies observers of the state so far. */
export function tellState(turn: LifeTurn): void {
  tell(turn, { type: 'stateChanged', state: turn.picture() });
}

/** Reports a fact to the meter. */
export function measure(turn: LifeTurn, fact: Measured): void {
  turn.effects.push({ do: 'measure', fact });
}

function change(turn: LifeTurn, part: Partial<Life>): void {
  turn.life = { ...turn.life, ...part };
}

// The events of a life, in their order

/** Handles an event that every kind of elector has. */
export function onLifeEvent(turn: LifeTurn, event: LifeEvent): void {
  switch (event.type) {
    case 'timePassed':
      return;
    case 'termClosed':
      termClosed(turn, event.term);
      return;
    case 'workIdle':
      workIdle(turn);
      return;
    case 'guardFinished':
      guardFinished(turn, event);
      return;
    case 'stop':
      // Stopped before it has started: observers see it start, then stop.
      if (turn.life.phase.kind === 'idle') begin(turn);
      leave(turn);
      return;
  }
}

/** The run begins. */
export function begin(turn: LifeTurn): void {
  measure(turn, { type: 'joined' });
  change(turn, { phase: { kind: 'following' } });
  tellState(turn);
}

/** A term begins. With a guard, it is announced when the guard has settled or timed out. */
export function beginTerm(
  turn: LifeTurn,
  facts: Pick<Term, 'fencingToken' | 'slot' | 'validity' | 'renewAfter'>,
  takeover: Takeover,
): void {
  const { life } = turn;
  const { now, date } = turn.at;
  const term: Term = { ...facts, number: life.terms + 1, startedAt: date, beganAt: now };
  change(turn, { terms: term.number, phase: { kind: 'starting', term, takeover } });
  turn.effects.push({ do: 'beginTerm', term });
  if (life.rules.isGuarded) turn.effects.push({ do: 'guard', when: 'start', term: term.number });
  else announceTerm(turn, term, takeover);
}

function announceTerm(turn: LifeTurn, term: Term, takeover: Takeover): void {
  measure(turn, { type: 'termBegan', term: term.number, takeover });
  change(turn, { phase: { kind: 'leading', term } });
  tellState(turn);
  tell(turn, { type: 'startedLeading', term: term.number, takeover });
}

/** The term is certain for longer: a later write succeeded. */
export function extendTerm(turn: LifeTurn, extension: Pick<Term, 'validity' | 'renewAfter'>): void {
  const { phase } = turn.life;
  if (!('term' in phase) || extension.validity.until <= phase.term.validity.until) return;
  change(turn, { phase: { ...phase, term: { ...phase.term, ...extension } } });
}

function guardFinished(
  turn: LifeTurn,
  { when, term: number, error }: LifeEvent & { type: 'guardFinished' },
): void {
  const { phase } = turn.life;
  const isAwaited =
    'term' in phase &&
    phase.term.number === number &&
    (when === 'start'
      ? phase.kind === 'starting'
      : phase.kind === 'handingOver' && phase.awaiting === 'guard');
  // At the end of a lost term nobody waits for the guard, but its failure is reported.
  if (error !== undefined && (isAwaited || when === 'end')) tell(turn, { type: 'error', error });
  if (!isAwaited) return;
  if (phase.kind === 'starting') announceTerm(turn, phase.term, phase.takeover);
  if (phase.kind === 'handingOver') awaitRelease(turn, phase);
}

/** Begins to hand over: work must stop, then the lease is released. Does nothing without a term, or during a hand-over. */
export function handOver(turn: LifeTurn, reason: TermEndReason, cooldown: number): void {
  const { phase } = turn.life;
  if (phase.kind !== 'starting' && phase.kind !== 'leading') return;
  const { term } = phase;
  const announced = phase.kind === 'leading';
  change(turn, { phase: { kind: 'handingOver', term, reason, cooldown, announced, awaiting: 'close' } });
  turn.effects.push({ do: 'closeTerm', term: term.number, reason });
}

/** The signal of the term has fired, and some of its work may have ended in response. */
function termClosed(turn: LifeTurn, number: number): void {
  const { phase } = turn.life;
  if (phase.kind !== 'handingOver' || phase.awaiting !== 'close' || phase.term.number !== number) return;
  change(turn, { phase: { ...phase, awaiting: 'work' } });
  if (phase.announced) tellState(turn);
  if (turn.at.running === 0) workIdle(turn);
  else drain(turn);
}

/** Waits for running work. {@link lifeDue} reports it if that takes longer than `drainTimeout`. */
function drain(turn: LifeTurn): void {
  measure(turn, { type: 'draining', pieces: turn.at.running });
  const { drains, rules } = turn.life;
  change(turn, { drains: [...drains, after(turn.at.now, rules.drainTimeout)] });
  awaitIdle(turn);
}

function awaitIdle(turn: LifeTurn): void {
  if (turn.life.awaitsIdle) return;
  change(turn, { awaitsIdle: true });
  turn.effects.push({ do: 'awaitIdle' });
}

/** No gated work runs. */
function workIdle(turn: LifeTurn): void {
  const { phase, drains, rules } = turn.life;
  change(turn, { awaitsIdle: false });
  // An earlier listener may have started other work, which must be awaited, too.
  if (turn.at.running > 0) return;
  change(turn, { drains: [] });
  if (phase.kind === 'handingOver' && phase.awaiting === 'work') {
    if (!rules.isGuarded) awaitRelease(turn, phase);
    else {
      change(turn, { phase: { ...phase, awaiting: 'guard' } });
      turn.effects.push({ do: 'guard', when: 'end', term: phase.term.number });
    }
  } else if (phase.kind === 'leaving' && phase.awaiting === 'work') {
    change(turn, { phase: { ...phase, awaiting: 'release' } });
  } else if (phase.kind === 'following' && drains.length > 0) {
    // The work of a lost term has ended, so this process may campaign.
    tellState(turn);
  }
}

function awaitRelease(turn: LifeTurn, phase: HandingOver): void {
  change(turn, { phase: { ...phase, awaiting: 'release' } });
  turn.effects.push(endOf(phase.term, phase.reason));
}

function endOf({ number, validity }: Term, reason: TermEndReason): LifeEffect {
  return { do: 'endTerm', term: number, reason, renewedAt: validity.sentOn };
}

/** Whether the phase waits for {@link released}. */
export function awaitsRelease({ phase }: Life): boolean {
  return (phase.kind === 'handingOver' || phase.kind === 'leaving') && phase.awaiting === 'release';
}

/** The release has ended: the lease is released, or expires by itself. */
export function released(turn: LifeTurn): void {
  const { phase, isLeaving } = turn.life;
  if (phase.kind === 'leaving') {
    change(turn, { phase: { kind: 'stopped' } });
    tellState(turn);
  }
  if (phase.kind !== 'handingOver') return;
  change(turn, { cooldownUntil: after(turn.at.now, phase.cooldown) });
  endTerm(turn, phase.term, phase.reason, isLeaving ? { kind: 'stopped' } : { kind: 'following' });
}

/** The term is lost: its validity has run out, or the lease is not ours. Nothing is handed over. */
export function loseTerm(turn: LifeTurn, reason: TermEndReason): void {
  const { life } = turn;
  const term = renewableTerm(life);
  const { phase, rules } = life;
  if (term === undefined) return;
  const { now, running } = turn.at;
  // An unannounced term ends silently, and `onLost: 'exit'` ignores it.
  const isLeaving = life.isLeaving || (rules.onLost === 'exit' && isAnnounced(phase));
  change(turn, {
    isLeaving,
    drainUntil: after(now, rules.drainTimeout),
    ...(phase.kind === 'handingOver' && { cooldownUntil: after(now, phase.cooldown) }),
  });
  endTerm(turn, term, reason, isLeaving ? { kind: 'leaving', awaiting: 'work' } : { kind: 'following' });
  const guardIsAsked = phase.kind === 'handingOver' && phase.awaiting === 'guard';
  if (rules.isGuarded && !guardIsAsked) turn.effects.push({ do: 'guard', when: 'end', term: term.number });
  if (isLeaving) awaitIdle(turn);
  const isDraining = phase.kind === 'handingOver' && phase.awaiting !== 'close';
  if (!isDraining && running > 0) drain(turn);
}

function isAnnounced(phase: Phase): boolean {
  return phase.kind === 'leading' || (phase.kind === 'handingOver' && phase.announced);
}

function endTerm(turn: LifeTurn, term: Term, reason: TermEndReason, next: Phase): void {
  const announced = isAnnounced(turn.life.phase);
  const hasEnded = awaitsRelease(turn.life);
  change(turn, { phase: next });
  if (!hasEnded) turn.effects.push(endOf(term, reason));
  if (announced) {
    const lengthMs = turn.at.now - term.beganAt;
    measure(turn, { type: 'termEnded', term: term.number, reason, lengthMs });
  }
  if (announced || next.kind === 'stopped') tellState(turn);
  if (announced) tell(turn, { type: 'stoppedLeading', term: term.number, reason });
}

/** Stops from any phase: hands over, or waits for work that still runs. */
function leave(turn: LifeTurn): void {
  change(turn, { isLeaving: true });
  handOver(turn, 'stopped', 0);
  if (turn.life.phase.kind !== 'following') return;
  change(turn, { phase: { kind: 'leaving', awaiting: 'work' } });
  awaitIdle(turn);
}

/** Ends at once, because the process ends: nothing is awaited, and nothing is handed over. */
export function quit(turn: LifeTurn): void {
  const { phase } = turn.life;
  const term = termIn(phase);
  if (term === undefined) return;
  endTerm(turn, term, phase.kind === 'handingOver' ? phase.reason : 'stopped', { kind: 'stopped' });
}

// What happens as time passes

/** Whether the term has run out. If so, {@link loseTerm} must be called before anything else. */
export function hasRunOut(life: Life, { now, date }: Instant): boolean {
  const term = renewableTerm(life);
  return term !== undefined && !isValid(term.validity, now, date);
}

/** Whether the next thing to do must wait for running work. */
function waitsForWork({ phase, drainUntil }: Life, now: MonotonicMs): boolean {
  if (phase.kind === 'handingOver' || phase.kind === 'leaving') return phase.awaiting === 'work';
  return phase.kind === 'following' && now < drainUntil;
}

/** Waits for running work, also work that began late, and reports a wait that has lasted `drainTimeout`. */
export function lifeDue(turn: LifeTurn): void {
  if (turn.at.running > 0 && waitsForWork(turn.life, turn.at.now)) awaitIdle(turn);
  const { drains, phase, rules } = turn.life;
  const isDue = (until: MonotonicMs): boolean => turn.at.now >= until;
  if (!drains.some(isDue)) return;
  change(turn, { drains: drains.map((until) => (isDue(until) ? NEVER : until)) });
  for (const _ of drains.filter(isDue))
    tell(turn, { type: 'error', error: drainTimeout(rules, turn.at.running, phase.kind) });
}

/** When {@link hasRunOut} or {@link lifeDue} has something to do. */
export function lifeDueAt(life: Life, { now, date }: Instant): MonotonicMs {
  const term = renewableTerm(life);
  return life.drains.reduce(
    earlier,
    term === undefined ? NEVER : after(now, validFor(term.validity, now, date)),
  );
}

function drainTimeout(rules: LifeRules, running: number, during: Phase['kind']): LeaderError {
  return new LeaderError(
    'LEADER_DRAIN_TIMEOUT',
    `${String(running)} gated call(s) on '${rules.leaseName}' are still running ${String(rules.drainTimeout)} ms after ` +
      `they were told to stop (drainTimeout). ${consequence(during)}Make them listen to currentTerm().signal, or call ` +
      `currentTerm().throwIfOver() between steps.`,
  );
}

function consequence(during: Phase['kind']): string {
  switch (during) {
    case 'handingOver':
      return 'This process keeps the lease until they end. ';
    // It may already lead again.
    case 'following':
    case 'starting':
    case 'leading':
      return 'Their term is lost, and this process campaigns again anyway: use the fencing token to refuse what they write. ';
    case 'leaving':
      return 'Their term is lost, and this process stops when they have ended. ';
    case 'idle':
    case 'stopped':
      return '';
  }
}
