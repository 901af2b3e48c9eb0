/** The promises can be broken: each of these faults is found, and its input is shrunk to what it needs. */
import { describe, expect, it } from 'vitest';
import { LeaderError } from '../../lib/election/internal.js';
import { corpusOf, fuzz, fuzzWith, type Target } from './fuzzing.js';
import { SECRET } from './mutations.js';
import { keepsPromises } from './promises.js';

const failed = (message: string, cause?: unknown): LeaderError =>
  new LeaderError('LEADER_SERVER_ERROR', message, { cause });

/** A target with the corpus of `answers` whose code is this. */
function planted(code: (input: Buffer) => unknown): Target {
  return {
    name: 'answers',
    runsPerSecond: 1,
    run: async (input) => {
      await keepsPromises(() => code(input));
    },
  };
}

describe('a planted fault is found', () => {
  it.each<[string, (input: Buffer) => unknown]>([
    ['an answer is parsed unguarded', () => JSON.parse('{"a":') as unknown],
    [
      'a message quotes the body',
      () => {
        throw failed(`The answer cannot be used: ${SECRET}`);
      },
    ],
    [
      'a cause of a cause has a secret',
      () => {
        throw failed('The answer cannot be used at all.', new Error('no', { cause: new Error(SECRET) }));
      },
    ],
    [
      'a message has an escape sequence',
      () => {
        throw failed('The holder is \u001b[2J, says the Lease.');
      },
    ],
    [
      'a message names a bug',
      () => {
        throw failed('The API server could not be reached (TypeError).');
      },
    ],
    ['a rejection is handled by nobody', () => void Promise.reject(new Error('lost'))],
    [
      'an error is thrown from a callback',
      () => {
        setImmediate(() => {
          throw new Error('lost');
        });
      },
    ],
  ])('%s', async (_name, code) => {
    expect(await fuzzWith(planted(code), Buffer.from('x'))).toBeDefined();
  });

  it('only by inputs that have been changed, and the input is short', async () => {
    const isDeep = (input: Buffer): boolean => input.includes('[{"a":[{"a":[{"a":');
    const target = planted((input) => {
      if (isDeep(input)) throw new RangeError('Maximum call stack size exceeded');
    });
    for (const { bytes } of corpusOf(target)) expect(await fuzzWith(target, bytes)).toBeUndefined();
    const found = await fuzz(target, 1, 500);
    expect(isDeep(found?.input ?? Buffer.alloc(0))).toBe(true);
    expect(found?.input.length).toBeLessThan(10_000);
  });
});
