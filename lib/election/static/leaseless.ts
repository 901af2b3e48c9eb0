/**
 * An election without a lease, as a machine: it is told when to lead, asks nobody, and terms come and go as with a lease. Pure.
 * `StaticElector` and `ScriptedElector` drive it.
 */
import { NEVER, after, earlier, type Clock, type Instant, type MonotonicMs } from '../clock.js';
import { Driver } from '../driver.js';
import {
  awaitsRelease,
  begin,
  beginTerm,
  campaignAt,
  handOver,
  onLifeEvent,
  hasRunOut,
  renewableTerm,
  lifeDue,
  lifeDueAt,
  loseTerm,
  newLife,
  pictureOf,
  released,
  tell,
  type Life,
  type LifeEffect,
  type Picture,
  type LifeEvent,
  type Reading,
  Turn,
} from '../life.js';
import type { ElectionMeter } from '../meter.js';
import { validityOf, type Validity } from '../observation.js';
import type { TermEndReason } from '../term.js';

/** What an elector without a lease is made of. */
export interface LeaselessParts {
  /** What the election is called where a lease would be named. */
  readonly leaseName: string;
  /** The name of this process in it. */
  readonly identity: string;
  /** How long a hand-over waits for running work before it says so, in milliseconds. */
  readonly drainTimeout: number;
  /** After how many milliseconds a term is handed over; 0: never. */
  readonly termLimit: number;
  readonly clock: Clock;
  readonly meter: ElectionMeter | undefined;
}

/** What to do where no term is on. */
export type Part =
  { readonly do: 'lead'; readonly term: GrantedTerm } | { readonly do: 'follow'; readonly leader: string };

/** What a term is like that is granted. */
export interface GrantedTerm {
  /** Undefined: one more than the last. */
  readonly fencingToken?: bigint | undefined;
  readonly slot?: number | undefined;
  /** For how many milliseconds it is certain; undefined: until it is ended. */
  readonly validFor?: number | undefined;
  /** When it has ended, another one like it begins, after the cool-down. */
  readonly repeats?: boolean | undefined;
}

/** The state of an election without a lease. */
export interface LeaselessElection {
  readonly life: Life;
  readonly identity: string;
  readonly termLimit: number;
  readonly part: Part;
  readonly lastToken: bigint;
  readonly announcedLeader: string;
  readonly wakeAt: MonotonicMs;
}

/** What happens to it. */
export type LeaselessHappening =
  | LifeEvent
  | { readonly type: 'start' }
  /** From now on it plays this part. `lose`: a term that is on is lost for that reason. */
  | { readonly type: 'play'; readonly part: Part; readonly lose?: TermEndReason }
  /** A term that is on is handed over. `part`: what it plays afterwards; default: what it plays now. */
  | {
      readonly type: 'handOver';
      readonly reason: TermEndReason;
      readonly cooldown: number;
      readonly part?: Part;
    };

/** What it plays when nobody says anything: nobody is known to lead. */
export const NOBODY: Part = { do: 'follow', leader: '' };

/** Runs an election without a lease, which plays `part` at first. */
export function leaselessDriver(
  parts: LeaselessParts,
  part: Part,
  ended: () => void = () => undefined,
): Driver<LeaselessElection, LeaselessHappening, never> {
  const { leaseName, identity, drainTimeout, termLimit, clock, meter } = parts;
  return new Driver<LeaselessElection, LeaselessHappening, never>({
    leaseName,
    identity,
    clock,
    meter,
    initial: {
      life: newLife({ leaseName, drainTimeout, onLost: 'campaign', isGuarded: false }),
      identity,
      termLimit,
      part,
      lastToken: 0n,
      announcedLeader: '',
      wakeAt: NEVER,
    },
    step,
    describe,
    perform: () => undefined,
    ended,
  });
}

/** Who leads, as far as is known. */
function leaderIn({ life, identity, part }: LeaselessElection, at: Instant): string {
  const { kind } = life.phase;
  if ((kind === 'leading' || kind === 'handingOver') && !hasRunOut(life, at)) return identity;
  return part.do === 'follow' ? part.leader : '';
}

function describe(state: LeaselessElection, at: Instant): Picture {
  return pictureOf(state.life, at, { leader: leaderIn(state, at), expiresAt: undefined });
}

type LeaselessTurn = Turn<LeaselessElection, never>;

function step(
  state: LeaselessElection,
  event: LeaselessHappening & { readonly at: Reading },
): { readonly state: LeaselessElection; readonly effects: readonly LifeEffect[] } {
  if (state.life.phase.kind === 'stopped') return { state, effects: [] };
  const turn = new Turn<LeaselessElection, never>(state, event.at, describe);
  if (hasRunOut(state.life, event.at)) loseTerm(turn, 'deadline');
  lifeDue(turn);
  happen(turn, event);
  goOn(turn);
  return { state: turn.state, effects: turn.effects };
}

function happen(turn: LeaselessTurn, event: LeaselessHappening): void {
  switch (event.type) {
    case 'start':
      begin(turn);
      return;
    case 'play':
      turn.change({ part: event.part });
      if (event.lose !== undefined) loseTerm(turn, event.lose);
      return;
    case 'handOver':
      turn.change({ part: event.part ?? turn.state.part });
      handOver(turn, event.reason, event.cooldown);
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

function goOn(turn: LeaselessTurn): void {
  const limitAt = limitOf(turn);
  if (turn.life.phase.kind === 'leading' && turn.at.now >= limitAt) {
    turn.change({ part: NOBODY });
    handOver(turn, 'termLimit', 0);
  }
  // Nobody is asked for it.
  if (awaitsRelease(turn.life)) released(turn);
  const mayLeadAt = beginIfTold(turn);
  const { life, announcedLeader } = turn.state;
  const leader = leaderIn(turn.state, turn.at);
  const isRunning = life.phase.kind !== 'idle' && life.phase.kind !== 'stopped';
  if (isRunning && leader !== announcedLeader) {
    turn.change({ announcedLeader: leader });
    tell(turn, { type: 'newLeader', identity: leader });
  }
  turn.change({ wakeAt: [lifeDueAt(life, turn.at), limitOf(turn)].reduce(earlier, mayLeadAt) });
}

/** Begins the term that was granted, or says when it may. */
function beginIfTold(turn: LeaselessTurn): MonotonicMs {
  const { life, part, lastToken } = turn.state;
  if (life.phase.kind !== 'following' || part.do !== 'lead') return NEVER;
  const { fencingToken = lastToken + 1n, slot = 0, validFor, repeats = false } = part.term;
  const at = repeats ? campaignAt(life, turn.at.running) : turn.at.now;
  if (turn.at.now < at) return at;
  turn.change({ lastToken: fencingToken, part: repeats ? part : NOBODY });
  const facts = {
    fencingToken,
    slot,
    validity: validity(turn.at, validFor),
    renewAfter: Number.POSITIVE_INFINITY,
  };
  beginTerm(turn, facts, 'none');
  return NEVER;
}

function validity({ now, date }: Instant, validFor: number | undefined): Validity {
  return validityOf(now, date, validFor ?? Number.POSITIVE_INFINITY);
}

function limitOf({ state }: LeaselessTurn): MonotonicMs {
  const term = renewableTerm(state.life);
  const isOpen = state.life.phase.kind === 'leading';
  return term !== undefined && isOpen && state.termLimit > 0 ? after(term.beganAt, state.termLimit) : NEVER;
}
