/**
 * Counts how often simulated elections get into the situations that matter, most of which are rare. A run without violations
 * says nothing about a situation that no election was in.
 *
 * Each situation is a mark: a predicate over one step of one election, as its trace shows it, and over what is remembered of
 * the steps before. The election does not know the marks.
 */
import {
  LONG_AGO,
  after as laterThan,
  holderIn,
  isNewer,
  owesToOthers,
  renewableTerm,
  sameRecord,
  versionOf,
  type Election,
  type ElectionEffect,
  type ElectionTrace,
  type LeaderErrorCode,
  type LeaseSnapshot,
  type MachineEvent,
  type MonotonicMs,
  type Observation,
  type TermEndReason,
  type TimedEvent,
} from '../../election/internal.js';

// A step

/** One step of one election, and what is remembered of the steps before. */
interface Step {
  readonly before: Election;
  readonly event: TimedEvent;
  readonly effects: readonly ElectionEffect[];
  readonly after: Election;
  readonly memory: Memory;
}

type EventType = MachineEvent['type'];
type EventOf<T extends EventType> = Extract<TimedEvent, { readonly type: T }>;
type EffectKind = ElectionEffect['do'];
type EffectOf<K extends EffectKind> = Extract<ElectionEffect, { readonly do: K }>;
/** A step with an event of this type. */
type StepOf<T extends EventType> = Step & { readonly event: EventOf<T> };
type Present = Extract<Observation, { kind: 'present' }>;
type WriteAttempt = Extract<Election['requests'][number], { kind: 'write' }>['attempt'];

/** What is remembered of a write. */
interface SentWrite {
  readonly number: number;
  /** The version that it was conditional on; undefined: on the Lease not existing. */
  readonly base: string | undefined;
  readonly isRelease: boolean;
  outcome: 'unanswered' | 'written' | 'conflict' | 'unknown' | 'failed';
  /** A sighting has shown its record. */
  wasSeen: boolean;
}

/** How many writes are remembered. */
const REMEMBERED = 32;

/** What the marks need of the earlier steps of one election, besides its state. */
class Memory {
  /** The last writes, by their `renewTime`: no two writes of one process have the same. */
  readonly #writes = new Map<string, SentWrite>();
  /** The last request that was sent before the last term ended, or before the last release began. */
  #lastVoid = 0;
  /** When the last term ended. */
  termEndedAt: MonotonicMs = LONG_AGO;

  /** The write of this process that stored this record; undefined if another process did, or if it was long ago. */
  writeOf({ mine, snapshot }: Present): SentWrite | undefined {
    const { renewTime } = snapshot.record;
    return mine && renewTime !== undefined ? this.#writes.get(renewTime) : undefined;
  }

  /** Whether the write with this number can begin or extend no term any more (ARCHITECTURE.md, rule 5). */
  isVoid(number: number): boolean {
    return number <= this.#lastVoid;
  }

  /** Whether the outcome of a write on top of this version is unknown. */
  hasUnknownOn(base: string | undefined): boolean {
    return base !== undefined && this.#has((write) => write.base === base && write.outcome === 'unknown');
  }

  /** Whether a later write was sent on top of the same version. */
  wasSentAgain({ number, base }: SentWrite): boolean {
    return base !== undefined && this.#has((write) => write.base === base && write.number > number);
  }

  /** Whether a write of the release that is under way has had this outcome. */
  releaseHad(outcome: SentWrite['outcome']): boolean {
    return this.#has((write) => write.isRelease && write.outcome === outcome && !this.isVoid(write.number));
  }

  /** Remembers a step. */
  note({ before, event, effects, after }: Step): void {
    if (event.type === 'writeReplied') this.#noteReply(event);
    let endsTerm = false;
    for (const effect of effects) {
      if (effect.do === 'write') this.#noteWrite(effect);
      if (effect.do === 'endTerm') endsTerm = true;
    }
    if (endsTerm) this.termEndedAt = event.at.now;
    if (endsTerm || (before.release === undefined && after.release !== undefined))
      this.#lastVoid = before.sent;
  }

