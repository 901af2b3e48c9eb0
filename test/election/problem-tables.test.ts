/** Which problems exist, and what they say. Times are seconds; leaseDuration is 15, retryPeriod 2; this process is `baz`. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import {
  LeaderError,
  resolveElectionOptions,
  type LeaseRecord,
  type Observation,
} from '../../lib/election/internal.js';
import {
  longLease,
  nextEndOf,
  problemsIn,
  sameProblems,
  strangeHolder,
  tooManyConflicts,
  watchBroken,
  whyRunOut,
  withProblem,
  withSuccess,
  withoutPast,
  withoutProblem,
  type Problems,
} from '../../lib/election/problems.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const busy = new LeaderError('LEADER_SERVER_ERROR', 'busy');
const denied = new LeaderError('LEADER_FORBIDDEN', 'denied');
const config = {
  lease: 'default/simulated',
  options: resolveElectionOptions({ leaseName: 'simulated' }, { leaseNamespace: 'default', identity: 'baz' }),
};

describe('a problem', () => {
  const problem = withProblem({}, 'write', busy, at(2), at(9));
  const solved = withSuccess(problem, 'write', at(3));
  it.each<[string, Problems, readonly LeaderError[]]>([
    ['exists after a failure', problem, [busy]],
    ['is ended by a success', solved, []],
    ['does not exist if a later request has succeeded', withProblem(solved, 'write', busy, at(3)), []],
    ['exists after a later failure', withProblem(solved, 'write', busy, at(3.001)), [busy]],
    [
      'counts from the newest success, whatever the order of the replies',
      withProblem(withSuccess(solved, 'write', at(1)), 'write', busy, at(2)),
      [],
    ],
    [
      'does not come back with an old failure once it is not wanted',
      withProblem(withoutProblem(withProblem(solved, 'write', busy, at(4)), 'write'), 'write', busy, at(3)),
      [],
    ],
    [
      'of writes comes first',
      withProblem(withProblem({}, 'watch', denied, at(1)), 'write', busy, at(1)),
      [busy, denied],
    ],
    ['lasts until its end', withoutPast(problem, at(8.999)), [busy]],
    ['ends then by itself', withoutPast(problem, at(9)), []],
    ['without an end stays', withoutPast(withProblem({}, 'read', busy, at(2)), at(1e9)), [busy]],
  ])('%s', (_, problems, errors) => {
    expect(problemsIn(problems)).toEqual(errors);
  });

  it.each<[string, Problems, number]>([
    ['that ends first', withProblem(problem, 'release', busy, at(2), at(7)), 7],
    ['that exists', withProblem(withoutProblem(problem, 'write'), 'release', busy, at(2), at(12)), 12],
    ['of none: never', withSuccess(problem, 'write', at(3)), Infinity],
  ])('when the next one ends: that %s', (_, problems, seconds) => {
    expect(nextEndOf(problems) / 1000).toBe(seconds);
  });

  it.each<[string, LeaderError, boolean]>([
    ['is that of an equal error', new LeaderError('LEADER_SERVER_ERROR', 'busy'), true],
    ['is not that of another message', new LeaderError('LEADER_SERVER_ERROR', 'very busy'), false],
    ['is not that of another code', new LeaderError('LEADER_UNREACHABLE', 'busy'), false],
  ])('that is shown %s', (_, error, same) => {
    const other = withProblem({}, 'write', error, at(5));
    expect(sameProblems(problem, other)).toBe(same);
    expect(sameProblems(problem, {})).toBe(false);
    expect(sameProblems({}, problem)).toBe(false);
    expect(sameProblems({}, withoutProblem(problem, 'write'))).toBe(true);
  });
});

function seen(record: LeaseRecord, until: number, mine = false): Observation {
  const snapshot = { record, resourceVersion: '5', uid: 'u' };
  return { kind: 'present', snapshot, mine, seenAt: at(0), heldUntil: at(until) };
}

describe('a lease', () => {
  const bing = recordOf('bing');
  it.each<[string, Observation, number, RegExp | undefined]>([
    [
      'of more than ten leaseDurations is long',
      seen(bing, 151),
      0,
      /^'bing' holds the lease .* another 151 s,.* is 15 s\./,
    ],
    ['is shown with what is left of it', seen(bing, 200), 20, /another 180 s/],
    ['of ten is not', seen(bing, 150), 0, undefined],
    ['is not long when ten are left', seen(bing, 200), 50, undefined],
    ['of ours is not', seen(bing, 1_000, true), 0, undefined],
    [
      'that is gone is long if its last holder must be respected',
      { kind: 'absent', version: '5', seenAt: at(0), heldUntil: at(200) },
      0,
      /^The last holder of the lease 'default\/simulated' must be respected for another 200 s/,
    ],
  ])('%s', (_, observation, now, message) => {
    const error = longLease(observation, at(now), config);
    expect(error?.code).toBe(message && 'LEADER_LONG_LEASE');
    if (message !== undefined) expect(error?.message).toMatch(message);
  });

  it.each<[string, Observation, boolean]>([
    ['of another duration is strange', seen(recordOf('bing', { leaseDurationSeconds: 30 }), 30), true],
    ['of our duration is not', seen(bing, 15), false],
    ['without a duration is not', seen(recordOf('bing', { leaseDurationSeconds: undefined }), 15), false],
    ['of one second is not: its holder exits', seen(recordOf('bing', { leaseDurationSeconds: 1 }), 1), false],
    ['without a holder is not', seen(recordOf('', { leaseDurationSeconds: 30 }), 1), false],
    [
      'whose name was entered by hand is not',
      seen(recordOf('bing', { leaseDurationSeconds: 30, acquireTime: undefined }), 30),
      false,
    ],
    ['of ours is not', seen(recordOf('baz', { leaseDurationSeconds: 30 }), 30, true), false],
  ])('%s', (_, observation, strange) => {
    const code = strangeHolder(observation, false, config)?.code;
    expect(code).toBe(strange ? 'LEADER_DURATIONS_DIFFER' : undefined);
    expect(strangeHolder(observation, true, config)?.code).toBe('LEADER_NAMESAKE');
  });
});

describe('a term has run out', () => {
  const validity = { sentOn: 0 as WallMs, until: at(10), untilDate: 10_000 as WallMs };
  it.each<[string, number, number, number, string | undefined]>([
    ['because the process did not run for a retryPeriod', 10, 10, 8, 'LEADER_PROCESS_PAUSED'],
    ['for another reason, if it ran', 10, 10, 8.001, undefined],
    ['because the wall clock is a retryPeriod ahead', 9, 11, 9, 'LEADER_CLOCK_JUMPED'],
    ['for another reason, if it is less', 9, 10.999, 9, undefined],
    ['by both clocks, so the jump is not the reason', 10, 13, 10, undefined],
  ])('%s', (_, now, date, dueAt, code) => {
    const reading = { now: at(now), date: (date * 1000) as WallMs };
    expect(whyRunOut({ validity, dueAt: at(dueAt) }, reading, config.options)?.code).toBe(code);
  });

  it('and the reason says for how long', () => {
    const reading = { now: at(12.34), date: 0 as WallMs };
    expect(whyRunOut({ validity, dueAt: at(5) }, reading, config.options)?.message).toMatch(
      /did not run for 7.3 s/,
    );
  });
});

it('conflicts again and again were certainly not carried out; a broken watch has its own code', () => {
  expect(tooManyConflicts('default/simulated', 3)).toMatchObject({
    code: 'LEADER_WRITE_CONFLICT',
    maybeCommitted: false,
  });
  expect(watchBroken('default/simulated').code).toBe('LEADER_WATCH_BROKEN');
});
