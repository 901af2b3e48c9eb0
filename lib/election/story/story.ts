/**
 * Writes the story of an election as text: each event on a line, and below it, indented, each of its effects. Pure.
 *
 * Times are milliseconds since the first event, by the clock of this process. The times in a record, which others may have
 * written, are milliseconds since the same instant, by the wall clock. Omitted are microseconds, wake-ups that find nothing to
 * do, and events after the election has ended. An error is shown by its code, and a Lease by its record, version and uid, so a
 * story contains no secret.
 */
import { NEVER, type Instant, type MonotonicMs } from '../clock.js';
import { readable, type LeaseRequestError } from '../errors.js';
import {
  WriteNotKeptError,
  sameRecord,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WriteOutcome,
} from '../lease.js';
import type { Measured, Picture, Term, Told } from '../life.js';
import type { CandidacyOf, ElectionEffect, TimedEvent, ElectionTrace } from '../machine.js';
import type { Reply } from '../requests.js';

/** The parts of the story so far that later lines refer to. */
interface Context {
  /** When the story began, by both clocks. */
  readonly since: Instant;
  /** The newest writes of this process. */
  readonly writes: readonly Write[];
  /** The Lease as it was shown last. */
  readonly shown: LeaseSnapshot | undefined;
  /** The wake-up that was written last. */
  readonly wakeAt: MonotonicMs | undefined;
}

interface Write {
  readonly number: number;
  readonly record: LeaseRecord;
}

/** How many writes of this process are remembered to recognise their records. */
const REMEMBERED = 32;

/** The width of the first column, which shows the time. */
const TIMES = 8;

/**
 * Writes the story of one election, line by line. For the `trace` of a `LeaseElector`.
 *
 * @param tell called with each line, without a line break.
 */
export function storyTeller(tell: (line: string) => void): ElectionTrace {
  let context: Context | undefined;
  return (event, effects, { wakeAt, life }) => {
    context ??= { since: event.at, writes: [], shown: undefined, wakeAt: undefined };
    const isOver = life.phase.kind === 'stopped';
    if ((event.type === 'timePassed' || isOver) && effects.length === 0) return;
    tell(
      `${timeOf(event.at.now, context).padEnd(TIMES)}${eventText(event, context)}${readingText(event, context)}`,
    );
    context = { ...context, shown: shownBy(event, context) };
    for (const effect of effects) {
      tell(`${' '.repeat(TIMES)}  > ${effectText(effect, context)}`);
      if (effect.do === 'write')
        context = { ...context, writes: [...context.writes, effect].slice(-REMEMBERED) };
    }
    if (wakeAt === context.wakeAt) return;
    tell(
      `${' '.repeat(TIMES)}  > ${Number.isFinite(wakeAt) ? `wake at ${timeOf(wakeAt, context)}` : 'no wake-up'}`,
    );
    context = { ...context, wakeAt };
  };
}

// Events

function eventText(event: TimedEvent, context: Context): string {
  switch (event.type) {
    case 'start':
      return `start; ${candidacyText(event)}`;
    case 'candidacyChanged':
      return candidacyText(event);
    case 'timePassed':
      return 'time passes';
    case 'readReplied':
      return `read ${String(event.number)}${readText(event.reply, context)}`;
    case 'writeReplied':
      return `write ${String(event.number)}${writeText(event.reply, context, event.number)}`;
    case 'looked':
      return `look, sent at ${timeOf(event.sentAt, context)}${readText(event.reply, context)}`;
    case 'asked':
      return `note, sent at ${timeOf(event.sentAt, context)}${writeText(event.reply, context)}`;
    case 'watchOpened':
      return `watch ${String(event.stream)}: open`;
    case 'watchShowed':
      return `watch ${String(event.stream)}: ${
        event.event.kind === 'seen'
          ? snapshotText(event.event.snapshot, context)
          : `the Lease was deleted, version ${event.event.resourceVersion}`
      }`;
    case 'watchEnded':
      return `watch ${String(event.stream)}${event.problem === undefined ? ': ended' : failureText(event.problem)}`;
    case 'guardFinished':
      return `guard at the ${event.when} of term ${String(event.term)}${
        event.error === undefined ? ': done' : `: failed with ${event.error.code}`
      }`;
    case 'termClosed':
      return `the work of term ${String(event.term)} was told to stop`;
    case 'workIdle':
      return 'no work runs';
    case 'stepDown':
      return `step down, cool-down ${ms(event.cooldown)}`;
    case 'stop':
      return 'stop';
    case 'holderGone':
      return `the process '${readable(event.process)}' is dead`;
    case 'exit':
      return 'the process exits';
  }
}

