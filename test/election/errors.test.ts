/** What an application and its callers see of an error: its code, its text, and what a response shows of it. */
import { describe, expect, it } from 'vitest';
import {
  InvalidOptionsError,
  LeaderError,
  LeaseRequestError,
  NotLeaderError,
  TermOverError,
  isLeaderError,
  readable,
} from '../../lib/election/index.js';
import { asRequestError, isPassing } from '../../lib/election/errors.js';

/** An error of another copy of this package. */
const ofAnotherCopy = { [Symbol.for('nestjs-leader.error')]: true, code: 'LEADER_STOPPED' };

describe('isLeaderError()', () => {
  it.each([new LeaderError('LEADER_STOPPED', 'x'), ofAnotherCopy])(
    'knows an error of this package, and its code (%#)',
    (error) => {
      expect(isLeaderError(error)).toBe(true);
      expect(isLeaderError(error, 'LEADER_STOPPED')).toBe(true);
      expect(isLeaderError(error, 'LEADER_NOT_LEADER')).toBe(false);
    },
  );

  it.each([undefined, null, 'LEADER_STOPPED', { code: 'LEADER_STOPPED' }, new Error('x')])(
    'knows that others are not (%#)',
    (error) => {
      expect(isLeaderError(error)).toBe(false);
    },
  );
});

describe('InvalidOptionsError', () => {
  it.each([
    [['a is 1'], "InvalidOptionsError: The election's options break a rule:\n  - a is 1"],
    [
      ['a is 1', 'b is 2'],
      "InvalidOptionsError: The election's options break 2 rules:\n  - a is 1\n  - b is 2",
    ],
  ])('lists every broken rule in its text: %j', (violations, text) => {
    const error = new InvalidOptionsError(violations);
    expect(String(error)).toBe(text);
    expect(error.violations).toBe(violations);
  });
});

describe('what a web framework and a GraphQL server answer', () => {
  it.each<[string, string | undefined, string, string, object]>([
    ['is known', 'baz', "; 'baz' does", 'baz', { leader: 'baz' }],
    ['is unknown', '', '; the leader is unknown', '', { leader: '' }],
    ['must not be told', undefined, '', '', {}],
    ['has a line feed in its name', 'a\nb', "; 'a\\u000ab' does", 'a\nb', { leader: 'a\nb' }],
  ])('where this process does not lead, and the leader %s', (_, leader, told, kept, shown) => {
    const error = new NotLeaderError('billing', leader);
    expect(String(error)).toBe(`NotLeaderError: This process does not lead 'billing'${told}.`);
    expect(error.leader).toBe(kept);
    expect(error).toMatchObject({ code: 'LEADER_NOT_LEADER', status: 503, statusCode: 503, expose: true });
    expect(error.extensions).toStrictEqual({ code: 'NOT_LEADER', ...shown });
  });

  it('when the term is over', () => {
    const error = new TermOverError('billing', 'deadline');
    expect(String(error)).toBe(
      "TermOverError: The term on 'billing' is over (deadline), and its work must stop.",
    );
    expect(error).toMatchObject({ code: 'LEADER_TERM_OVER', status: 503, statusCode: 503, expose: true });
    expect(error.extensions).toStrictEqual({ code: 'TERM_OVER' });
  });
});

describe('what a lock throws', () => {
  it('stays as it is if it is an error about the request', () => {
    const error = new LeaseRequestError('LEADER_FORBIDDEN', 'x', { maybeCommitted: false });
    expect(asRequestError(error)).toBe(error);
  });

  it.each<[unknown, string]>([
    [new TypeError('x is not a function'), 'TypeError: x is not a function'],
    [new LeaderError('LEADER_STOPPED', 'x'), 'LeaderError: x'],
    ['a line\nfeed', 'a line\\u000afeed'],
    [{ password: 'x' }, 'object'],
    [undefined, 'undefined'],
  ])(
    'is otherwise the cause of an error after which the write may have been committed (%#)',
    (thrown, what) => {
      const error = asRequestError(thrown);
      expect(String(error)).toBe(
        `LeaseRequestError: The lock threw another error than a LeaseRequestError: ${what}`,
      );
      expect(error).toMatchObject({ code: 'LEADER_UNREACHABLE', maybeCommitted: true });
      expect(error.cause).toBe(thrown);
    },
  );
});

it.each([
  ['LEADER_UNREACHABLE', undefined, true],
  ['LEADER_REQUEST_TIMEOUT', undefined, true],
  ['LEADER_SERVER_ERROR', undefined, true],
  ['LEADER_THROTTLED', undefined, true],
  ['LEADER_THROTTLED', 1_000, false],
  ['LEADER_FORBIDDEN', undefined, false],
] as const)('%s with Retry-After %s is passing: %s', (code, retryAfterMs, expected) => {
  expect(isPassing(new LeaseRequestError(code, 'x', { maybeCommitted: false, retryAfterMs }))).toBe(expected);
});

describe('a text from another source', () => {
  it.each(['billing-7d9f_0b7e6c1e', 'Zoë 🦊', '', ' ', 'a\\nb', '名前', 'x'.repeat(300)])(
    'stays as it is if readable (%#)',
    (text) => {
      expect(readable(text)).toBe(text);
    },
  );

  it.each([
    ['a\nb\u001b\u{e0041}', 'a\\u000ab\\u001b\\u{e0041}'],
    ['x'.repeat(301), `${'x'.repeat(300)}…`],
    [`${'x'.repeat(299)}\n`, `${'x'.repeat(299)}\\…`],
    [`${'x'.repeat(299)}🦊`, `${'x'.repeat(299)}\\ud83e…`],
  ])('is escaped by code, and marked where it is cut (%#)', (text, shown) => {
    expect(readable(text)).toBe(shown);
  });
});
