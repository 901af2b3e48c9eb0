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
import { asRequestError, isPassing, isReadable, leaderErrorCodes } from '../../lib/election/errors.js';

/** An error of another copy of this package. */
const ofAnotherCopy = { [Symbol.for('nestjs-leader.error')]: true, code: 'LEADER_STOPPED' };

it('every code is one that applications and alerts compare, and keeps its name', () => {
  const text = `
    LEADER_INVALID_OPTIONS LEADER_NO_NAMESPACE LEADER_NO_CLUSTER LEADER_KUBECONFIG_INVALID
    LEADER_CLIENT_UNUSABLE LEADER_NAMESPACE_NOT_FOUND LEADER_UNAUTHORIZED LEADER_FORBIDDEN
    LEADER_REQUEST_INVALID LEADER_THROTTLED LEADER_SERVER_ERROR LEADER_UNREACHABLE
    LEADER_REQUEST_TIMEOUT LEADER_WRITE_NOT_KEPT LEADER_WRITE_CONFLICT LEADER_WATCH_DENIED
    LEADER_WATCH_BROKEN LEADER_LONG_LEASE LEADER_DURATIONS_DIFFER LEADER_NAMESAKE
    LEADER_PROCESS_PAUSED LEADER_CLOCK_JUMPED LEADER_SLOT_UNLED LEADER_DRAIN_TIMEOUT
    LEADER_NOT_COORDINATED LEADER_NOT_READY LEADER_GUARD_FAILED LEADER_POD_LABEL_FAILED
    LEADER_POD_STATUS_FAILED LEADER_EVENT_FAILED LEADER_PERMISSION_MISSING LEADER_RELEASE_FAILED
    LEADER_LISTENER_FAILED LEADER_NOT_CAMPAIGNING LEADER_NOT_LEADER LEADER_TERM_OVER
    LEADER_UNCONFIRMED LEADER_NO_CURRENT_TERM LEADER_ALREADY_STARTED LEADER_STOPPED
    LEADER_DUPLICATE_ELECTION LEADER_MODULE_MISSING LEADER_MODULE_LAZY`;
  expect(leaderErrorCodes).toEqual(text.trim().split(/\s+/));
});

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

it.each([
  ['baz', true],
  ['x'.repeat(300), true],
  ['x'.repeat(301), false],
  ['baz\u0000', false],
  ['\u202Ezab', false],
])('isReadable(%j) is %s', (text, expected) => {
  expect(isReadable(text)).toBe(expected);
});

it('an error without a cause has no such property, which a log would show', () => {
  expect(Object.hasOwn(new LeaderError('LEADER_STOPPED', 'x'), 'cause')).toBe(false);
  const failure = new LeaseRequestError('LEADER_FORBIDDEN', 'x', { maybeCommitted: false });
  expect(Object.hasOwn(failure, 'cause')).toBe(false);
  expect(new LeaderError('LEADER_STOPPED', 'x', { cause: 1 }).cause).toBe(1);
});