  #noteWrite({ number, base, record }: EffectOf<'write'>): void {
    if (record.renewTime === undefined) return;
    this.#writes.set(record.renewTime, {
      number,
      base: base?.resourceVersion,
      isRelease: record.holderIdentity === '',
      outcome: 'unanswered',
      wasSeen: false,
    });
    const [oldest] = this.#writes.keys();
    if (this.#writes.size > REMEMBERED && oldest !== undefined) this.#writes.delete(oldest);
  }

  #noteReply({ number, reply }: EventOf<'writeReplied'>): void {
    for (const write of this.#writes.values()) {
      if (write.number !== number) continue;
      if (reply.ok) write.outcome = reply.value.kind;
      else write.outcome = reply.error.maybeCommitted ? 'unknown' : 'failed';
    }
  }

  #has(isWanted: (write: SentWrite) => boolean): boolean {
    for (const write of this.#writes.values()) if (isWanted(write)) return true;
    return false;
  }
}

// Kinds of marks

/** A situation, and how to tell that a step of an election has got into it. */
interface Mark {
  readonly name: string;
  /**
   * The steps that are asked: those with this event, with this effect, that report this error, or that show a new version of
   * the Lease. `ownWrite`: those that are the first to show a write of this process.
   */
  readonly at: EventType | EffectKind | LeaderErrorCode | 'sighting' | 'ownWrite';
  /** @param detail the effect, the sighting, or the write. */
  readonly isReached: (step: Step, detail?: Detail) => boolean;
}

type Detail = ElectionEffect | Present | SentWrite;

/** A mark of steps with an event of this type. */
function on<T extends EventType>(at: T, name: string, isReached: (step: StepOf<T>) => boolean): Mark {
  // A step is only asked about at the event that `at` names.
  return { name, at, isReached: isReached as Mark['isReached'] };
}

/** A mark of steps with an effect of this kind. */
function doing<K extends EffectKind>(
  at: K,
  name: string,
  isReached: (step: Step, effect: EffectOf<K>) => boolean,
): Mark {
  return { name, at, isReached: isReached as Mark['isReached'] };
}

/** A mark of steps that show a new version of the Lease. */
function seeing(name: string, isReached: (step: Step, seen: Present) => boolean): Mark {
  return { name, at: 'sighting', isReached: isReached as Mark['isReached'] };
}

/** A mark of steps that are the first to show that a write of this process was stored. */
function finding(name: string, isReached: (step: Step, write: SentWrite) => boolean): Mark {
  return { name, at: 'ownWrite', isReached: isReached as Mark['isReached'] };
}

/** A mark of steps that report this error. */
function reporting(at: LeaderErrorCode, name: string, isReached: (step: Step) => boolean = always): Mark {
  return { name, at, isReached };
}

/** A mark of steps in which a term ends for this reason. */
function ending(reason: TermEndReason, name: string, isReached: (step: Step) => boolean = always): Mark {
  return doing('endTerm', name, (step, effect) => effect.reason === reason && isReached(step));
}

/** A mark of steps that send a claim. */
function claiming(name: string, isReached: (step: Step, write: EffectOf<'write'>) => boolean): Mark {
  return doing(
    'write',
    name,
    (step, write) =>
      write.record.holderIdentity !== '' &&
      renewableTerm(step.after.life) === undefined &&
      isReached(step, write),
  );
}

/** A mark of steps that send a renewal. */
function renewing(name: string, isReached: (step: Step, write: EffectOf<'write'>) => boolean): Mark {
  return doing(
    'write',
    name,
    (step, write) => renewableTerm(step.after.life) !== undefined && isReached(step, write),
  );
}

function always(): boolean {
  return true;
}

// The marks, by what they are about

const lateReplies = [
  on(
    'writeReplied',
    'a renewal succeeds after its term has ended',
    (step) => isOfEndedTerm(step) && isWritten(step),
  ),
  on(
    'writeReplied',
    'a renewal is refused after its term has ended',
    (step) => isOfEndedTerm(step) && isConflict(step),
  ),
  on(
    'writeReplied',
    'a claim succeeds after it was void',
    (step) => isClaim(step) && isWritten(step) && step.memory.isVoid(step.event.number),
  ),
  on('writeReplied', 'a write is answered after one that was sent later', (step) => {
    const { newest } = step.before.pacing.write;
    const attempt = attemptOf(step);
    return attempt !== undefined && attempt.sentAt < newest && !hasLaterWrite(step);
  }),
  on(
    'writeReplied',
    'a write that succeeded is answered after a newer version was seen',
    ({ before, event: { reply } }) =>
      reply.ok && reply.value.kind === 'written' && isOlder(reply.value.snapshot, before),
  ),
  on(
    'readReplied',
    'a read is answered after a newer version was seen',
    ({ before, event: { reply } }) => reply.ok && reply.value !== undefined && isOlder(reply.value, before),
  ),
  on('readReplied', 'a read and a later sighting disagree on whether there is a Lease', (step) => {
    const known = step.before.sight.observation;
    const { reply } = step.event;
    if (known.kind === 'unseen' || !reply.ok) return false;
    return (known.kind === 'present') !== (reply.value !== undefined) && known.seenAt > readSentAt(step);
  }),
  on(
    'looked',
    'a confirmation is answered after its term has ended',
    ({ event, memory }) => event.sentAt < memory.termEndedAt,
  ),
];

