/** A Lease that an event shows while it is known to be absent: until when its holder must be respected. */
import { describe, expect, it } from 'vitest';
import type {
  LeaseSnapshot,
  MicroTime,
  MonotonicMs,
  Observation,
  WallMs,
} from '../../lib/election/internal.js';
import { type Sighting, observeShownWhileAbsent, observe } from '../../lib/election/observation.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const sighting = (seconds: number): Sighting => ({
  seenAt: at(seconds),
  leaseDuration: 15_000,
  renewDeadline: 10_000,
  seenOn: 0 as WallMs,
});
const absent = (heldUntil: number): Observation & { kind: 'absent' } => ({
  kind: 'absent',
  version: '3',
  seenAt: at(0),
  heldUntil: at(heldUntil),
});
const lease = (
  resourceVersion: string,
  holder: string,
  times: Partial<LeaseSnapshot['record']> = {},
): LeaseSnapshot => ({
  record: recordOf(holder, times),
  resourceVersion,
  uid: 'new',
});
const LATER = '2001-02-03T04:05:09.000007Z' as MicroTime;
const released = lease('6', '', { acquireTime: LATER, renewTime: LATER, leaseDurationSeconds: 1 });

describe('a Lease that an event showed while it was absent', () => {
  const NOBODY = Number.NEGATIVE_INFINITY;
  it.each<[string, Observation & { kind: 'absent' }, LeaseSnapshot, number]>([
    ['and is found released: nobody is respected', absent(NOBODY), released, NOBODY],
    ['and is found released: the earlier holder is respected', absent(9), released, 9_000],
    ['and is found unchanged: its holder is respected from then', absent(NOBODY), lease('5', 'bing'), 16_000],
    [
      'and is found emptied by hand: its holder is respected from then',
      absent(NOBODY),
      lease('6', ''),
      16_000,
    ],
    [
      'and is found renewed: its holder is respected from now',
      absent(NOBODY),
      lease('6', 'bing', { renewTime: LATER }),
      17_000,
    ],
  ])('%s', (_, known, found, heldUntil) => {
    const shown = observeShownWhileAbsent(known, lease('5', 'bing'), sighting(1));
    expect(shown).toMatchObject({ kind: 'absent', heldUntil: at(16) });
    expect(observe(shown, found, sighting(2))).toMatchObject({ kind: 'present', heldUntil });
  });

  it('with a holder that has not claimed it: the earlier holder is respected for a whole lease duration', () => {
    const given = lease('5', 'me', { acquireTime: undefined, leaseDurationSeconds: 5, leaseTransitions: 3 });
    const shown = observeShownWhileAbsent(absent(9), given, sighting(1));
    expect(shown).toMatchObject({ kind: 'absent', heldUntil: at(16) });
    expect(observe(shown, given, sighting(2))).toMatchObject({ heldUntil: at(16) });
  });

  it('and another one is shown after it: its holder is still respected', () => {
    const first = { ...lease('5', 'bing'), uid: 'gone' };
    const shown = observeShownWhileAbsent(absent(NOBODY), first, sighting(1));
    expect(shown.kind).toBe('absent');
    const again = observeShownWhileAbsent(shown, released, sighting(2));
    expect(again).toMatchObject({ heldUntil: at(17) });
    expect(observe(again, released, sighting(3))).toMatchObject({ kind: 'present', heldUntil: at(17) });
  });

  it('and is shown again, emptied by hand: its holder is still respected', () => {
    const shown = observeShownWhileAbsent(absent(NOBODY), lease('5', 'bing'), sighting(1));
    const emptied = lease('6', '');
    const again = observeShownWhileAbsent(shown, emptied, sighting(2));
    expect(observe(again, emptied, sighting(3))).toMatchObject({ kind: 'present', heldUntil: at(16) });
  });

  it('and is shown again, released: nobody is respected', () => {
    const shown = observeShownWhileAbsent(absent(NOBODY), lease('5', 'bing'), sighting(1));
    const again = observeShownWhileAbsent(shown, released, sighting(2));
    expect(observe(again, released, sighting(3))).toMatchObject({ kind: 'present', heldUntil: NOBODY });
  });

  it('and is then gone: its holder is respected from then, because it may have renewed since', () => {
    const shown = observeShownWhileAbsent(absent(9), lease('5', 'bing'), sighting(1));
    expect(observe(shown, undefined, sighting(2))).toMatchObject({ kind: 'absent', heldUntil: at(17) });
  });

  it('and another one is found: its holder is still respected', () => {
    const shown = observeShownWhileAbsent(absent(9), lease('5', 'bing'), sighting(1));
    const another = { ...released, uid: 'newer' };
    expect(observe(shown, another, sighting(2))).toMatchObject({ kind: 'present', heldUntil: at(17) });
  });
});
