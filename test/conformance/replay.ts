/** Reads what `stepRecorder()` has written, and replays it. */
import {
  LeaderError,
  LeaseRequestError,
  stepRecorder,
  type LeaderErrorCode,
  type LeaseLock,
} from '../../lib/election/index.js';
import { WriteNotKeptError } from '../../lib/election/lease.js';
import {
  newElection,
  step,
  type Election,
  type ElectionConfig,
  type TimedEvent,
} from '../../lib/election/machine.js';
import { Checker, type Step } from './checker.js';

/** What the replay of one recording has shown. */
export interface Replay {
  readonly config: ElectionConfig;
  readonly steps: readonly Step[];
}

interface RecordedError {
  readonly code: LeaderErrorCode;
  readonly message: string;
  readonly number: number;
  readonly maybeCommitted?: boolean;
  readonly retryAfterMs?: number;
  readonly keptVersion?: string;
}

/** A line of a recording. */
interface Recorded {
  readonly config?: ElectionConfig;
  readonly event: unknown;
  readonly effects: unknown;
  readonly wakeAt: unknown;
}

/**
 * Replays a recording: the recorded events must give the recorded effects, step by step.
 *
 * @throws Error with the first line that differs.
 */
export function replayed(lines: readonly string[]): Replay {
  const [first] = lines;
  const config = first === undefined ? undefined : (JSON.parse(first) as Recorded).config;
  if (config === undefined) throw new Error('A recording begins with a line that has `config`.');
  const errors = new Map<number, LeaderError>();
  const steps: Step[] = [];
  let state: Election = newElection({ ...config, options: { ...config.options, labels: {} } });
  for (const line of lines) {
    const recorded = JSON.parse(line) as Recorded;
    const event = eventIn(recorded.event, errors);
    const result = step(state, event);
    ({ state } = result);
    const again = JSON.parse(lineOf(event, result)) as Recorded;
    for (const part of ['effects', 'wakeAt'] as const) {
      const [then, now] = [JSON.stringify(recorded[part]), JSON.stringify(again[part])];
      if (then !== now)
        throw new Error(
          `Replayed step ${String(steps.length + 1)} differs.\nRecorded: ${line}\nReplayed ${part}: ${now}`,
        );
    }
    steps.push({ event, effects: result.effects, wakeAt: state.wakeAt });
  }
  return { config: state.config, steps };
}

/** The checker after all these steps. @throws Unexplained */
export function checked({ config, steps }: Replay): Checker {
  const checker = new Checker(config);
  for (const each of steps) checker.check(each);
  return checker;
}

/**
 * The recordings in a log, by the Lease that its lines name: `'billing': {…}`. A last line without its end was being written when
 * the process was killed.
 */
export function recordingsIn(log: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [, whose = '', line = ''] of log.matchAll(/('[^'\n]+'(?: \[[^\]\n]+\])?): (\{.*\})$/gm))
    found.set(whose, [...(found.get(whose) ?? []), line]);
  return found;
}

function lineOf(event: TimedEvent, { effects, state }: ReturnType<typeof step>): string {
  let line = '';
  stepRecorder((told) => {
    line = told;
  })(event, effects, state);
  return line;
}

function eventIn(recorded: unknown, errors: Map<number, LeaderError>): TimedEvent {
  const event = recorded as Record<string, unknown>;
  const revived = { ...event };
  for (const key of ['problem', 'objection', 'error'])
    if (event[key] !== undefined) revived[key] = errorIn(event[key], errors);
  const reply = event['reply'] as { ok: boolean; error?: unknown } | undefined;
  if (reply?.ok === false) revived['reply'] = { ...reply, error: errorIn(reply.error, errors) };
  if (event['cooldown'] !== undefined) revived['cooldown'] = Number(event['cooldown']);
  // Unchecked: whatever it is, the step on it must have the recorded effects.
  return revived as unknown as TimedEvent;
}

/** The error of that number, or a new one. The checksum stands for its message. */
function errorIn(recorded: unknown, errors: Map<number, LeaderError>): LeaderError {
  const { code, message, number, maybeCommitted, retryAfterMs, keptVersion } = recorded as RecordedError;
  const known = errors.get(number);
  if (known !== undefined) return known;
  const error =
    keptVersion !== undefined
      ? new WriteNotKeptError({ describe: () => message } as LeaseLock, [], keptVersion)
      : maybeCommitted === undefined
        ? new LeaderError(code, message)
        : new LeaseRequestError(code, message, { maybeCommitted, retryAfterMs });
  errors.set(number, error);
  return error;
}