const unknownOutcomes = [
  finding(
    'a read shows that a write of unknown outcome was stored',
    ({ event }, { outcome }) => event.type === 'readReplied' && outcome === 'unknown',
  ),
  finding(
    'the watch shows that a write of unknown outcome was stored',
    ({ event }, { outcome }) => event.type === 'watchShowed' && outcome === 'unknown',
  ),
  finding(
    'a confirmation shows that a write of unknown outcome was stored',
    ({ event }, { outcome }) => event.type === 'looked' && outcome === 'unknown',
  ),
  on(
    'readReplied',
    'a read shows that a write of unknown outcome has not been stored',
    ({ before, after, event: { reply }, memory }) =>
      before.sight.doubtful &&
      !after.sight.doubtful &&
      reply.ok &&
      memory.hasUnknownOn(reply.value?.resourceVersion),
  ),
  on(
    'writeReplied',
    'a conflict comes after an unknown outcome',
    (step) => isConflict(step) && step.memory.hasUnknownOn(attemptOf(step)?.base?.resourceVersion),
  ),
  finding('a write that was refused as a conflict was stored', (_, { outcome }) => outcome === 'conflict'),
  finding(
    'a read or the watch shows that a void write was stored',
    ({ event, memory }, { number }) => memory.isVoid(number) && event.type !== 'writeReplied',
  ),
  finding('of a write that was sent again, the first was stored', ({ memory }, write) =>
    memory.wasSentAgain(write),
  ),
  on('readReplied', 'a leader in doubt finds that it still holds the lease', ({ before, after }) => {
    const term = renewableTerm(before.life)?.number;
    const stays = term !== undefined && term === renewableTerm(after.life)?.number;
    return stays && before.sight.doubtful && !after.sight.doubtful;
  }),
  doing(
    'endTerm',
    'a leader in doubt finds that it has lost the lease',
    ({ before, event }, { reason }) =>
      before.sight.doubtful && event.type === 'readReplied' && isLossOfLease(reason),
  ),
  doing(
    'endTerm',
    'a confirmation shows a leader that it has lost the lease',
    ({ event }, { reason }) => event.type === 'looked' && isLossOfLease(reason),
  ),
];

const races = [
  seeing(
    'a claim was refused because another process was faster',
    ({ before, after }) =>
      renewableTerm(before.life) === undefined &&
      before.pacing.conflicts > 0 &&
      after.pacing.conflicts === 0 &&
      isHeldByAnother(after),
  ),
  on(
    'writeReplied',
    'a claim is refused after the faster process was seen to hold the lease',
    (step) => isClaim(step) && isConflict(step) && step.after.pacing.conflicts === 0,
  ),
  reporting('LEADER_WRITE_CONFLICT', 'several conflicts in a row are reported'),
  on(
    'writeReplied',
    'a claim that failed is made again at once',
    (step) => isClaim(step) && !step.event.reply.ok && sends(step, 'write'),
  ),
  on(
    'readReplied',
    'a read in doubt that failed is made again at once',
    (step) => !step.event.reply.ok && step.before.sight.doubtful && sends(step, 'read'),
  ),
];

