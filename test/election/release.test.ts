/** What a release sends, and when it gives up. Times are seconds; retryPeriod is 2, renewDeadline 10. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs } from '../../lib/election/clock.js';
import { LeaseRequestError, type Observation } from '../../lib/election/internal.js';
import {
  newRelease,
  nextOfRelease,
  releaseRead,
  releaseReadFailed,
  releaseWriteFailed,
} from '../../lib/election/release.js';
import { noSight, type Sight } from '../../lib/election/sight.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const rules = { renewDeadline: 10_000, retryPeriod: 2_000 };
const NOTHING = noSight({ identity: 'baz', leaseDuration: 15_000, renewDeadline: 10_000 });
const seeing = (holder: string, until: number, more: object = {}): Sight => ({
  ...NOTHING,
  observation: {
    kind: 'present',
    snapshot: { record: recordOf(holder), resourceVersion: '5', uid: 'u' },
    mine: holder === 'baz',
    seenAt: at(0),
    heldUntil: at(until),
    ...more,
  } satisfies Observation,
});
const mine = seeing('baz', 15);
const doubtful = { ...mine, doubtful: true };
const busy = (retryAfterMs?: number): LeaseRequestError =>
  new LeaseRequestError('LEADER_SERVER_ERROR', 'busy', { maybeCommitted: false, retryAfterMs });

describe('a release gives up', () => {
  it.each<[string, Sight, number, number]>([
    ['after renewDeadline', mine, 0, 10],
    ['when the lease runs out, if that is earlier', mine, 8, 15],
    ['after a retryPeriod at the earliest', mine, 14.5, 16.5],
    ['after renewDeadline, if the lease was not seen as ours', NOTHING, 8, 18],
    ["after renewDeadline, if another's lease was seen", seeing('bing', 9), 8, 18],
  ])('%s', (_, sight, now, until) => {
    const release = releaseRead(newRelease(sight, at(now), rules));
    expect(nextOfRelease(release, mine, at(until - 0.001))).toMatchObject({ do: 'write' });
    expect(nextOfRelease(release, mine, at(until))).toEqual({ do: 'giveUp' });
  });
});

describe('a release begins', () => {
  it.each<[string, Sight, object]>([
    ['with a write, if the lease is ours', mine, { do: 'write', base: { resourceVersion: '5' } }],
    ['with a read, if there is doubt', doubtful, { do: 'read' }],
    ['with a read, if nothing is known', NOTHING, { do: 'read' }],
    ["with a read, if another's lease was seen", seeing('bing', 15), { do: 'read' }],
    [
      'with nothing, while an earlier holder is respected',
      seeing('baz', 15, { owedBefore: at(9) }),
      { do: 'leave' },
    ],
    ['with a write, when that is over', seeing('baz', 15, { owedBefore: at(0) }), { do: 'write' }],
  ])('%s', (_, sight, step) => {
    expect(nextOfRelease(newRelease(sight, at(0), rules), sight, at(0))).toMatchObject(step);
  });
});

describe('after a read, a release', () => {
  it.each<[string, Sight, object]>([
    ['writes, if the lease is ours', mine, { do: 'write' }],
    ['reads again, if there is doubt again', doubtful, { do: 'read' }],
    ["ends, if the lease is another's", seeing('bing', 15), { do: 'leave' }],
  ])('%s', (_, sight, step) => {
    expect(nextOfRelease(releaseRead(newRelease(doubtful, at(0), rules)), sight, at(0))).toMatchObject(step);
  });
});

describe('after a write that has failed, a release', () => {
  const release = newRelease(mine, at(0), rules);
  const refused = releaseWriteFailed(release, undefined, at(0), at(0.1));
  const after = (seconds: number) => ({ do: 'wait', until: at(seconds) });
  it.each<[string, typeof release, object]>([
    ['reads at once, if it was refused', refused, { do: 'read' }],
    [
      'waits before it reads, if it was refused again',
      releaseWriteFailed(refused, undefined, at(0), at(0.1)),
      after(0.5),
    ],
    [
      'waits a quarter of a retryPeriod, if it failed',
      releaseWriteFailed(release, busy(), at(0), at(0.1)),
      after(0.5),
    ],
    [
      'waits as long as the server asks',
      releaseWriteFailed(release, busy(3_000), at(0), at(0.1)),
      after(3.1),
    ],
    ['waits no longer than it lasts', releaseWriteFailed(release, busy(60_000), at(0), at(0.1)), after(10)],
    ['waits likewise after a read', releaseReadFailed(release, busy(3_000), at(0), at(0.1)), after(3.1)],
    [
      'does not wait after a read that failed slowly',
      releaseReadFailed(doubtfulRelease(), busy(), at(-1), at(0.1)),
      { do: 'read' },
    ],
  ])('%s', (_, failed, step) => {
    expect(nextOfRelease(failed, mine, at(0.1))).toMatchObject(step);
  });

  function doubtfulRelease(): typeof release {
    return newRelease(doubtful, at(0), rules);
  }

  it('remembers the last failure', () => {
    const error = busy();
    const failed = releaseWriteFailed(release, error, at(0), at(0.1));
    expect(failed.problem).toBe(error);
    expect(releaseWriteFailed(failed, undefined, at(1), at(1.1)).problem).toBe(error);
    const other = busy();
    expect(releaseReadFailed(failed, other, at(1), at(1.1)).problem).toBe(other);
    expect(releaseWriteFailed(failed, other, at(1), at(1.1)).problem).toBe(other);
  });
});

it('a request of a release may take half of what is left, and one retryPeriod at most', () => {
  const release = newRelease(mine, at(0), rules);
  expect(nextOfRelease(release, mine, at(0))).toMatchObject({ patienceMs: 2_000 });
  expect(nextOfRelease(release, mine, at(7))).toMatchObject({ patienceMs: 1_500 });
});
