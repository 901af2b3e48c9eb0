/** What one more sighting of a Lease changes in what is known of it. Times are seconds; this process is `baz`. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import type { LeaseSnapshot, MicroTime, Observation } from '../../lib/election/internal.js';
import {
  heldUntil,
  isValid,
  observe,
  owesToOthers,
  validityOf,
  versionOf,
  type Present,
  type Sighting,
} from '../../lib/election/observation.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const on = (seconds: number): WallMs => (seconds * 1000) as WallMs;
const sighting = (seconds: number, sent?: number): Sighting => ({
  seenAt: at(seconds),
  seenOn: on(seconds),
  leaseDuration: 15_000,
  renewDeadline: 10_000,
  ...(sent !== undefined && { sent: { sentAt: at(sent), sentOn: on(sent) } }),
});
const lease = (
  resourceVersion: string,
  holder: string,
  times: Partial<LeaseSnapshot['record']> = {},
  ageMs?: number,
): LeaseSnapshot => ({
  record: recordOf(holder, times),
  resourceVersion,
  uid: 'u',
  ...(ageMs !== undefined && { ageMs }),
});
const time = (second: number): MicroTime => `2001-02-03T04:05:${String(second)}.000007Z` as MicroTime;
const UNSEEN: Observation = { kind: 'unseen' };

/** What is known after these sightings, one after the other. */
function after(...seen: readonly (readonly [LeaseSnapshot | undefined, Sighting])[]): Observation {
  return seen.reduce<Observation>((known, [found, how]) => observe(known, found, how), UNSEEN);
}

describe('a validity', () => {
  const validity = validityOf(at(0), on(0), 10_000);
  it.each<[string, number, number, boolean]>([
    ['lasts on both clocks', 9.999, 9.999, true],
    ['ends at renewDeadline on the monotonic clock', 10, 9, false],
    ['ends at renewDeadline on the wall clock', 9, 10, false],
  ])('%s', (_, now, date, valid) => {
    expect(isValid(validity, at(now), on(date))).toBe(valid);
  });
});

it.each<[string, Observation, string]>([
  ['nothing was seen: older than any', UNSEEN, '0'],
  ['a Lease was seen', after([lease('5', 'bing'), sighting(0)]), '5'],
  [
    'its absence was seen: that of the Lease before',
    after([lease('5', 'bing'), sighting(0)], [undefined, sighting(1)]),
    '5',
  ],
  ['its deletion was seen', after([undefined, { ...sighting(1), deletion: '7' }]), '7'],
])('the newest version when %s', (_, known, version) => {
  expect(versionOf(known)).toBe(version);
});

describe('when the process of the holder was proven dead at 5', () => {
  const bing = after([lease('5', 'bing'), sighting(0)]) as Present;
  it.each<[string, Observation, number]>([
    ['its lease is free from then', bing, 5],
    ['its lease is free when it has run out, if that is earlier', { ...bing, heldUntil: at(3) }, 3],
    ['the holder of a deleted Lease before it is still respected', { ...bing, owedBefore: at(9) }, 9],
    [
      'a deleted Lease is owed as before',
      after([lease('5', 'bing'), sighting(0)], [undefined, sighting(1)]),
      16,
    ],
    ['a lease that was never seen is owed to nobody', UNSEEN, -Infinity],
  ])('%s', (_, known, until) => {
    expect(heldUntil(known, at(5))).toBe(at(until));
  });
});

describe("another's record that is seen again", () => {
  it.each<[string, LeaseSnapshot, number]>([
    ['counts from its first sighting', lease('5', 'bing'), 15],
    ['counts from its first sighting, also if labels were edited', lease('6', 'bing'), 15],
    ['counts from now, if it was renewed', lease('6', 'bing', { renewTime: time(16) }), 19],
    [
      'counts from before its first sighting, if the server says that it is older',
      lease('5', 'bing', {}, 6_000),
      13,
    ],
    [
      'counts from its first sighting, if the server says that it is newer',
      lease('5', 'bing', {}, 1_000),
      15,
    ],
  ])('%s', (_, found, until) => {
    const known = after([lease('5', 'bing'), sighting(0)], [found, sighting(4)]);
    expect(known).toMatchObject({ seenAt: at(4), heldUntil: at(until), mine: false, snapshot: found });
  });

  it('never counts from before an earlier holder has been respected, however old it is', () => {
    const first = { ...(after([lease('5', 'bing'), sighting(0)]) as Present), owedBefore: at(14) };
    const known = observe(first, lease('5', 'bing', {}, 12_000), sighting(4));
    expect(known).toMatchObject({ heldUntil: at(14), owedBefore: at(14) });
  });
});