const deletions = [
  ending(
    'leaseGone',
    'the watch shows a leader that its Lease was deleted',
    ({ event }) => event.type === 'watchShowed',
  ),
  ending(
    'leaseGone',
    'a read shows a leader that its Lease was deleted',
    ({ event }) => event.type === 'readReplied',
  ),
  claiming(
    'a leader whose Lease was deleted creates it again at once',
    ({ effects }, { base }) =>
      base === undefined &&
      effects.some((effect) => effect.do === 'endTerm' && effect.reason === 'leaseGone'),
  ),
  claiming(
    'a process creates a Lease that was deleted once its last holder was respected',
    ({ before, event }) => {
      const known = before.sight.observation;
      return event.type === 'timePassed' && known.kind === 'absent' && known.heldUntil > LONG_AGO;
    },
  ),
  on('watchShowed', 'a Lease is deleted after its holder has sent a release', ({ before, after }) => {
    const known = before.sight.observation;
    return known.kind === 'present' && known.mayBeReleased === true && isGone(after);
  }),
  on(
    'readReplied',
    'a read finds a deletion that happened while no watch was open',
    ({ before, after }) =>
      before.sight.gapSince !== undefined && before.sight.observation.kind === 'present' && isGone(after),
  ),
  on('readReplied', 'a read that was sent before the watch opened does not end the gap', (step) => {
    const { gapSince = LONG_AGO } = step.before.sight;
    return step.event.reply.ok && readSentAt(step) < gapSince && step.after.sight.gapSince === gapSince;
  }),
  on(
    'watchShowed',
    'the watch shows another Lease than the one known',
    ({ before: { sight }, event: { event } }) =>
      event.kind === 'seen' &&
      sight.observation.kind === 'present' &&
      sight.observation.snapshot.uid !== event.snapshot.uid &&
      isNewer(event.snapshot.resourceVersion, versionOf(sight.observation)),
  ),
  on('watchShowed', 'the watch shows a Lease that is known to be gone', ({ before, after }) => {
    const [known, seen] = [before.sight.observation, after.sight.observation];
    return known.kind === 'absent' && seen.kind === 'absent' && known.shown !== seen.shown;
  }),
  on(
    'watchShowed',
    'the watch shows its own creation of a Lease that is known to be gone',
    ({ before: { sight }, event: { event } }) =>
      event.kind === 'seen' &&
      sight.observation.kind === 'absent' &&
      sight.ledger.undecided.some(({ record }) => sameRecord(record, event.snapshot.record)),
  ),
  on(
    'watchShowed',
    'the watch shows a deletion after it has shown a newer Lease',
    ({ before, after }) =>
      before.sight.observation.kind === 'present' && isGone(after) && after.sight.hint !== undefined,
  ),
  on(
    'readReplied',
    'a read confirms a Lease that only the watch has shown',
    (step) => endsHint(step) && step.after.sight.observation.kind === 'present',
  ),
  on(
    'readReplied',
    'a read finds that a Lease which only the watch has shown is gone',
    (step) => endsHint(step) && isGone(step.after),
  ),
  on('readReplied', 'a read is ignored because the watch has shown a newer Lease', (step) => {
    const { hint } = step.before.sight;
    return hint !== undefined && hint === step.after.sight.hint && readSentAt(step) < hint.at;
  }),
  seeing(
    'an earlier holder must be respected beside the present one',
    ({ before, after, event: { at } }) =>
      owesToOthers(after.sight.observation, at.now) && !owesToOthers(before.sight.observation, at.now),
  ),
];

const strangeRecords = [
  renewing('a leader renews at once, because somebody has edited its record', ({ after }) => {
    const { observation } = after.sight;
    return observation.kind === 'present' && observation.touch === 'unanswered';
  }),
  ending('superseded', 'a second edit of its record ends a term', (step) => {
    const known = step.before.sight.observation;
    return known.kind === 'present' && known.lastTouch !== undefined && namesItself(step.after);
  }),
  ending('superseded', 'a record with its identity that it did not write ends a term', ({ after }) =>
    namesItself(after),
  ),
  ending('superseded', 'the record of another holder ends a term', ({ after }) => !namesItself(after)),
  ending('released', 'a record that was emptied by somebody else ends a term'),
  seeing('a record was emptied by hand, and its last holder must be respected', ({ before, event }, seen) => {
    const known = before.sight.observation;
    return (
      known.kind === 'present' &&
      known.snapshot.uid === seen.snapshot.uid &&
      holderIn(known) !== '' &&
      holderIn(seen) === '' &&
      owesToOthers(seen, event.at.now) &&
      !owesToOthers(known, event.at.now)
    );
  }),
  reporting('LEADER_DURATIONS_DIFFER', 'a holder with another leaseDuration is reported'),
  reporting('LEADER_NAMESAKE', 'another process with its identity is reported'),
  on(
    'watchShowed',
    'an event that is older than what is known is ignored',
    ({ before, event: { event } }) => event.kind === 'seen' && isOlder(event.snapshot, before),
  ),
];