/** The reading, if it is unusual: work runs, or the two clocks have moved apart. */
function readingText({ at }: TimedEvent, { since }: Context): string {
  const ahead = Math.round(at.date - since.date - (at.now - since.now));
  return [
    at.running > 0 ? ` (running: ${String(at.running)})` : '',
    // Smaller differences occur while NTP adjusts the wall clock.
    Math.abs(ahead) < 1_000 ? '' : ` (wall clock: ${ms(Math.abs(ahead))} ${ahead > 0 ? 'ahead' : 'behind'})`,
  ].join('');
}

function candidacyText({ at: { stands }, objection, abstains = false }: TimedEvent & CandidacyOf): string {
  const why = objection === undefined ? '' : `: ${objection.code}`;
  const wants = stands ? 'wants' : 'does not want';
  return `${abstains ? 'never wants' : wants} to lead${why}`;
}

function readText(reply: Reply<LeaseSnapshot | undefined>, context: Context): string {
  if (!reply.ok) return failureText(reply.error);
  return `: ${reply.value === undefined ? 'there is no Lease' : snapshotText(reply.value, context)}`;
}

function writeText(reply: Reply<WriteOutcome>, context: Context, number?: number): string {
  if (!reply.ok) {
    const { error } = reply;
    if (error instanceof WriteNotKeptError)
      return `${failureText(error)}, kept as version ${error.keptVersion}`;
    return `${failureText(error)}${error.maybeCommitted ? ', may have been carried out' : ''}`;
  }
  if (reply.value.kind === 'conflict') return ': conflict';
  const { snapshot } = reply.value;
  const written = context.writes.find((write) => write.number === number);
  // Usually the reply shows the record that was written.
  if (written === undefined || !sameRecord(written.record, snapshot.record))
    return `: done, ${snapshotText(snapshot, context)}`;
  return `: done${notesText(snapshot.record)}, ${versionText(snapshot, context)}`;
}

function failureText({ code, retryAfterMs }: LeaseRequestError): string {
  return ` failed: ${code}${retryAfterMs === undefined ? '' : `, retry after ${ms(retryAfterMs)}`}`;
}

/** The Lease as it was shown last, by this event or before it. */
function shownBy(event: TimedEvent, { shown }: Context): LeaseSnapshot | undefined {
  if (event.type === 'watchShowed') return event.event.kind === 'seen' ? event.event.snapshot : shown;
  if (!('reply' in event) || !event.reply.ok || event.reply.value === undefined) return shown;
  const { value } = event.reply;
  if (!('kind' in value)) return value;
  return value.kind === 'written' ? value.snapshot : shown;
}

// Effects

function effectText(effect: ElectionEffect, context: Context): string {
  switch (effect.do) {
    case 'read':
      return `read ${String(effect.number)}, patience ${ms(effect.patienceMs)}`;
    case 'write': {
      const { number, base, record, patienceMs } = effect;
      const where = base === undefined ? 'if there is no Lease' : `on top of version ${base.resourceVersion}`;
      return `write ${String(number)}, ${where}: ${recordText(record, context)}${notesText(record)}; patience ${ms(patienceMs)}`;
    }
    case 'openWatch':
      return `open watch ${String(effect.stream)}`;
    case 'closeWatch':
      return `close watch ${String(effect.stream)}`;
    case 'followHolder':
      return effect.process === undefined
        ? 'follow no process'
        : `follow the process '${readable(effect.process)}'`;
    case 'tell':
      return toldText(effect.event, context);
    case 'measure':
      return `meter: ${measuredText(effect.fact)}`;
    case 'beginTerm':
      return termText(effect.term, context);
    case 'closeTerm':
      return `tell the work of term ${String(effect.term)} to stop: ${effect.reason}`;
    case 'endTerm':
      return `end term ${String(effect.term)}: ${effect.reason}`;
    case 'guard':
      return `ask the guard at the ${effect.when} of term ${String(effect.term)}`;
    case 'awaitIdle':
      return 'wait until no work runs';
  }
}

function termText({ number, fencingToken, slot, validity }: Term, context: Context): string {
  return (
    `begin term ${String(number)}: token ${String(fencingToken)}` +
    `${slot === 0 ? '' : `, slot ${String(slot)}`}, certain until ${timeOf(validity.until, context)}`
  );
}

function toldText(event: Told, context: Context): string {
  switch (event.type) {
    case 'stateChanged':
      return `tell state: ${pictureText(event.state, context)}`;
    case 'startedLeading':
      return `tell: term ${String(event.term)} started`;
    case 'stoppedLeading':
      return `tell: term ${String(event.term)} stopped, ${event.reason}`;
    case 'newLeader':
      return `tell: the leader is ${holderText(event.identity)}`;
    case 'error':
      return `tell: ${event.error.code}`;
  }
}

