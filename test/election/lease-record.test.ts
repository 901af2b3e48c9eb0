import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  sameRecord,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WallMs,
} from '../../lib/election/internal.js';
import {
  BEFORE_ALL_TIMES as NEVER,
  isNewer,
  nextTime,
  readLease,
  recordToAcquire,
  recordToExpire,
  recordToRelease,
  recordToRenew,
  slightlyAfter,
  writeRecord,
} from '../../lib/election/lease.js';
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

describe('a record', () => {
  const writer = { identity: 'baz', leaseDuration: 30_000, spread: false };
  const TIME = '2026-11-21T07:15:00.005123Z' as MicroTime;
  const BEFORE = '2026-11-21T07:14:00.005000Z' as MicroTime;
  const about = { process: 'pod 1', note: { priority: 3 } };

  it('has a renewTime that is later than the one before, also if clock and chance are the same', () => {
    const date = Date.UTC(2026, 0) as WallMs;
    expect(nextTime(nextTime(NEVER, date, 0), date, 0)).toBe('2026-01-01T00:00:00.000001Z');
  });

  it('that claims the lease has other microseconds in its acquireTime, from the same chance', () => {
    const previous = recordOf('bing', { leaseTransitions: 4 });
    expect(recordToAcquire(writer, previous, TIME, 0.1236, about)).toMatchObject({
      holderIdentity: 'baz',
      leaseDurationSeconds: 30,
      acquireTime: '2026-11-21T07:15:00.005600Z',
      renewTime: TIME,
      leaseTransitions: 5,
      ...about,
    });
  });

  it('that claims a lease with our name moves its acquireTime by less than a millisecond, and counts no transition', () => {
    const previous = recordOf('baz', { acquireTime: BEFORE, leaseTransitions: 4 });
    expect(recordToAcquire(writer, previous, TIME, 0.1236)).toMatchObject({
      acquireTime: '2026-11-21T07:14:00.005601Z',
      leaseTransitions: 4,
    });
  });

  it('that renews a term has our present duration, and what the process writes about itself', () => {
    const previous = recordOf('baz', { acquireTime: BEFORE, process: 'old', leaseDurationSeconds: 15 });
    expect(recordToRenew(writer, previous, TIME, about)).toEqual({
      ...previous,
      leaseDurationSeconds: 30,
      renewTime: TIME,
      ...about,
    });
  });

  it('with which a lease runs out is new, and lasts one second', () => {
    expect(recordToExpire(recordOf('baz', about), TIME)).toEqual({
      ...recordOf('baz'),
      leaseDurationSeconds: 1,
      renewTime: TIME,
    });
  });

  it.each<[string, boolean, object, object]>([
    ['keeps who has asked, where candidates ask to spread', true, { wantedBy: 'bing' }, { wantedBy: 'bing' }],
    [
      'keeps who has asked, where priorities ask',
      false,
      { wantedBy: 'bing', ...about },
      { wantedBy: 'bing' },
    ],
    ['drops who has asked, where only a person does', false, { wantedBy: 'bing' }, {}],
    ['has no such field if nobody has asked', true, {}, {}],
  ])('that releases the lease %s', (_, spread, more, kept) => {
    expect(recordToRelease({ spread }, recordOf('baz', more), TIME)).toStrictEqual({
      ...recordOf(''),
      leaseDurationSeconds: 1,
      acquireTime: TIME,
      renewTime: TIME,
      ...kept,
    });
  });

  it('whose times are no times gets a new one', () => {
    expect(slightlyAfter('2026-13-45T99:00:00.000000Z' as MicroTime, 0.5)).toBeUndefined();
  });
});

it.each([
  ['007', '8', false],
  ['010', '9', true],
  ['10', '9', true],
  ['9', '9', false],
  ['0', '00', false],
])('version %s is newer than %s: %s', (a, b, newer) => {
  expect(isNewer(a, b)).toBe(newer);
});

describe('what a lock answers', () => {
  const record = recordOf('baz', { leaseTransitions: 1 });
  const base = { record: recordOf('bing'), resourceVersion: '5', uid: 'u' };
  const call = { signal: new AbortController().signal } as LeaseCall;
  /** A lock that answers each request with this Lease. */
  const lockWith = (snapshot: LeaseSnapshot | undefined): LeaseLock =>
    ({
      describe: () => "'simulated'",
      get: () => Promise.resolve(snapshot),
      create: () => Promise.resolve({ kind: 'written', snapshot }),
      update: () => Promise.resolve({ kind: 'written', snapshot }),
    }) as never;
  const stored = { record, resourceVersion: '6', uid: 'u' };
  const strange = { code: 'LEADER_SERVER_ERROR', maybeCommitted: true };

  it('must have a decimal version', async () => {
    const lock = lockWith({ ...stored, resourceVersion: 'six' });
    await expect(readLease(lock, call)).rejects.toMatchObject(strange);
    await expect(writeRecord(lock, base, record, call)).rejects.toMatchObject(strange);
    await expect(readLease(lockWith(undefined), call)).resolves.toBeUndefined();
    await expect(readLease(lockWith(stored), call)).resolves.toBe(stored);
  });

  const asked = { ...record, wantedBy: 'bong' };
  it.each<[string, LeaseSnapshot | undefined, LeaseRecord, LeaseSnapshot, string]>([
    ['the record as written', base, record, stored, ''],
    ['the record as written, of a new Lease', undefined, record, { ...stored, resourceVersion: '1' }, ''],
    ['another holder', base, record, { ...stored, record: recordOf('bong') }, 'holderIdentity'],
    ['another Lease', base, record, { ...stored, uid: 'new' }, 'uid'],
    ['no newer version', base, record, { ...stored, resourceVersion: '5' }, 'resourceVersion'],
    ['an older version', base, base.record, { ...base, resourceVersion: '4' }, 'resourceVersion'],
    ['the same version, because nothing was changed', base, base.record, base, ''],
    [
      'a newer version, although nothing was changed',
      base,
      base.record,
      { ...base, resourceVersion: '6' },
      '',
    ],
    ['no request for the lease that was written', base, asked, stored, 'wantedBy'],
    ['the request that was written', base, asked, { ...stored, record: asked }, ''],
    ['a request that was dropped', base, record, { ...stored, record: asked }, ''],
  ])('to a write is %s', async (_, on, written, snapshot, changed) => {
    const outcome = writeRecord(lockWith(snapshot), on, written, call);
    if (changed === '') await expect(outcome).resolves.toEqual({ kind: 'written', snapshot });
    else {
      await expect(outcome).rejects.toMatchObject({
        code: 'LEADER_WRITE_NOT_KEPT',
        keptVersion: snapshot.resourceVersion,
        message: expect.stringContaining(` in ${changed}`) as string,
      });
    }
  });
});