const lostTerms = [
  ending('deadline', 'a term runs out by the monotonic clock', (step) => !hasRunOutByWallClockAlone(step)),
  ending('deadline', 'a term runs out by the wall clock alone', hasRunOutByWallClockAlone),
  reporting('LEADER_PROCESS_PAUSED', 'a process that was paused finds that its term has run out'),
  reporting('LEADER_CLOCK_JUMPED', 'the wall clock has jumped ahead, and the term has run out'),
  ending('deadline', 'a term runs out while it is handed over', isHandingOver),
  doing(
    'endTerm',
    'a lease is lost while it is handed over',
    (step, { reason }) => isHandingOver(step) && isLossOfLease(reason),
  ),
  claiming(
    'a process claims when the work of its lost term has ended',
    ({ event }) => event.type === 'workIdle',
  ),
  claiming(
    'a process claims after drainTimeout, although work of its lost term still runs',
    ({ before: { life }, event: { at } }) =>
      at.running > 0 && life.drainUntil > LONG_AGO && life.drainUntil <= at.now,
  ),
  claiming('a process claims on top of its own record, after its term has ended', ({ after }) => {
    const { observation } = after.sight;
    return observation.kind === 'present' && observation.mine;
  }),
  reporting(
    'LEADER_DRAIN_TIMEOUT',
    'work of a lost term outlives drainTimeout',
    ({ before }) => before.life.phase.kind === 'following',
  ),
  reporting(
    'LEADER_DRAIN_TIMEOUT',
    'work of a lost term outlives drainTimeout in a process that is to stop',
    ({ before }) => before.life.phase.kind === 'leaving',
  ),
];

const handOvers = [
  renewing('a lease is renewed while work is being stopped', isHandingOver),
  reporting('LEADER_DRAIN_TIMEOUT', 'work outlives drainTimeout in a hand-over', isHandingOver),
  on('stepDown', 'a process is told to step down while it hands over', isHandingOver),
  on('stop', 'a process is told to stop while it hands over', isHandingOver),
  on(
    'stop',
    'a process is told to stop while its claim is in flight',
    ({ before: { life, requests } }) =>
      life.phase.kind === 'following' &&
      requests.some((request) => request.kind === 'write' && request.attempt.term === undefined),
  ),
  on(
    'stop',
    'a process is told to stop while work of its lost term runs',
    ({ before, event: { at } }) => before.life.phase.kind === 'following' && at.running > 0,
  ),
  claiming(
    'a process claims when its cool-down ends',
    ({ before, event }) => event.type === 'timePassed' && before.wakeAt === before.life.cooldownUntil,
  ),
  ending('termLimit', 'a term reaches termLimit'),
  doing(
    'closeTerm',
    'a leader hands over because it does not want to lead any more',
    ({ event }) => !event.at.stands,
  ),
  doing(
    'closeTerm',
    'a leader hands over because another process asks for the lease',
    ({ event }, { reason }) => reason === 'steppedDown' && event.type !== 'stepDown' && event.at.stands,
  ),
  claiming(
    'a process claims a lease that it has left to the one that asked',
    ({ event, after }, { base }) => {
      const { wantedBy } = base?.record ?? {};
      const isLeft = base?.record.holderIdentity === '' && wantedBy !== undefined;
      return isLeft && wantedBy !== after.config.options.identity && event.type === 'timePassed';
    },
  ),
  on(
    'asked',
    'a request for the lease is refused because the lease has changed',
    ({ event: { reply } }) => reply.ok && reply.value.kind === 'conflict',
  ),
];

const releases = [
  on('writeReplied', 'a release is refused as a conflict', (step) => isRelease(step) && isConflict(step)),
  on(
    'writeReplied',
    'the outcome of a release is unknown',
    (step) => isRelease(step) && !step.event.reply.ok && step.event.reply.error.maybeCommitted,
  ),
  on(
    'writeReplied',
    'a release succeeds after a conflict',
    (step) => isRelease(step) && isWritten(step) && step.memory.releaseHad('conflict'),
  ),
  on(
    'writeReplied',
    'a release succeeds after an unknown outcome',
    (step) => isRelease(step) && isWritten(step) && step.memory.releaseHad('unknown'),
  ),
  on('readReplied', 'a release of unknown outcome was done', (step) =>
    endsUnknownRelease(step, (lease) => lease?.record.holderIdentity === ''),
  ),
  on('readReplied', 'a release of unknown outcome finds another holder', (step) =>
    endsUnknownRelease(step, (lease) => lease !== undefined && lease.record.holderIdentity !== ''),
  ),
  on('readReplied', 'a release of unknown outcome finds that the Lease is gone', (step) =>
    endsUnknownRelease(step, (lease) => lease === undefined),
  ),
  reporting('LEADER_RELEASE_FAILED', 'a release is given up'),
  on(
    'writeReplied',
    'the server asks a release to wait',
    (step) => isRelease(step) && !step.event.reply.ok && step.event.reply.error.retryAfterMs !== undefined,
  ),
  on(
    'workIdle',
    'a process that is to stop waits for its claim in flight',
    ({ before, after }) => before.release === undefined && after.release === 'awaitingClaims',
  ),
  doing(
    'write',
    'a process that is to stop has no term, and releases a lease that it finds its own',
    ({ before }, { record }) => record.holderIdentity === '' && before.life.phase.kind === 'leaving',
  ),
  ending(
    'stopped',
    'a process stops and leaves its lease to expire, because it must not release it',
    ({ after }) => after.life.phase.kind === 'stopped' && !after.config.options.releaseOnCancel,
  ),
];

