/**
 * Records an election so that it can be replayed: each step as a line of JSON, with the event, its effects, and when the election
 * wakes up next. The first line also has what the election is made of (`config`). From the initial state the events of a recording
 * give its effects again, so it shows what the election saw, and why it did what it did. Pure.
 *
 * Errors are recorded by their code and a checksum of their message; labels, addresses and the rest of the Lease are left out. So a
 * recording contains no secret, but the names of holders and of their pods.
 */
import { isLeaderError, type LeaderError } from '../errors.js';
import type { ElectionTrace } from '../machine.js';

/** Written as `undefined`: the machine passes them on, and decides nothing by them. */
const LEFT_OUT: readonly string[] = ['labels', 'carried', 'address'];

/** What would hide or reorder text in a terminal. JSON escapes the other control characters itself. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Records one election. For the `trace` of a `LeaseElector`.
 *
 * @param tell called with each line, without a line break.
 */
export function stepRecorder(tell: (line: string) => void): ElectionTrace {
  const numberOf = numbering();
  let next: 'first' | 'further' | 'none' = 'first';
  return (event, effects, { config, life, wakeAt }) => {
    // After the election has ended events have no effect.
    if (next === 'none') return;
    const parts = [
      ...(next === 'first' ? [`"config":${json(config, codeOf)}`] : []),
      `"event":${json(event, (error) => ({ ...factsOf(error), number: numberOf(error) }))}`,
      `"effects":${json(effects, codeOf)}`,
      `"wakeAt":${json(wakeAt, codeOf)}`,
    ];
    next = life.phase.kind === 'stopped' ? 'none' : 'further';
    tell(`{${parts.join(',')}}`);
  };
}

/** Numbers errors: the same error gets the same number. */
function numbering(): (error: LeaderError) => number {
  const numbers = new WeakMap<LeaderError, number>();
  let count = 0;
  return (error) => {
    const known = numbers.get(error);
    if (known !== undefined) return known;
    count += 1;
    numbers.set(error, count);
    return count;
  };
}

function json(value: unknown, shown: (error: LeaderError) => unknown): string {
  const text = JSON.stringify(value, (key, part: unknown) => {
    if (LEFT_OUT.includes(key)) return undefined;
    if (isLeaderError(part)) return shown(part);
    if (typeof part === 'bigint' || (typeof part === 'number' && !Number.isFinite(part))) return String(part);
    return part;
  });
  return text.replace(INVISIBLE, escaped);
}

function codeOf({ code }: LeaderError): unknown {
  return { code };
}

/** What an election depends on of an error. Of its message only whether it is another one. */
function factsOf(error: LeaderError): Readonly<Record<string, unknown>> {
  const { code, message } = error;
  const facts: Record<string, unknown> = { code, message: checksumOf(message) };
  for (const fact of ['maybeCommitted', 'retryAfterMs', 'keptVersion'])
    facts[fact] = Reflect.get(error, fact);
  return facts;
}

/** FNV-1a, 32 bits. */
function checksumOf(text: string): string {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  return (sum >>> 0).toString(16);
}

function escaped(text: string): string {
  return [...Array(text.length).keys()]
    .map((index) => `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`)
    .join('');
}