describe('our own record that is seen again', () => {
  const ours = after([lease('5', 'baz'), sighting(1, 0)]);

  it('is ours, valid from its sending, however old the server says it is', () => {
    const validity = { sentOn: on(0), until: at(10), untilDate: on(10) };
    const own = { mine: true, heldUntil: at(15), validity };
    expect(ours).toMatchObject(own);
    expect(observe(ours, lease('5', 'baz', {}, 6_000), sighting(4))).toMatchObject({ ...own, seenAt: at(4) });
  });

  it('in an older version is not ours: the server has lost what others may have acted on', () => {
    const renewed = observe(ours, lease('7', 'baz'), sighting(3, 2));
    const known = observe(renewed, lease('6', 'baz'), sighting(4, 2));
    expect(known).toMatchObject({ mine: false, validity: undefined, touch: undefined });
  });

  it('in an older version is not ours, also if it is another record than the newest', () => {
    const renewed = observe(ours, lease('7', 'baz', { renewTime: time(16) }), sighting(3, 2));
    expect(observe(renewed, lease('6', 'baz'), sighting(4, 1))).toMatchObject({ mine: false });
  });

  it('with another renewTime was touched: it may be another process of our name, which is respected from now', () => {
    const touched = observe(ours, lease('6', 'baz', { renewTime: time(16) }), sighting(4));
    expect(touched).toMatchObject({
      mine: true,
      touch: 'unanswered',
      seenAt: at(4),
      heldUntil: at(19),
      lastTouch: { seenAt: at(4), renewTime: time(16) },
    });
  });

  it('is answered by our next renewal, which remembers the touch', () => {
    const touched = observe(ours, lease('6', 'baz', { renewTime: time(16) }), sighting(4));
    const answered = observe(touched, lease('7', 'baz', { renewTime: time(17) }), sighting(6, 5));
    const lastTouch = { seenAt: at(4), renewTime: time(16) };
    expect(answered).toMatchObject({ mine: true, touch: 'answered', lastTouch, heldUntil: at(20) });
    const renewed = observe(answered, lease('8', 'baz', { renewTime: time(18) }), sighting(8, 7));
    expect(renewed).toMatchObject({ mine: true, lastTouch });
    expect(renewed).not.toHaveProperty('touch');
  });

  it('after its validity is no longer ours, if it was touched', () => {
    const known = observe(ours, lease('6', 'baz', { renewTime: time(16) }), sighting(10));
    expect(known).toMatchObject({ mine: false, heldUntil: at(25) });
  });
});

describe('a second touch of our record', () => {
  const touched = observe(
    after([lease('5', 'baz'), sighting(1, 0)]),
    lease('6', 'baz', { renewTime: time(16) }),
    sighting(4),
  );
  /** Our renewals until 18, so that our record is valid until 28. */
  const renewed = [6, 12, 18].reduce(
    (known, sent) =>
      observe(known, lease(String(sent), 'baz', { renewTime: time(20 + sent) }), sighting(sent, sent)),
    touched,
  );
  const answered = observe(touched, lease('7', 'baz', { renewTime: time(17) }), sighting(6, 6));
  const settled = observe(answered, lease('8', 'baz', { renewTime: time(18) }), sighting(7, 7));

  it.each<[string, Observation, number, MicroTime | undefined, boolean]>([
    ['may be the next renewal of a process of our name', settled, 8, time(19), false],
    ['is none of those, if it goes back', settled, 8, time(15), true],
    ['is none of those, if it leaves the same time', settled, 8, time(16), true],
    ['is none of those, if it removes the time', settled, 8, undefined, true],
    ['is none of those, if it comes a lease duration after the first', renewed, 19, time(50), true],
    ['may be the next renewal, if it comes sooner', renewed, 18.999, time(50), false],
    ['before our second renewal since the first is one too many', answered, 6.5, time(15), false],
    ['before we have answered the first is one too many', touched, 5, time(15), false],
  ])('%s', (_, known, seenAt, renewTime, mine) => {
    expect(observe(known, lease('30', 'baz', { renewTime }), sighting(seenAt))).toMatchObject({ mine });
  });

  it("of another's record is its renewal", () => {
    const known = after([lease('5', 'bing'), sighting(0)]);
    const again = observe(known, lease('6', 'bing', { renewTime: time(16) }), sighting(4));
    expect(again).not.toHaveProperty('touch');
  });
});