function pictureText(picture: Picture, context: Context): string {
  switch (picture.kind) {
    case 'idle':
    case 'stopped':
      return picture.kind;
    case 'following': {
      const { leader, expiresAt = NEVER } = picture;
      const respected = expiresAt === NEVER ? '' : `, who is respected until ${timeOf(expiresAt, context)}`;
      return `following ${holderText(leader)}${respected}${conditionText(picture)}`;
    }
    case 'leading':
      return `leading, term ${String(picture.term)}${conditionText(picture)}`;
    case 'handingOver':
      return `handing over term ${String(picture.term)}, ${picture.reason}${conditionText(picture)}`;
  }
}

function conditionText({ problems = [], watch }: Exclude<Picture, { kind: 'idle' | 'stopped' }>): string {
  const wrong = problems.map(({ code }) => `; ${code}`).join('');
  return `${watch === undefined ? '' : `; watch ${watch}`}${wrong}`;
}

function measuredText(fact: Measured): string {
  switch (fact.type) {
    case 'joined':
      return 'joined';
    case 'termBegan':
      return `term ${String(fact.term)} began, takeover ${fact.takeover}`;
    case 'termEnded':
      return `term ${String(fact.term)} ended, ${fact.reason}, after ${ms(fact.lengthMs)}`;
    case 'renewal':
      return `renewal ${fact.outcome} after ${ms(fact.latencyMs)}`;
    case 'slowPath':
      return 'slow path';
    case 'watch':
      return `watch ${fact.isOpen ? 'open' : 'not open'}`;
    case 'draining':
      return `draining ${String(fact.pieces)}`;
  }
}

// The Lease

/** A record that was shown before, or that this process wrote, is not written in full again. */
function snapshotText(snapshot: LeaseSnapshot, context: Context): string {
  const { record } = snapshot;
  return `${knownText(record, context)}${notesText(record)}, ${versionText(snapshot, context)}`;
}

function knownText(record: LeaseRecord, context: Context): string {
  const { writes, shown } = context;
  const written = writes.findLast((write) => sameRecord(write.record, record));
  if (written !== undefined) return `${holdText(record)}, as write ${String(written.number)} wrote it`;
  if (shown !== undefined && sameRecord(shown.record, record)) return `${holdText(record)}, as before`;
  const changed = restText(record, context);
  const { holderIdentity: holder, acquireTime } = record;
  const touched = writes.findLast(
    (write) =>
      holder !== '' && write.record.holderIdentity === holder && write.record.acquireTime === acquireTime,
  );
  if (touched === undefined || changed === '') return recordText(record, context);
  return `${holdText(record)}, as write ${String(touched.number)} wrote it, but ${changed}`;
}

function versionText({ resourceVersion, uid }: LeaseSnapshot, { shown }: Context): string {
  const isAnother = shown !== undefined && shown.uid !== uid;
  return `version ${resourceVersion}${isAnother ? `, uid ${readable(uid)}` : ''}`;
}

function recordText(record: LeaseRecord, context: Context): string {
  const { acquireTime } = record;
  const acquired = acquireTime === undefined ? [] : [`acquired at ${recordTimeOf(acquireTime, context)}`];
  return [holdText(record), ...acquired, restText(record, context)].filter((text) => text !== '').join(', ');
}

function holdText({ holderIdentity, leaseDurationSeconds: seconds }: LeaseRecord): string {
  return `${holderText(holderIdentity)}${seconds === undefined ? '' : ` for ${String(seconds)} s`}`;
}

function restText({ renewTime, leaseTransitions }: LeaseRecord, context: Context): string {
  return [
    ...(renewTime === undefined ? [] : [`renewed at ${recordTimeOf(renewTime, context)}`]),
    ...(leaseTransitions === undefined ? [] : [`transitions ${String(leaseTransitions)}`]),
  ].join(', ');
}

/** The parts of a record that are stored in annotations. */
function notesText({ process, wantedBy }: LeaseRecord): string {
  return [
    process === undefined ? '' : `, process '${readable(process)}'`,
    wantedBy === undefined ? '' : `, wanted by ${holderText(wantedBy)}`,
  ].join('');
}

function holderText(identity: string): string {
  return identity === '' ? 'nobody' : `'${readable(identity)}'`;
}

// Times

function timeOf(at: MonotonicMs, { since }: Context): string {
  return String(Math.round(at - since.now));
}

function recordTimeOf(time: MicroTime, { since }: Context): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? `'${readable(time)}'` : String(Math.round(at - since.date));
}

function ms(duration: number): string {
  return `${String(Math.round(duration))} ms`;
}
