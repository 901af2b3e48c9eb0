/** The verdicts of the checker on histories of a few operations, most of which break one promise. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scratchFolder } from '../rig/guard.js';
import { findLinearizabilityCheck, type Model, type Operation } from '../rig/linearizability.js';

type Step = Omit<Operation, 'client' | 'call' | 'return' | 'do'>;
const at =
  (verb: Operation['do']) =>
  (client: number, call: number, until: number | undefined, rest: Step = {}): Operation => ({
    client,
    call,
    return: until,
    do: verb,
    ...rest,
  });
const [begin, lead, end] = [at('begin'), at('lead'), at('end')];
const [claim, save, read] = [at('claim'), at('save'), at('read')];

const HISTORIES: readonly [title: string, Model, 'Ok' | 'Illegal', readonly Operation[]][] = [
  [
    'one term after the other',
    'term',
    'Ok',
    [
      begin(0, 1, 2, { token: 10 }),
      lead(0, 3, 4, { token: 10 }),
      end(0, 5, 6, { token: 10 }),
      begin(1, 5, 8, { token: 20 }),
      lead(1, 9, 10, { token: 20 }),
    ],
  ],
  [
    'a term that ended at an unknown instant before the next',
    'term',
    'Ok',
    [
      begin(0, 1, 2, { token: 10 }),
      end(0, 3, undefined, { token: 10 }),
      begin(1, 4, 5, { token: 20 }),
      lead(1, 6, 7, { token: 20 }),
    ],
  ],
  [
    'a process that leads although another does',
    'term',
    'Illegal',
    [
      begin(0, 1, 2, { token: 10 }),
      begin(1, 3, 4, { token: 20 }),
      lead(0, 5, 6, { token: 10 }),
      end(0, 7, 8, { token: 10 }),
    ],
  ],
  [
    'a term that begins before the last has ended',
    'term',
    'Illegal',
    [begin(0, 1, 2, { token: 10 }), begin(1, 3, 4, { token: 20 }), end(0, 5, 6, { token: 10 })],
  ],
  [
    'two terms of one token',
    'term',
    'Illegal',
    [begin(0, 1, 2, { token: 10 }), end(0, 3, 4, { token: 10 }), begin(1, 5, 6, { token: 10 })],
  ],
  [
    'a token that is smaller than the last',
    'term',
    'Illegal',
    [begin(0, 1, 2, { token: 20 }), end(0, 3, 4, { token: 20 }), begin(1, 5, 6, { token: 10 })],
  ],
  [
    'the old leader is refused',
    'register',
    'Ok',
    [
      claim(0, 1, 2, { token: 10, value: '' }),
      claim(1, 3, 4, { token: 20, value: '' }),
      save(1, 5, 6, { token: 20, value: 'new' }),
      save(0, 7, 8, { token: 10, value: 'old', refused: true }),
      read(2, 9, 10, { value: 'new' }),
    ],
  ],
  [
    'a write of a process that was killed is seen',
    'register',
    'Ok',
    [save(0, 1, undefined, { token: 10, value: 'last' }), read(1, 2, 3, { value: 'last' })],
  ],
  [
    'a write of a process that was killed is not seen',
    'register',
    'Ok',
    [save(0, 1, undefined, { token: 10, value: 'last' }), read(1, 2, 3, { value: '' })],
  ],
  [
    'a write of a process that was killed is seen and gone again',
    'register',
    'Illegal',
    [
      save(0, 1, undefined, { token: 10, value: 'last' }),
      read(1, 2, 3, { value: 'last' }),
      read(1, 4, 5, { value: '' }),
    ],
  ],
  [
    'the old leader writes after the new one',
    'register',
    'Illegal',
    [
      save(1, 1, 2, { token: 20, value: 'new' }),
      save(0, 3, 4, { token: 10, value: 'old' }),
      read(2, 5, 6, { value: 'old' }),
    ],
  ],
  [
    'the old leader writes after the new one has claimed',
    'register',
    'Illegal',
    [claim(1, 1, 2, { token: 20, value: '' }), save(0, 3, 4, { token: 10, value: 'old' })],
  ],
  [
    'the new leader is refused',
    'register',
    'Illegal',
    [save(0, 1, 2, { token: 10, value: 'old' }), save(1, 3, 4, { token: 20, value: 'new', refused: true })],
  ],
  [
    'a read shows what was before',
    'register',
    'Illegal',
    [save(0, 1, 2, { token: 10, value: 'new' }), read(1, 3, 4, { value: '' })],
  ],
  [
    'a read shows what a refused write would have written',
    'register',
    'Illegal',
    [
      save(1, 1, 2, { token: 20, value: 'new' }),
      save(0, 3, 4, { token: 10, value: 'old', refused: true }),
      read(2, 5, 6, { value: 'old' }),
    ],
  ],
  [
    'a claim shows what was before, so a change is lost',
    'register',
    'Illegal',
    [save(0, 1, 2, { token: 10, value: 'a' }), claim(0, 3, 4, { token: 10, value: '' })],
  ],
  [
    'of two registers the second is wrong',
    'register',
    'Illegal',
    [
      save(0, 1, 2, { token: 10, value: 'a', register: '1' }),
      read(0, 3, 4, { value: 'a', register: '1' }),
      read(0, 5, 6, { value: 'a', register: '2' }),
    ],
  ],
];

const checker = findLinearizabilityCheck();
if (checker.available) {
  it.each(HISTORIES)('%s', async (_, model, verdict, history) => {
    const path = join(await scratchFolder('history'), 'history');
    expect(await checker.check(model, history, path)).toBe(verdict);
    expect(existsSync(`${path}.html`)).toBe(verdict === 'Illegal');
  });
} else {
  it(`is not tested here: ${checker.reason}`, () => {
    expect(checker.reason).not.toBe('');
  });
}