describe('the holder before is respected', () => {
  const EQUAL = { acquireTime: time(16), renewTime: time(16) };
  const bing = after([lease('5', 'bing'), sighting(0)]);
  /** Renewed after it was acquired. */
  const renewed = after([lease('5', 'bing', { renewTime: time(16) }), sighting(0)]);
  const uncounted = after([lease('5', 'bing', { leaseTransitions: undefined }), sighting(0)]);
  const baz = after([lease('5', 'baz'), sighting(0, 0)]);
  const NOBODY = -Infinity;
  it.each<[string, Observation, number, LeaseSnapshot, number]>([
    ['not after a release', bing, 4, lease('6', '', { ...EQUAL, leaseDurationSeconds: 1 }), NOBODY],
    ['not after a release that keeps the duration', bing, 4, lease('6', '', EQUAL), NOBODY],
    ['not after a release without a renewTime', bing, 4, lease('6', '', { renewTime: undefined }), NOBODY],
    [
      'not after a release without a duration',
      bing,
      4,
      lease('6', '', { ...EQUAL, leaseDurationSeconds: undefined, leaseTransitions: 9 }),
      NOBODY,
    ],
    ['if the times differ', bing, 4, lease('6', '', { acquireTime: time(16), renewTime: time(17) }), 19],
    [
      'if the times differ, and the duration is longer than ours',
      bing,
      4,
      lease('6', '', { acquireTime: time(16), renewTime: time(17), leaseDurationSeconds: 30 }),
      34,
    ],
    [
      'if the times differ, and there is no duration',
      bing,
      4,
      lease('6', '', { acquireTime: time(16), renewTime: time(17), leaseDurationSeconds: undefined }),
      19,
    ],
    [
      'if it was its first record, which was emptied',
      bing,
      4,
      lease('6', '', { ...EQUAL, leaseTransitions: 1 }),
      19,
    ],
    [
      'if nobody counts transitions',
      uncounted,
      4,
      lease('6', '', { ...EQUAL, leaseTransitions: undefined }),
      19,
    ],
    ['as before, if only the name was removed', bing, 4, lease('6', ''), 15],
    [
      'as before, if the name was removed and the time is its last',
      renewed,
      4,
      lease('6', '', { ...EQUAL, leaseDurationSeconds: 1 }),
      15,
    ],
    [
      'as before, if another name was entered without a claim',
      bing,
      4,
      lease('6', 'bong', { acquireTime: undefined }),
      15,
    ],
    ['not after a claim', bing, 4, lease('6', 'bong', EQUAL), NOBODY],
    [
      'not if it was this process, and another name was entered',
      baz,
      12,
      lease('6', 'bong', { acquireTime: undefined }),
      NOBODY,
    ],
    [
      'not if it was this process, and its record is valid',
      baz,
      4,
      lease('6', '', { acquireTime: time(16), renewTime: time(17) }),
      NOBODY,
    ],
  ])('%s', (_, known, seenAt, found, until) => {
    expect(observe(known, found, sighting(seenAt))).toMatchObject({ owedBefore: at(until) });
  });

  it.each<[string, Observation, boolean]>([
    ['beside the present one, until it has run out', { ...(bing as Present), owedBefore: at(5) }, true],
    ['no longer than that', { ...(bing as Present), owedBefore: at(4) }, false],
    ['not if there was none', bing, false],
    ['not beside nobody', after([lease('5', 'bing'), sighting(0)], [undefined, sighting(1)]), false],
  ])('%s: owed to others', (_, known, owed) => {
    expect(owesToOthers(known, at(4))).toBe(owed);
  });
});

describe('a new record is held', () => {
  const NO_CLAIM = { acquireTime: undefined };
  it.each<[string, LeaseSnapshot, Sighting, number]>([
    ['for its duration', lease('5', 'bing', { leaseDurationSeconds: 30 }), sighting(4), 34],
    [
      'for our duration, if it names none',
      lease('5', 'bing', { leaseDurationSeconds: undefined }),
      sighting(4),
      19,
    ],
    ['from when the server says that it was written', lease('5', 'bing', {}, 6_000), sighting(4), 13],
    ['from its sending, if it is ours', lease('5', 'baz', {}, 6_000), sighting(4, 2), 17],
    [
      'for our duration at least, if the name was entered without a claim',
      lease('5', 'bing', { ...NO_CLAIM, leaseDurationSeconds: 1 }),
      sighting(4),
      19,
    ],
    [
      'for its duration, if that is longer',
      lease('5', 'bing', { ...NO_CLAIM, leaseDurationSeconds: 30 }),
      sighting(4),
      34,
    ],
    ['not at all, if it names nobody', lease('5', ''), sighting(4), -Infinity],
  ])('%s', (_, found, how, until) => {
    expect(observe(UNSEEN, found, how)).toMatchObject({ heldUntil: at(until) });
  });

  it.each<[string, MonotonicMs | undefined, number]>([
    ['to nobody', undefined, -Infinity],
    ['to the holder before it, if that must still be respected', at(12), 12],
  ])('and, if it is ours and valid when the Lease is deleted, owed %s', (_, owedBefore, until) => {
    const ours = { ...(after([lease('5', 'baz'), sighting(0, 0)]) as Present), owedBefore };
    expect(observe(ours, undefined, sighting(4))).toMatchObject({ kind: 'absent', heldUntil: at(until) });
  });
});
