/** The language of the stories in testdata: parses their events, and plays a story from them. */
import { LeaderError, LeaseRequestError, resolveElectionOptions } from '../../lib/election/index.js';
import { NEVER, type MonotonicMs, type WallMs } from '../../lib/election/clock.js';
import type { LeaderErrorCode } from '../../lib/election/errors.js';
import {
  WriteNotKeptError,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WriteOutcome,
} from '../../lib/election/lease.js';
import type { Reading } from '../../lib/election/life.js';
import {
  newElection,
  step,
  type Election,
  type ElectionEffect,
  type ElectionTrace,
  type TimedEvent,
  type MachineEvent,
  type CandidacyOf,
} from '../../lib/election/machine.js';
import type { ElectionOptions } from '../../lib/election/options.js';
import type { Reply } from '../../lib/election/requests.js';
import { storyTeller } from '../../lib/election/story/story.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const BEGAN_ON = Date.UTC(2026, 0, 1, 12);
const EVENT = /^(-?\d+) +(\S.*?)(?: \(running: (\d+)\))?(?: \(wall clock: (\d+) ms (ahead|behind)\))?$/;
const RECORD = /^(nobody|'[^']*')(?: for (\d+) s)?(?:, (.*))?$/;
/** A lock of which only the name is used. */
const LOCK = new SimulatedLease(new SimulatedTime()).lock('story');

/** A parsed event line. */
export interface EventLine {
  readonly at: number;
  readonly text: string;
  readonly running: number;
  /** By how many milliseconds the wall clock is ahead of the monotonic one since the start. */
  readonly wallAhead: number;
}

/** Parses an event line. Undefined for any other line. */
export function eventLine(line: string): EventLine | undefined {
  const match = EVENT.exec(line);
  if (match === null) return undefined;
  const [, at, text = '', running = '0', wall = '0', direction] = match;
  return {
    at: Number(at),
    text,
    running: Number(running),
    wallAhead: direction === 'behind' ? -Number(wall) : Number(wall),
  };
}

/** Parses the events of one story. It remembers the records to which later lines refer. */
export class StoryReader {
  readonly #writes = new Map<number, LeaseRecord>();
  #shown: LeaseSnapshot | undefined;

