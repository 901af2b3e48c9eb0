/** When the next request may go. Times are seconds; retryPeriod is 2, renewDeadline 10, and there is no jitter. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs } from '../../lib/election/clock.js';
import { LeaseRequestError, type LeaseRecord, type Observation } from '../../lib/election/internal.js';
import {
  answered,
  conflicted,
  failed,
  hurry,
  hurryToRead,
  lostRace,
  mayRepeat,
  newPacing,
  newRhythm,
  notBeforeOf,
  rhythmAtOpening,
  rhythmSeeing,
  sending,
  silentAt,
  watching,
  type Pacing,
  type RequestKind,
  type Rhythm,
} from '../../lib/election/pacing.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const follower = (now: number) => ({ now: at(now), chance: 0, validFor: undefined });
const fresh = newPacing({ retryPeriod: 2000, jitterFactor: 1.2, renewDeadline: 10_000 });
const sent = (pacing: Pacing, kind: RequestKind, now: number): Pacing => sending(pacing, kind, follower(now));
const refused = (retryAfterMs?: number): LeaseRequestError =>
  new LeaseRequestError('LEADER_SERVER_ERROR', 'busy', { maybeCommitted: false, retryAfterMs });
const next = (pacing: Pacing, kind: RequestKind = 'write'): number => notBeforeOf(pacing, kind) / 1000;

describe('a wait that the server asks for', () => {
  const waiting = failed(sent(fresh, 'read', 1), 'read', refused(5_000), at(1), follower(2));
  it.each<[string, Pacing, number]>([
    ['lasts as long as it says', waiting, 7],
    ['ends when a request that was sent since is answered', answered(waiting, 'read', at(3)), -Infinity],
    ['ends when the request that was sent then is answered', answered(waiting, 'write', at(1)), -Infinity],
    ['does not end when an older request is answered', answered(waiting, 'read', at(0.5)), 7],
    [
      'does not begin if a later request was answered',
      failed(answered(fresh, 'read', at(3)), 'read', refused(5_000), at(1), follower(4)),
      -Infinity,
    ],
    [
      'begins if a request sent then was answered',
      failed(answered(fresh, 'write', at(1)), 'read', refused(5_000), at(1), follower(4)),
      9,
    ],
    ['does not begin if it asks for none', failed(fresh, 'read', refused(), at(1), follower(4)), -Infinity],
    [
      'lasts renewDeadline at most, for a follower',
      failed(fresh, 'read', refused(60_000), at(1), follower(4)),
      14,
    ],
    [
      'lasts half of the validity at most, for a leader',
      failed(fresh, 'write', refused(60_000), at(1), { ...follower(4), validFor: 6_000 }),
      7,
    ],
  ])('%s', (_, pacing, until) => {
    expect(pacing.notBefore / 1000).toBe(until);
  });
});

describe('the next write goes', () => {
  const one = sent(fresh, 'write', 0);
  const two = sent(answered(one, 'write', at(0), true), 'write', 0);
  it.each<[string, Pacing, number]>([
    ['at once, before any', fresh, -Infinity],
    ['after a while, if the first is unanswered', one, 2],
    ['at once, if the first was answered', answered(one, 'write', at(0)), -1.75],
    ['at once and without a cost, if the first was due', answered(one, 'write', at(0), true), -2],
    ['after a retryPeriod, if the first failed', failed(one, 'write', refused(), at(0), follower(1)), 2],
    [
      'at once, if it failed for a passing reason',
      failed(one, 'write', refused(), at(0), follower(1), true),
      0,
    ],
    [
      'as before, if an older one failed',
      failed(sent(one, 'write', 1), 'write', refused(), at(0), follower(1)),
      3,
    ],
    ['at once, if a sighting calls for it', hurry(one, at(1)), 1],
    ['as before, if a sighting calls for a read', hurryToRead(one, at(1)), 2],
    ['as before, if too many are unanswered', hurry(sent(sent(two, 'write', 0), 'write', 0), at(1)), 4],
    [
      'when one of four is answered, if none of them is',
      [0, 0, 2, 4].reduce((pacing, second) => sent(pacing, 'write', second), fresh),
      Infinity,
    ],
    [
      'as paced, when one of four has failed',
      failed(
        [0, 0, 2, 4].reduce((pacing, second) => sent(pacing, 'write', second), fresh),
        'write',
        refused(),
        at(0),
        follower(5),
      ),
      6,
    ],
    ['within the rate, after conflicts', conflicted(sent(conflicted(one, at(0)), 'write', 0), at(0)), 2],
    [
      'sooner, if they were lost races',
      lostRace(conflicted(sent(conflicted(one, at(0)), 'write', 0), at(0))),
      0.25,
    ],
    [
      'within the rate, if the conflicts were counted before',
      lostRace(answered(conflicted(one, at(0)), 'write', at(0))),
      -1.75,
    ],
  ])('%s', (_, pacing, seconds) => {
    expect(next(pacing)).toBe(seconds);
  });

  it('and a read that was answered leaves the conflicts of writes counted', () => {
    const conflict = conflicted(one, at(0));
    expect(answered(conflict, 'read', at(0)).conflicts).toBe(1);
    expect(answered(conflict, 'write', at(0)).conflicts).toBe(0);
    expect(lostRace(conflict).conflicts).toBe(0);
  });
});

describe('the next read goes', () => {
  const read = sent(fresh, 'read', 0);
  it.each<[string, Pacing, number]>([
    ['after a while, if one is unanswered, also after a sighting', hurry(read, at(1)), 2],
    [
      'at once after a sighting, if it has failed',
      hurry(failed(read, 'read', refused(), at(0), follower(0)), at(1)),
      1,
    ],
    [
      'at once in doubt, if it has failed',
      hurryToRead(failed(read, 'read', refused(), at(0), follower(0)), at(1)),
      1,
    ],
  ])('%s', (_, pacing, seconds) => {
    expect(next(pacing, 'read')).toBe(seconds);
  });
});

describe('a request may be repeated at once', () => {
  const one = sent(fresh, 'read', 0);
  const two = sent(one, 'read', 1);
  it.each<[string, Pacing, number, number, boolean]>([
    ['if it is the newest', one, 0, 0, true],
    ['not if there is a newer one', two, 0, 5, false],
    ['as soon as the rate allows it', two, 1, 2, true],
    ['no sooner', two, 1, 1.999, false],
  ])('%s', (_, pacing, sentAt, now, may) => {
    expect(mayRepeat(pacing, 'read', at(sentAt), at(now))).toBe(may);
  });
});

it('a crowd of followers polls at random times, a leader at equal ones', () => {
  const polls = (validFor: number | undefined): number | undefined =>
    watching(fresh, false, { now: at(0), chance: 0.5, validFor }).pollAt;
  expect(polls(undefined)).toBe(3_200);
  expect(polls(5_000)).toBe(2_000);
  expect(watching(fresh, true, follower(0)).pollAt).toBeUndefined();
});

describe('a watch is silent for too long', () => {
  const time = (second: number): Partial<LeaseRecord> => ({ renewTime: String(second) as never });
  const holds = (holder: string, { mine = false, until = 100 } = {}): Observation => ({
    kind: 'present',
    snapshot: { record: recordOf(holder), resourceVersion: '5', uid: 'u' },
    mine,
    seenAt: at(0),
    heldUntil: at(until),
  });
  /** Renewals of `bing` as the watch shows them, at these times. */
  const seeing = (...times: readonly number[]): Rhythm =>
    times.reduce<Rhythm>(
      (rhythm, now) => rhythmSeeing(rhythm, recordOf('bing', time(now)), at(now), 'watch'),
      newRhythm(3_000),
    );
  const latest = recordOf('bing', time(0));
  /** Reads at these times show that there was nothing to show. */
  const looking = (rhythm: Rhythm, record: LeaseRecord | undefined, ...times: readonly number[]): Rhythm =>
    times.reduce<Rhythm>((looked, now) => rhythmSeeing(looked, record, at(now), 'reply'), rhythm);
  const expired = holds('bing', { until: 0 });
  it.each<[string, Rhythm, Observation, number]>([
    ['after two of our own renewals, until one was measured', seeing(0), holds('bing'), 6.3],
    ['not after the first renewal, which may come early', seeing(0, 1), holds('bing'), 7.3],
    ['after two of its renewals', seeing(0, 1, 6), holds('bing'), 16.5],
    ['after two of the longest of its last renewals', seeing(0, 1, 6, 8), holds('bing'), 18.5],
    [
      'and a change of labels is not a renewal',
      rhythmSeeing(seeing(0, 1, 3), recordOf('bing', time(3)), at(9), 'watch'),
      holds('bing'),
      13.2,
    ],
    ['and a renewal ten times as fast as ours is one', seeing(0, 1, 1.3), holds('bing'), 1.93],
    ['but one that is still faster was held up on its way', seeing(0, 1, 1.2), holds('bing'), 7.5],
    ['and four are remembered', seeing(0, 1, 9, 11, 13, 15, 17), holds('bing'), 21.2],
    [
      'counted from its opening, by what was measured before',
      rhythmAtOpening(seeing(0, 1, 6), at(9)),
      holds('bing'),
      19.5,
    ],
    [
      'which forgets when the last renewal was',
      rhythmSeeing(rhythmAtOpening(seeing(0, 1, 3), at(9)), recordOf('bing', time(9)), at(9), 'watch'),
      holds('bing'),
      13.2,
    ],
    [
      'and another holder has its own rhythm',
      rhythmSeeing(seeing(0, 1, 6), recordOf('bong', time(7)), at(7), 'watch'),
      holds('bong'),
      13.3,
    ],
    [
      'and a read that shows a renewal is not measured',
      rhythmSeeing(seeing(0, 1), recordOf('bing', time(9)), at(9), 'reply'),
      holds('bing'),
      15.3,
    ],
    [
      'nor is the next renewal after it',
      rhythmSeeing(
        rhythmSeeing(seeing(0, 1), recordOf('bing', time(9)), at(9), 'reply'),
        recordOf('bing', time(10)),
        at(10),
        'watch',
      ),
      holds('bing'),
      16.3,
    ],
    [
      'and, after a look in vain, when the lease runs out',
      rhythmSeeing(seeing(0), latest, at(6.3), 'reply'),
      holds('bing'),
      100,
    ],
    ['and, if it has run out, after twice as long', looking(seeing(0), latest, 6.3), expired, 18.9],
    ['and then after four times', looking(seeing(0), latest, 6.3, 18.9), expired, 44.1],
    ['and eight times', looking(seeing(0), latest, 6.3, 18.9, 44.1), expired, 94.5],
    ['at most', looking(seeing(0), latest, 6.3, 18.9, 44.1, 94.5), expired, 144.9],
    [
      'and after twice as long, if there is no Lease',
      looking(rhythmAtOpening(newRhythm(3_000), at(0)), undefined, 6.3),
      holds('', { until: 0 }),
      18.9,
    ],
    [
      'and a look before that does not count',
      rhythmSeeing(seeing(0), latest, at(6.2), 'reply'),
      holds('bing'),
      6.3,
    ],
    [
      'and an event ends the looks',
      rhythmSeeing(rhythmSeeing(seeing(0), latest, at(6.3), 'reply'), latest, at(7), 'watch'),
      holds('bing'),
      13.3,
    ],
    [
      'and a new watch ends the looks',
      rhythmAtOpening(rhythmSeeing(seeing(0), latest, at(6.3), 'reply'), at(7)),
      holds('bing'),
      13.3,
    ],
    ['after as long, if nobody holds it', seeing(0), holds('', { until: 0 }), 6.3],
    ['and not before earlier holders are owed it no more', seeing(0), holds('', { until: 9 }), 9],
    [
      'when two renewals of another are missing, if we wrote it',
      seeing(0),
      holds('baz', { mine: true }),
      6.3,
    ],
    ['never, if nothing is known', seeing(0), { kind: 'unseen' }, Infinity],
  ])('%s', (_, rhythm, observation, seconds) => {
    expect(silentAt(rhythm, observation) / 1000).toBeCloseTo(seconds, 6);
  });
});
