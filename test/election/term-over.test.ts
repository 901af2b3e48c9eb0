/** `isTermOver()`: errors that were caused by the end of a term, and others. */
import { once, EventEmitter } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  TermOverError,
  isTermOver,
  type LeadershipTerm,
  type TermEndReason,
} from '../../lib/election/index.js';
import { isLoss } from '../../lib/election/term.js';
import { runInFakeTerm } from '../../lib/testing.js';

type Operation = (signal: AbortSignal) => Promise<unknown>;

/** The error of an operation whose term ends. */
async function failureOf(operation: Operation): Promise<{ error: unknown; term: LeadershipTerm }> {
  return runInFakeTerm({}, async ({ term, end }) => {
    const failed = operation(term.signal).catch((error: unknown) => error);
    end('deadline');
    return { error: await failed, term };
  });
}

const operations: [string, Operation][] = [
  ['throwIfAborted()', (signal) => once(signal, 'abort').then(() => signal.throwIfAborted())],
  // The end of the term aborts each: none waits for its minute.
  ['a timer', (signal) => pause(60_000, undefined, { signal })],
  ['an event', (signal) => once(new EventEmitter(), 'never', { signal })],
  [
    'a pipeline',
    (signal) => pipeline(new Readable({ read: () => undefined }), new PassThrough(), { signal }),
  ],
  [
    'an error with that as its cause',
    (signal) => pause(60_000, undefined, { signal }).catch(rethrowAs('the report failed')),
  ],
];

function rethrowAs(message: string): (cause: unknown) => never {
  return (cause) => {
    throw new Error(message, { cause });
  };
}

describe('caused by the end of the term', () => {
  it.each(operations)('%s', async (_, operation) => {
    const { error, term } = await failureOf(operation);
    expect(isTermOver(error)).toBe(true);
    expect(isTermOver(error, term)).toBe(true);
  });

  it.each([
    ['an abort without a reason', Object.assign(new Error('aborted'), { name: 'AbortError' })],
    [
      'an abort of axios',
      Object.assign(new Error('canceled'), { name: 'CanceledError', code: 'ERR_CANCELED' }),
    ],
  ])('%s: only if the term is given and is over', (_, error) => {
    runInFakeTerm({}, ({ term, end }) => {
      expect(isTermOver(error, term)).toBe(false);
      end();
      expect(isTermOver(error, term)).toBe(true);
      expect(isTermOver(error)).toBe(false);
    });
  });
});

describe('not caused by the end of the term', () => {
  const circle = new Error('its own cause');
  circle.cause = circle;
  it.each([
    ['an error', new Error('planted')],
    ['an error whose causes form a cycle', circle],
    ['a string', 'planted'],
    ['nothing', undefined],
    ['null', null],
    ['the end of another term', new TermOverError('other', 'deadline')],
    [
      'an abort with a cause of its own',
      Object.assign(new Error('aborted', { cause: new Error('too slow') }), { name: 'AbortError' }),
    ],
  ])('%s', (_, error) => {
    runInFakeTerm({}, ({ term, end }) => {
      end();
      expect(isTermOver(error, term)).toBe(false);
    });
  });

  it('the error of a term that is not over', () => {
    runInFakeTerm({}, ({ term }) => {
      expect(isTermOver(new TermOverError('default', 'deadline'), term)).toBe(false);
    });
  });
});

it.each<[TermEndReason, boolean]>([
  ['stopped', false],
  ['steppedDown', false],
  ['termLimit', false],
  ['released', true],
  ['deadline', true],
  ['superseded', true],
  ['leaseGone', true],
])('a term that ends as %s is a loss: %s', (reason, expected) => {
  expect(isLoss(reason)).toBe(expected);
});