  /** Reads an effect line. Later lines may refer to the record of a write. */
  readEffect(line: string): void {
    const match =
      /^ +> write (\d+), [^:]*: (.*?)(?:, process '([^']*)')?(?:, wanted by '[^']*')?; patience \d+ ms$/.exec(
        line,
      );
    if (match === null) return;
    const [, number, record = '', process] = match;
    this.#writes.set(Number(number), { ...this.#record(record), ...(process !== undefined && { process }) });
  }

  /** Notes the exact record of a write that a step has requested. */
  noteEffect(effect: ElectionEffect): void {
    if (effect.do === 'write') this.#writes.set(effect.number, effect.record);
  }

  /** The event in a line. @throws Error if it cannot be parsed. */
  happening(text: string): MachineEvent {
    for (const [pattern, read] of this.#sentences) {
      const match = pattern.exec(text);
      if (match !== null) return read(match.slice(1));
    }
    throw new Error(`Not an event: '${text}'. See test/election/testdata/README.md.`);
  }

  /** Whether the process wants to lead, according to the last line that says so. */
  stands = true;

  #candidacyIn(text = ''): CandidacyOf {
    const match = /^(wants|does not want|never wants) to lead(?:: (LEADER_\w+))?$/.exec(text);
    if (match === null) throw new Error(`Expected 'wants to lead' or 'does not want to lead': '${text}'.`);
    this.stands = match[1] === 'wants';
    return { objection: errorOf(match[2]), abstains: match[1] === 'never wants' };
  }

  readonly #sentences: readonly (readonly [
    RegExp,
    (parts: readonly (string | undefined)[]) => MachineEvent,
  ])[] = [
    [/^start; (.*)$/, ([candidacy]) => ({ type: 'start', ...this.#candidacyIn(candidacy) })],
    [
      /^((?:wants|does not want|never wants) to lead.*)$/,
      ([candidacy]) => ({ type: 'candidacyChanged', ...this.#candidacyIn(candidacy) }),
    ],
    [/^time passes$/, () => ({ type: 'timePassed' })],
    [
      /^read (\d+)(.*)$/,
      ([number, rest]) => ({ type: 'readReplied', number: Number(number), reply: this.#read(rest) }),
    ],
    [
      /^write (\d+)(.*)$/,
      ([number, rest]) => ({
        type: 'writeReplied',
        number: Number(number),
        reply: this.#write(rest, this.#writes.get(Number(number))),
      }),
    ],
    [
      /^look, sent at (-?\d+)(.*)$/,
      ([at, rest]) => ({ type: 'looked', sentAt: Number(at) as MonotonicMs, reply: this.#read(rest) }),
    ],
    [
      /^note, sent at (-?\d+)(.*)$/,
      ([at, rest]) => ({
        type: 'asked',
        sentAt: Number(at) as MonotonicMs,
        reply: this.#write(rest, undefined),
      }),
    ],
    [/^watch (\d+): open$/, ([stream]) => ({ type: 'watchOpened', stream: Number(stream) })],
    [
      /^watch (\d+): the Lease was deleted, version (\d+)$/,
      ([stream, resourceVersion = '']) => ({
        type: 'watchShowed',
        stream: Number(stream),
        event: { kind: 'deleted', resourceVersion },
      }),
    ],
    [
      /^watch (\d+): ended$/,
      ([stream]) => ({ type: 'watchEnded', stream: Number(stream), problem: undefined }),
    ],
    [
      /^watch (\d+) failed: (.*)$/,
      ([stream, failure]) => ({ type: 'watchEnded', stream: Number(stream), problem: failureOf(failure) }),
    ],
    [
      /^watch (\d+): (.*)$/,
      ([stream, lease = '']) => ({
        type: 'watchShowed',
        stream: Number(stream),
        event: { kind: 'seen', snapshot: this.#lease(lease) },
      }),
    ],
    [
      /^guard at the (start|end) of term (\d+): (?:done|failed with (LEADER_\w+))$/,
      ([guard, term, code]) => ({
        type: 'guardFinished',
        when: guard as 'start' | 'end',
        term: Number(term),
        error: errorOf(code),
      }),
    ],
    [/^the work of term (\d+) was told to stop$/, ([term]) => ({ type: 'termClosed', term: Number(term) })],
    [/^no work runs$/, () => ({ type: 'workIdle' })],
    [/^step down, cool-down (\d+) ms$/, ([cooldown]) => ({ type: 'stepDown', cooldown: Number(cooldown) })],
    [/^stop$/, () => ({ type: 'stop' })],
    [/^the process '([^']*)' is dead$/, ([process = '']) => ({ type: 'holderGone', process })],
    [/^the process exits$/, () => ({ type: 'exit' })],
  ];

  #read(rest = ''): Reply<LeaseSnapshot | undefined> {
    const failure = / failed: (.*)/.exec(rest);
    if (failure !== null) return { ok: false, error: failureOf(failure[1]) };
    const lease = rest.replace(/^: /, '');
    return { ok: true, value: lease === 'there is no Lease' ? undefined : this.#lease(lease) };
  }

  #write(rest = '', written: LeaseRecord | undefined): Reply<WriteOutcome> {
    const failure = / failed: (.*)/.exec(rest);
    if (failure !== null) return { ok: false, error: failureOf(failure[1]) };
    if (rest === ': conflict') return { ok: true, value: { kind: 'conflict' } };
    const done = /^: done, (.*)$/.exec(rest);
    if (done === null) throw new Error(`Not a reply to a write: '${rest}'.`);
    const said = done[1] ?? '';
    const isBrief = /^(process|wanted by|version) /.test(said);
    if (isBrief && written === undefined) throw new Error(`Unknown write: '${rest}'.`);
    const snapshot = this.#lease(said, isBrief ? written : undefined);
    return { ok: true, value: { kind: 'written', snapshot } };
  }

  /** Parses a Lease. @param written the record, if the text does not contain it. */
  #lease(text: string, written?: LeaseRecord): LeaseSnapshot {
    const match = /^(?:(.*), )?version (\d+)(?:, uid (\S+))?$/.exec(text);
    if (match === null) throw new Error(`Not a Lease: '${text}'. Is its version missing?`);
    const [, said = '', resourceVersion = '', uid = this.#shown?.uid ?? 'first'] = match;
    const notes = /^(.*?)(?:(?:^|, )process '([^']*)')?(?:(?:^|, )wanted by '([^']*)')?$/.exec(said);
    const [, rest = '', process, wantedBy] = notes ?? [];
    const { wantedBy: _, process: __, ...record } = written ?? this.#record(rest);
    const snapshot = {
      record: {
        ...record,
        ...(wantedBy !== undefined && { wantedBy }),
        ...(process !== undefined && { process }),
      },
      resourceVersion,
      uid,
    };
    this.#shown = snapshot;
    return snapshot;
  }

  #record(text: string): LeaseRecord {
    const match = RECORD.exec(text);
    if (match === null) throw new Error(`Not a record of a Lease: '${text}'.`);
    const [, holder = '', seconds, rest = ''] = match;
    const hold = {
      holderIdentity: holder === 'nobody' ? '' : holder.slice(1, -1),
      leaseDurationSeconds: seconds === undefined ? undefined : Number(seconds),
    };
    if (rest === 'as before') {
      if (this.#shown === undefined) throw new Error(`Nothing was shown before '${text}'.`);
      return { ...this.#shown.record, ...hold };
    }
    const own = /^as write (\d+) wrote it(?:, but (.*))?$/.exec(rest);
    const written = own === null ? undefined : this.#writes.get(Number(own[1]));
    if (own !== null && written === undefined) throw new Error(`Unknown write: '${text}'.`);
    if (written !== undefined && own?.[2] === undefined) return { ...written, ...hold };
    const fields = (own?.[2] ?? rest).split(', ').filter((field) => field !== '');
    const record = {
      ...hold,
      acquireTime: written?.acquireTime,
      renewTime: undefined as MicroTime | undefined,
      leaseTransitions: undefined as number | undefined,
    };
    for (const field of fields) {
      const [, name, value] = /^(acquired at|renewed at|transitions) (-?\d+)$/.exec(field) ?? [];
      if (name === 'acquired at') record.acquireTime = timeOf(Number(value));
      else if (name === 'renewed at') record.renewTime = timeOf(Number(value));
      else if (name === 'transitions') record.leaseTransitions = Number(value);
      else throw new Error(`Not a part of a record: '${field}'.`);
    }
    return record;
  }
}

function timeOf(ms: number): MicroTime {
  return new Date(BEGAN_ON + ms).toISOString().replace('Z', '000Z') as MicroTime;
}

function errorOf(code: string | undefined): LeaderError | undefined {
  return code === undefined ? undefined : new LeaderError(code as LeaderErrorCode, 'planted');
}

function failureOf(text = ''): LeaseRequestError {
  const [code, ...details] = text.split(', ');
  const detail = (pattern: RegExp): string | undefined =>
    details.map((each) => pattern.exec(each)?.[1]).find((found) => found !== undefined);
  const keptVersion = detail(/^kept as version (\d+)$/);
  const retryAfter = detail(/^retry after (\d+) ms$/);
  if (keptVersion !== undefined) return new WriteNotKeptError(LOCK, ['renewTime'], keptVersion);
  return new LeaseRequestError(code as LeaderErrorCode, 'planted', {
    maybeCommitted: details.includes('may have been carried out'),
    retryAfterMs: retryAfter === undefined ? undefined : Number(retryAfter),
  });
}

// Playing a story

/**
 * Plays a story: takes the events from outside from `text`, and writes all their effects again. Events that the driver causes
 * are added where they are missing: wake-ups, and the immediate events about a term's work.
 *
 * @param trace called with each step, too. Default: none.
 * @throws Error if the story contains an event that is impossible, or lacks one that must have happened.
 */
export function played(text: string, trace: ElectionTrace = () => undefined): string {
  const lines = text.trimEnd().split('\n');
  const first = lines.findIndex((line) => eventLine(line) !== undefined);
  const play = new Play(settingsIn(lines.slice(0, first)), trace);
  const told: string[] = lines.slice(0, first);
  let remarks: string[] = [];
  for (const line of lines.slice(first)) {
    if (/^ +> /.test(line)) continue;
    const event = eventLine(line);
    if (event === undefined) {
      remarks.push(line);
      continue;
    }
    try {
      told.push(...play.until(event, remarks.includes(IS_PAUSED)), ...remarks);
      told.push(...(event.text === 'end' ? play.ends(event, line) : play.happens(event)));
    } catch (cause) {
      throw new Error(`${String(cause)} See the last line of:\n${[...told, line].join('\n')}`, {
        cause,
      });
    }
    remarks = [];
  }
  told.push(...play.rest(), ...remarks);
  return `${told.join('\n')}\n`;
}

/** The events that the driver causes in the same instant. */
const AT_ONCE = /^(the work of term \d+ was told to stop|no work runs)$/;
/** More steps between two events indicate an endless loop. */
const MOST_STEPS = 1_000;
const IS_PAUSED = '~ the process is paused';

interface Settings {
  readonly options: Partial<ElectionOptions>;
  readonly flags: ReadonlySet<string>;
  readonly chance: number;
  readonly slot: number;
  /** What this process writes about itself. */
  readonly process: string | undefined;
}

/** The settings of a story: `with termLimit 60000, spread, guard, no watch, chance 0.5`. */
function settingsIn(heading: readonly string[]): Settings {
  const said = heading.find((line) => line.startsWith('with '))?.slice('with '.length) ?? '';
  const given = said.split(', ').filter((each) => each !== '');
  const values = new Map(
    given.map((each): [string, unknown] => {
      const [name = '', value = 'true'] = each.split(' ');
      return [name, JSON.parse(/^(true|false|[\d.]+)$/.test(value) ? value : JSON.stringify(value))];
    }),
  );
  const { chance = 0, slot = 0, process, guard: _guard, no: _no, ...options } = Object.fromEntries(values);
  return {
    options,
    flags: new Set(given),
    chance: Number(chance),
    slot: Number(slot),
    process: typeof process === 'string' ? process : undefined,
  };
}

/** A story that is being played. */
class Play {
  readonly #reader = new StoryReader();
  readonly #chance: number;
  readonly #process: string | undefined;
  readonly #lines: string[] = [];
  readonly #tell = storyTeller((line) => this.#lines.push(line));
  /** When each request times out, by its number. */
  readonly #giveUpAt = new Map<number, number>();
  /** The events that the driver causes in the same instant. */
  #next: MachineEvent[] = [];
  #state: Election;
  #now = 0;
  #running = 0;
  #wallAhead = 0;

  constructor(
    { options, flags, chance, slot, process }: Settings,
    private readonly trace: ElectionTrace,
  ) {
    this.#chance = chance;
    this.#process = process;
    this.#state = newElection({
      options: resolveElectionOptions(
        { leaseName: 'story', ...options },
        { leaseNamespace: 'default', identity: 'baz' },
      ),
      slot,
      lease: 'default/story',
      canWatch: !flags.has('no watch'),
      isGuarded: flags.has('guard'),
    });
  }

  /** Everything that happens by itself before `event`. */
  until(event: EventLine, isPaused: boolean): string[] {
    for (let steps = 0; ; steps++) {
      if (steps > MOST_STEPS) throw new Error('The election wakes up again and again.');
      const { wakeAt } = this.#state;
      const [next] = this.#next;
      if (next !== undefined) {
        if (event.at === Math.round(this.#now) && AT_ONCE.test(event.text)) break;
        this.#step(this.#now, this.#nextNow());
      } else if (!isPaused && wakeAt < event.at && !isSame(event, wakeAt)) this.#wake(wakeAt);
      else break;
    }
    return this.#take();
  }

  /** Plays `event`. */
  happens(event: EventLine): string[] {
    const { wakeAt } = this.#state;
    const [next] = this.#next;
    this.#running = event.running;
    this.#wallAhead = event.wallAhead;
    if (next !== undefined) this.#step(this.#now, this.#nextNow());
    else if (isSame(event, wakeAt)) this.#wake(wakeAt);
    else {
      const happening = this.#reader.happening(event.text);
      this.#refuseImpossible(event, happening);
      this.#step(Math.max(event.at, this.#now), happening);
    }
    return this.#take();
  }

  /** The story ends here. */
  ends(event: EventLine, line: string): string[] {
    this.#refuseImpossible(event, { type: 'timePassed' });
    return [line];
  }

  /** Everything that happens immediately after the last event. */
  rest(): string[] {
    while (this.#next.length > 0) this.#step(this.#now, this.#nextNow());
    return this.#take();
  }

  #refuseImpossible({ at }: EventLine, happening: MachineEvent): void {
    const replied = { readReplied: /read/i, writeReplied: /write/i } as Record<string, RegExp | undefined>;
    const kind = replied[happening.type];
    const isReplyTo = (number: number): boolean => 'number' in happening && happening.number === number;
    const { requests } = this.#state;
    if (
      kind !== undefined &&
      !requests.some((request) => isReplyTo(request.number) && kind.test(request.kind))
    )
      throw new Error('No such request is in flight.');
    if (at < Math.floor(this.#now)) throw new Error('Time cannot go back.');
    for (const { number } of requests) {
      const giveUpAt = this.#giveUpAt.get(number) ?? NEVER;
      if (giveUpAt < at && !isReplyTo(number))
        throw new Error(
          `Request ${String(number)} timed out at ${String(Math.round(giveUpAt))}, so its failure is missing.`,
        );
    }
  }

  #nextNow(): MachineEvent {
    const next = this.#next.shift();
    if (next === undefined) throw new Error('There is no immediate event.');
    return next;
  }

  #wake(at: number): void {
    if (at === NEVER) throw new Error('There is no wake-up.');
    this.#step(Math.max(at, this.#now), { type: 'timePassed' });
  }

  #step(now: number, happening: MachineEvent): void {
    this.#now = now;
    const at: Reading = {
      now: now as MonotonicMs,
      date: (BEGAN_ON + now + this.#wallAhead) as WallMs,
      chance: this.#chance,
      running: this.#running,
      stands: this.#reader.stands,
      process: this.#process,
    };
    const event: TimedEvent = { ...happening, at };
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    this.#tell(event, effects, state);
    this.trace(event, effects, state);
    for (const effect of effects) {
      this.#reader.noteEffect(effect);
      if (effect.do === 'read' || effect.do === 'write')
        this.#giveUpAt.set(effect.number, now + effect.patienceMs);
      if (effect.do === 'closeTerm') this.#next.push({ type: 'termClosed', term: effect.term });
      if (effect.do === 'awaitIdle' && this.#running === 0) this.#next.push({ type: 'workIdle' });
    }
  }

  #take(): string[] {
    return this.#lines.splice(0);
  }
}

/** Whether the event is the wake-up at that instant. Stories round times to milliseconds. */
function isSame({ at, text }: EventLine, wakeAt: number): boolean {
  return text === 'time passes' && Math.round(wakeAt) === at;
}