const exits = [
  on('exit', 'a process exits while it leads', ({ before }) => before.life.phase.kind === 'leading'),
  on('exit', 'a process exits while it hands over', isHandingOver),
  on('exit', 'a process exits while a write is in flight', ({ before }) =>
    before.requests.some(({ kind }) => kind === 'write'),
  ),
  on('exit', 'a process exits in doubt', ({ before }) => before.sight.doubtful),
];

const watches = [
  on(
    'watchEnded',
    'a watch ends again, and the next opens after a pause',
    ({ before, after }) => before.watch.state === 'open' && after.watch.openAt !== undefined,
  ),
  on(
    'timePassed',
    'a watch does not open, and is given up',
    ({ before: { watch }, event: { at } }) => watch.giveUpAt !== undefined && watch.giveUpAt <= at.now,
  ),
  on('timePassed', 'a watch does not show in time what a reply showed', isWatchLate),
  on(
    'timePassed',
    'two watches in a row do not show in time what a reply showed',
    (step) => isWatchLate(step) && step.before.watch.lateness > 0,
  ),
  on(
    'watchShowed',
    'a watch shows a change in time again',
    ({ before, after }) => before.watch.lateness > 0 && after.watch.lateness === 0,
  ),
  reporting('LEADER_WATCH_BROKEN', 'useless watches are reported'),
  on(
    'readReplied',
    'the watch is silent, and a read finds a change',
    (step) =>
      isOverdueRead(step) &&
      versionOf(step.before.sight.observation) !== versionOf(step.after.sight.observation),
  ),
  on('readReplied', 'the watch is silent, and a read finds no change', (step) => {
    const { reply } = step.event;
    const version = versionOf(step.before.sight.observation);
    return isOverdueRead(step) && reply.ok && reply.value?.resourceVersion === version;
  }),
  doing(
    'beginTerm',
    'a term begins by an event, before the reply',
    ({ event }) => event.type === 'watchShowed',
  ),
];

const pacing = [
  renewing('a renewal without a reply is sent again', isSentAgain),
  claiming('a claim without a reply is sent again', isSentAgain),
  doing(
    'write',
    'four writes are without a reply, the most there may be',
    ({ after }) => after.pacing.write.unanswered === 4,
  ),
  doing(
    'write',
    'a write waits for as long as the server asked',
    ({ before, event }) => event.type === 'timePassed' && before.wakeAt === before.pacing.notBefore,
  ),
  doing(
    'read',
    'a read waits for as long as the server asked',
    ({ before, event }) => event.type === 'timePassed' && before.wakeAt === before.pacing.notBefore,
  ),
  on('writeReplied', 'the server asks a leader to wait for longer than half of its validity', (step) => {
    const { reply, at } = step.event;
    const { validity } = renewableTerm(step.before.life) ?? {};
    if (reply.ok || reply.error.retryAfterMs === undefined || validity === undefined) return false;
    return reply.error.retryAfterMs > Math.min(validity.until - at.now, validity.untilDate - at.date) / 2;
  }),
  doing('write', 'a write waits for the rate limit', (step) => isAtRateLimit(step, 'write')),
  doing('read', 'a read waits for the rate limit', (step) => isAtRateLimit(step, 'read')),
  doing(
    'write',
    'a record gets a later time than the wall clock shows',
    ({ event: { at } }, { record: { renewTime } }) =>
      renewTime !== undefined && Date.parse(renewTime) > at.date + 1,
  ),
];

const deaths = [
  doing(
    'measure',
    'a lease is taken over from a process that is proven dead',
    (_, { fact }) => fact.type === 'termBegan' && fact.takeover === 'dead',
  ),
  on(
    'holderGone',
    'the holder is proven dead while an earlier holder must be respected',
    ({ before, event: { at } }) => owesToOthers(before.sight.observation, at.now),
  ),
  seeing(
    'a record is seen that a process wrote which is proven dead',
    ({ before, after }) => before.gone !== undefined && before.gone.process === processIn(after),
  ),
  doing(
    'followHolder',
    'the holder stays, and its record says nothing about its process any more',
    ({ before, after }) =>
      isHeldByAnother(after) &&
      processIn(after) === undefined &&
      holderIn(before.sight.observation) === holderIn(after.sight.observation),
  ),
];

