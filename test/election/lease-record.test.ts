import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sameRecord, type MicroTime, type WallMs } from '../../lib/election/internal.js';
import { BEFORE_ALL_TIMES as NEVER, nextTime, slightlyAfter } from '../../lib/election/lease.js';
import { recordOf } from './records.js';

const wall = fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2090, 0) }).map((ms) => ms as WallMs);
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('times of a record', () => {
  it('have six digits, as the API server demands', () => {
    expect(nextTime(NEVER, Date.UTC(2026, 10, 21, 7, 15, 0, 5) as WallMs, 0.0421)).toBe(
      '2026-11-21T07:15:00.005042Z',
    );
  });

  it('increase, whatever the wall clock does', () => {
    fc.assert(
      fc.property(wall, chance, wall, chance, (first, a, second, b) => {
        const before = nextTime(NEVER, first, a);
        const after = nextTime(before, second, b);
        expect(after > before).toBe(true);
        expect(after).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      }),
    );
  });

  it.each(['0001-01-01T00:00:00.000000Z', '1960-01-01T00:00:00.000999Z', '1969-12-31T23:59:59.999999Z'])(
    'are well-formed before 1970, too: after %s',
    (text) => {
      const next = slightlyAfter(text as MicroTime, 0.5);
      expect(next).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(String(next) > text).toBe(true);
      expect(nextTime(NEVER, Date.parse(text) as WallMs, 0.5)).toMatch(/\.\d{3}500Z$/);
    },
  );

  it('cannot be later than the year 9999', () => {
    expect(slightlyAfter('9999-12-31T23:59:59.999999Z' as MicroTime, 0.5)).toBeUndefined();
  });

  it('differ between two processes with one name that write after the same time', () => {
    const ahead = nextTime(NEVER, Date.UTC(2027, 0) as WallMs, 0);
    const now = Date.UTC(2026, 0) as WallMs;
    expect(nextTime(ahead, now, 0.1)).not.toBe(nextTime(ahead, now, 0.2));
  });

  it('ignore an invalid earlier time', () => {
    const nonsense = '9999-99-99' as MicroTime;
    expect(nextTime(nonsense, Date.UTC(2026, 0) as WallMs, 0)).toBe('2026-01-01T00:00:00.000000Z');
  });
});

it('records are equal when all their fields are', () => {
  expect(sameRecord(recordOf('a'), recordOf('a'))).toBe(true);
  for (const changed of [
    { holderIdentity: 'b' },
    { renewTime: undefined },
    { acquireTime: undefined },
    { leaseTransitions: 1 },
    { leaseDurationSeconds: 1 },
  ]) {
    expect(sameRecord(recordOf('a'), recordOf('a', changed)), JSON.stringify(changed)).toBe(false);
  }
});
