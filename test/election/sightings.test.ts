/** What one more sighting of a Lease changes in what is known of it. Times are seconds; this process is `baz`. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import type { LeaseSnapshot, MicroTime, Observation } from '../../lib/election/internal.js';
import {
  heldUntil,
  isValid,
  observe,
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