const guards = [
  on(
    'guardFinished',
    'a guard fails at the start of a term',
    ({ before, event }) =>
      event.when === 'start' && event.error !== undefined && before.life.phase.kind === 'starting',
  ),
  on(
    'guardFinished',
    'a guard fails at the end of a term that was lost',
    ({ before, event }) => event.when === 'end' && event.error !== undefined && !isHandingOver({ before }),
  ),
  doing(
    'endTerm',
    'a term is lost before the guard of its start has finished',
    ({ before }) => before.life.phase.kind === 'starting',
  ),
  renewing('a lease is renewed while the guard of the end of its term runs', ({ before: { life } }) => {
    return life.phase.kind === 'handingOver' && life.phase.awaiting === 'guard';
  }),
];

const optional = [
  claiming(
    'a process claims after lockDelay what a process held that is proven dead',
    ({ before, event, after }, { base }) =>
      after.config.options.lockDelay > 0 &&
      event.type === 'timePassed' &&
      before.gone !== undefined &&
      before.gone.process === base?.record.process,
  ),
  claiming(
    'a process claims what another one with its identity holds',
    ({ before, after }) =>
      after.config.options.reclaimOwnLease && namesItself(before) && isHeldByAnother(before),
  ),
];

const denials = [
  on('watchEnded', 'a watch is refused again', ({ before, event }) => {
    return before.watch.reported === 'LEADER_FORBIDDEN' && event.problem?.code === 'LEADER_FORBIDDEN';
  }),
  on(
    'readReplied',
    'a process that may not watch finds a change',
    ({ before, after }) =>
      before.watch.state === 'denied' &&
      versionOf(before.sight.observation) !== versionOf(after.sight.observation),
  ),
];

/** Every mark. */
const MARKS: readonly Mark[] = [
  ...lateReplies,
  ...unknownOutcomes,
  ...races,
  ...deletions,
  ...strangeRecords,
  ...lostTerms,
  ...handOvers,
  ...releases,
  ...exits,
  ...watches,
  ...pacing,
  ...deaths,
  ...guards,
  ...optional,
  ...denials,
];

// Facts of a step

function requestOf({
  before,
  event,
}: StepOf<'writeReplied' | 'readReplied'>): Election['requests'][number] | undefined {
  return before.requests.find(({ number }) => number === event.number);
}

/** The renewal or claim that was answered; undefined if it was a release. */
function attemptOf(step: StepOf<'writeReplied'>): WriteAttempt | undefined {
  const request = requestOf(step);
  return request?.kind === 'write' ? request.attempt : undefined;
}

function isClaim(step: StepOf<'writeReplied'>): boolean {
  const attempt = attemptOf(step);
  return attempt !== undefined && attempt.term === undefined;
}

function isRelease(step: StepOf<'writeReplied'>): boolean {
  return requestOf(step)?.kind === 'releaseWrite';
}

function isOfEndedTerm(step: StepOf<'writeReplied'>): boolean {
  const { term } = attemptOf(step) ?? {};
  return term !== undefined && term !== renewableTerm(step.after.life)?.number;
}

function isWritten({ event: { reply } }: StepOf<'writeReplied'>): boolean {
  return reply.ok && reply.value.kind === 'written';
}

function isConflict({ event: { reply } }: StepOf<'writeReplied'>): boolean {
  return reply.ok && reply.value.kind === 'conflict';
}

function hasLaterWrite({ before, event }: StepOf<'writeReplied'>): boolean {
  return before.requests.some(({ kind, number }) => kind === 'write' && number > event.number);
}

/** When the read that was answered was sent. */
function readSentAt(step: StepOf<'readReplied'>): MonotonicMs {
  const request = requestOf(step);
  return request !== undefined && 'sentAt' in request ? request.sentAt : LONG_AGO;
}

/** Whether the read that was answered was sent because the watch was silent. */
function isOverdueRead(step: StepOf<'readReplied'>): boolean {
  const request = requestOf(step);
  return request?.kind === 'read' && request.isOverdue;
}

function endsHint({ before, after, event: { reply } }: StepOf<'readReplied'>): boolean {
  return reply.ok && before.sight.hint !== undefined && after.sight.hint === undefined;
}

