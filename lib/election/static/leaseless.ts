/**
 * The machine of an election without a lease: its terms begin and end on command, and otherwise behave as with a lease. Pure.
 * `StaticElector` and `ScriptedElector` run it.
 */
import { NEVER, after, earlier, type Clock, type Instant, type MonotonicMs } from '../clock.js';
import { Driver } from '../driver.js';
import type { Candidacy } from '../elector.js';
import {
  awaitsRelease,
  begin,
  beginTerm,
  campaignAt,
  handOver,
  onLifeEvent,
  hasRunOut,
  lifeDue,
  lifeDueAt,
  loseTerm,
  newLife,
  pictureOf,
  released,
  tell,
  tellState,
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

/** The parts of an elector without a lease. */
export interface LeaselessParts {
  /** The name of the election, where others show the name of a lease. */
  readonly leaseName: string;
  /** The name of this process in the election. */
  readonly identity: string;
  /** How long a hand-over waits for running work before it reports an error, in milliseconds. */
  readonly drainTimeout: number;
  /** The time after which a term is handed over, in milliseconds; 0: never. */
  readonly termLimit: number;
  readonly clock: Clock;
  readonly meter: ElectionMeter | undefined;
  /** Whether this process wants to lead. Default: always. */
  readonly stands?: (() => boolean) | undefined;
}

/** What the state shows of a candidacy. Whether the process stands at present is part of each {@link Reading}. */
export type ShownCandidacy = Required<Pick<Candidacy, 'objection' | 'abstains'>>;

/** What the elector does while it has no term. */
export type Part =
  { readonly do: 'lead'; readonly term: GrantedTerm } | { readonly do: 'follow'; readonly leader: string };

/** The properties of a term that is granted. */
export interface GrantedTerm {
  /** Undefined: one more than the last. */
  readonly fencingToken?: bigint | undefined;
  readonly slot?: number | undefined;
  /** How long the term is certain, in milliseconds; undefined: until it is ended. */
  readonly validFor?: number | undefined;
  /** When the term has ended, an equal one begins after the cool-down. */
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
  readonly candidacy: ShownCandidacy;
  readonly wakeAt: MonotonicMs;
}

/** The events of an election without a lease. */
export type LeaselessHappening =
  | LifeEvent
  | { readonly type: 'start' }
  | ({ readonly type: 'candidacyChanged' } & ShownCandidacy)
  /** Changes the part. `lose`: the present term, if any, is lost for that reason. */
  | { readonly type: 'play'; readonly part: Part; readonly lose?: TermEndReason }
  /** Hands over the present term, if any. `part`: the part afterwards; default: unchanged. */
  | {
      readonly type: 'handOver';
      readonly reason: TermEndReason;
      readonly cooldown: number;
      readonly part?: Part;
    };

/** Follows, and no leader is known. */
export const NOBODY: Part = { do: 'follow', leader: '' };

/** Creates the driver of an election without a lease, with `part` as its first part. */
export function leaselessDriver(
  parts: LeaselessParts,
  part: Part,
  ended: () => void = () => undefined,
): Driver<LeaselessElection, LeaselessHappening, never> {
  const { leaseName, identity, drainTimeout, termLimit, clock, meter, stands } = parts;
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
      candidacy: { objection: undefined, abstains: false },
      wakeAt: NEVER,
    },
    step,
    describe,
    stands,
    perform: () => undefined,
    ended,
  });
}

/** The leader as far as known; `''` if none is. */
function leaderIn({ life, identity, part }: LeaselessElection, at: Instant): string {
  const { kind } = life.phase;
  if ((kind === 'leading' || kind === 'handingOver') && !hasRunOut(life, at)) return identity;
  return part.do === 'follow' ? part.leader : '';
}

function describe(state: LeaselessElection, at: Instant): Picture {
  const { objection, abstains } = state.candidacy;
  return pictureOf(state.life, at, {
    leader: leaderIn(state, at),
    expiresAt: undefined,
    ...(abstains && { campaigns: false }),
    ...(objection !== undefined && { problems: [objection] }),
  });
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
    case 'candidacyChanged':
      onCandidacy(turn, event);
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

function onCandidacy(turn: LeaselessTurn, { objection, abstains }: ShownCandidacy): void {
  const { objection: before } = turn.state.candidacy;
  turn.change({ candidacy: { objection, abstains } });
  tellState(turn);
  if (objection !== undefined && objection !== before) tell(turn, { type: 'error', error: objection });
  if (!turn.at.stands) handOver(turn, 'steppedDown', 0);
}

function goOn(turn: LeaselessTurn): void {
  if (turn.at.now >= limitOf(turn)) handOver(turn, 'termLimit', 0);
  // There is no lease to release.
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

/** Begins the granted term, or returns when it may begin. */
function beginIfTold(turn: LeaselessTurn): MonotonicMs {
  const { life, part, lastToken } = turn.state;
  if (life.phase.kind !== 'following' || part.do !== 'lead' || !turn.at.stands) return NEVER;
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

function limitOf({ life: { phase }, state: { termLimit } }: LeaselessTurn): MonotonicMs {
  return phase.kind === 'leading' && termLimit > 0 ? after(phase.term.beganAt, termLimit) : NEVER;
}