/** Whether a release ends by a read, after a write of it whose outcome is unknown. */
function endsUnknownRelease(
  { before, after, event: { reply }, memory }: StepOf<'readReplied'>,
  finds: (lease: LeaseSnapshot | undefined) => boolean,
): boolean {
  const ends = before.release !== undefined && after.release === undefined;
  return ends && memory.releaseHad('unknown') && reply.ok && finds(reply.value);
}

function sends({ effects }: Step, kind: 'read' | 'write'): boolean {
  return effects.some((effect) => effect.do === kind);
}

/** Whether a write on top of the same version is unanswered. */
function isSentAgain({ before }: Step, { base }: EffectOf<'write'>): boolean {
  return before.requests.some(
    (request) => request.kind === 'write' && request.attempt.base?.resourceVersion === base?.resourceVersion,
  );
}

function isAtRateLimit({ before, event }: Step, kind: 'read' | 'write'): boolean {
  const { restedAt } = before.pacing[kind];
  const { retryPeriod } = before.config.options;
  return event.type === 'timePassed' && before.wakeAt === laterThan(restedAt, -retryPeriod);
}

function isHandingOver({ before }: Pick<Step, 'before'>): boolean {
  return before.life.phase.kind === 'handingOver';
}

function isLossOfLease(reason: TermEndReason): boolean {
  return reason === 'leaseGone' || reason === 'superseded' || reason === 'released';
}

function hasRunOutByWallClockAlone({ before, event: { at } }: Step): boolean {
  const { until } = renewableTerm(before.life)?.validity ?? { until: LONG_AGO };
  // Both run out at one instant, but for the rounding of numbers.
  return at.now < until - 1;
}

function isWatchLate({ before, after }: Step): boolean {
  return after.watch.lateness > before.watch.lateness;
}

// Facts of a state

function isOlder({ resourceVersion }: LeaseSnapshot, { sight }: Election): boolean {
  return isNewer(versionOf(sight.observation), resourceVersion);
}

function isGone({ sight }: Election): boolean {
  return sight.observation.kind === 'absent';
}

/** Whether another process holds the lease, perhaps one with the same identity. */
function isHeldByAnother({ sight: { observation } }: Election): boolean {
  return observation.kind === 'present' && !observation.mine && holderIn(observation) !== '';
}

function namesItself({ sight, config }: Election): boolean {
  return holderIn(sight.observation) === config.options.identity;
}

/** What another holder wrote about its process. */
function processIn({ sight: { observation } }: Election): string | undefined {
  return observation.kind === 'present' && !observation.mine
    ? observation.snapshot.record.process
    : undefined;
}

// Counting

/** The marks that a step can reach, by what happens in it. */
const marksAt = new Map<Mark['at'], Mark[]>();
for (const mark of MARKS) marksAt.set(mark.at, [...(marksAt.get(mark.at) ?? []), mark]);

/** Counts how often each mark was reached. */
export class ReachedMarks {
  readonly #counts = new Map(MARKS.map(({ name }) => [name, 0]));
  #failure: Error | undefined;

  /**
   * By the name of the mark; 0 if it was never reached.
   *
   * @throws what a predicate has thrown.
   */
  get counts(): ReadonlyMap<string, number> {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#counts;
  }

  /** A trace of one election, which counts its marks. */
  trace(): ElectionTrace {
    const memory = new Memory();
    let before: Election | undefined;
    return (event, effects, after) => {
      // An elector goes on when its trace throws, and does not call it again.
      try {
        if (before !== undefined) this.#count({ before, event, effects, after, memory });
      } catch (error) {
        this.#failure ??= error as Error;
      }
      before = after;
    };
  }

  #count(step: Step): void {
    const { before, event, effects, after, memory } = step;
    this.#look(event.type, step);
    for (const effect of effects) {
      this.#look(effect.do, step, effect);
      if (effect.do === 'tell' && effect.event.type === 'error') this.#look(effect.event.error.code, step);
    }
    const [known, seen] = [before.sight.observation, after.sight.observation];
    if (seen !== known && seen.kind === 'present' && versionOf(seen) !== versionOf(known)) {
      this.#look('sighting', step, seen);
      const write = memory.writeOf(seen);
      if (write?.wasSeen === false) {
        this.#look('ownWrite', step, write);
        write.wasSeen = true;
      }
    }
    memory.note(step);
  }

  #look(at: Mark['at'], step: Step, detail?: Detail): void {
    const marks = marksAt.get(at);
    if (marks === undefined) return;
    for (const { name, isReached } of marks)
      if (isReached(step, detail)) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}
