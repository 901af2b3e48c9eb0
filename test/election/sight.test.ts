/** What replies, watch events and writes change in what is known of the lease. Times are seconds; this process is `baz`. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import { LeaseRequestError, type LeaseSnapshot } from '../../lib/election/internal.js';
import {
  attemptConflicted,
  attemptFailed,
  attemptSent,
  mayBeOurs,
  noSight,
  noteGap,
  ours,
  releaseSent,
  seeDeletion,
  seeEvent,
  seeReply,
  seeWritten,
  voidAttempts,
  wasOurs,
  type Sight,
  type WriteAttempt,
} from '../../lib/election/sight.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const instant = (seconds: number) => ({ now: at(seconds), date: (seconds * 1000) as WallMs });
const NOTHING = noSight({ identity: 'baz', leaseDuration: 15_000, renewDeadline: 10_000 });
const lease = (resourceVersion: string, holder: string, leaseTransitions = 0, uid = 'u'): LeaseSnapshot => ({
  record: recordOf(holder, { leaseTransitions }),
  resourceVersion,
  uid,
});
const attempt = (sentAt: number, base?: LeaseSnapshot, leaseTransitions = 0): WriteAttempt => ({
  record: recordOf('baz', { leaseTransitions }),
  base,
  sentAt: at(sentAt),
  sentOn: (sentAt * 1000) as WallMs,
  term: undefined,
});
const failure = (maybeCommitted: boolean, code: 'LEADER_SERVER_ERROR' | 'LEADER_REQUEST_INVALID') =>
  new LeaseRequestError(code, 'planted', { maybeCommitted });

/** A read shows `found`. */
const read = (sight: Sight, found: LeaseSnapshot | undefined, now: number, sentAt = now): Sight =>
  seeReply(sight, found, at(sentAt), instant(now)).sight;
const bing = read(NOTHING, lease('5', 'bing'), 1);
const gone = read(bing, undefined, 2);
const claim = attempt(2, lease('5', 'bing'), 1);
const claimed = attemptSent(bing, claim);
const mine = seeWritten(claimed, lease('6', 'baz', 1), at(2), instant(3)).sight;

describe('a reply', () => {
  it.each<[string, Sight, LeaseSnapshot | undefined, number, boolean, boolean]>([
    ['tells', bing, lease('6', 'bing'), 0.5, true, false],
    [
      'that is older than what was seen since its sending tells nothing',
      bing,
      lease('4', 'bing'),
      1,
      false,
      false,
    ],
    [
      'with an old version that was asked for later tells: the server has lost the newer',
      bing,
      lease('4', 'bing'),
      1.5,
      true,
      false,
    ],
    [
      'that finds nothing, asked for before a Lease was seen, causes doubt',
      bing,
      undefined,
      0.5,
      false,
      true,
    ],
    [
      'that finds nothing, asked for at the instant of the sighting, causes doubt',
      bing,
      undefined,
      1,
      false,
      true,
    ],
    ['that finds nothing, asked for since, tells', bing, undefined, 1.5, true, false],
    [
      'that finds a Lease, asked for before its absence was seen, causes doubt',
      gone,
      lease('5', 'bing'),
      1.5,
      false,
      true,
    ],
    [
      'that finds a newer Lease, asked for before its absence was seen, causes doubt, too: it may be gone since',
      gone,
      lease('7', 'bing'),
      1.5,
      false,
      true,
    ],
    ['that finds nothing again, asked for before, tells nothing new', gone, undefined, 1.5, false, false],
    ['that finds nothing, when nothing was known, tells', NOTHING, undefined, -1, true, false],
  ])('%s', (_, sight, found, sentAt, tells, doubtful) => {
    const seen = seeReply(sight, found, at(sentAt), instant(4));
    expect(seen.news !== undefined).toBe(tells);
    expect(seen.sight.doubtful).toBe(doubtful);
  });

  it.each<[string, Sight, LeaseSnapshot | undefined, boolean]>([
    ['another version has moved the lease', bing, lease('6', 'bing'), true],
    ['the same version has not', bing, lease('5', 'bing'), false],
    ['no Lease where there was one has', bing, undefined, true],
    ['no Lease again has not', gone, undefined, false],
    ['a Lease where there was none has', gone, lease('7', 'bing'), true],
  ])('%s', (_, sight, found, moved) => {
    expect(seeReply(sight, found, at(5), instant(5)).news).toMatchObject({ moved });
  });
});

describe('an event about another Lease than the known one', () => {
  const hinted = seeEvent(bing, lease('8', 'bong', 0, 'new'), instant(3)).sight;

  it('tells nothing by itself, but a read must be sent', () => {
    expect(hinted).toMatchObject({
      doubtful: true,
      observation: { snapshot: { uid: 'u' }, validity: undefined },
    });
    const known = seeEvent(mine, lease('8', 'bong', 0, 'new'), instant(4)).sight;
    expect(known.observation).toMatchObject({ mine: true, validity: undefined });
  });

  it.each<[string, LeaseSnapshot | undefined, number, boolean]>([
    ['no read that was sent before it and finds no Lease', undefined, 2, false],
    ['no read that was sent before it and is older', lease('7', 'bing'), 2, false],
    ['a read that was sent before it and is as new', lease('8', 'bong', 0, 'new'), 2, true],
    ['a read that was sent with it', undefined, 3, true],
  ])('%s: whether it tells', (_, found, sentAt, tells) => {
    expect(seeReply(hinted, found, at(sentAt), instant(5)).news !== undefined).toBe(tells);
  });

  it('has its holder respected, if the read finds no Lease', () => {
    expect(read(hinted, undefined, 6).observation).toMatchObject({ kind: 'absent', heldUntil: at(21) });
  });

  it('is not forgotten when the known Lease was deleted before it', () => {
    expect(seeDeletion(hinted, '7', instant(4)).sight).toMatchObject({
      doubtful: true,
      hint: { version: '8' },
    });
    expect(seeDeletion(hinted, '9', instant(4)).sight).toMatchObject({ doubtful: false, hint: undefined });
  });
});

describe('an event while there is no Lease', () => {
  it('moves the lease, causes doubt, and has its holder respected', () => {
    const seen = seeEvent(gone, lease('7', 'bong', 0, 'new'), instant(3));
    expect(seen.news).toEqual({ proved: undefined, moved: true });
    expect(seen.sight).toMatchObject({
      doubtful: true,
      hint: { version: '7' },
      observation: { kind: 'absent' },
    });
    expect(seen.sight.observation).toMatchObject({ heldUntil: at(18), shown: { lease: { mine: false } } });
  });

  it('that shows an empty Lease has the last holder respected as before, and its version is the newest', () => {
    const { observation } = seeEvent(gone, lease('7', '', 0, 'new'), instant(3)).sight;
    expect(observation).toMatchObject({ kind: 'absent', version: '7', heldUntil: at(17) });
  });

  it('that shows a write of ours which is undecided tells nothing: its reply will', () => {
    const creating = attemptSent(gone, attempt(3));
    const seen = seeEvent(creating, lease('7', 'baz', 0, 'new'), instant(4));
    expect(seen).toEqual({ sight: creating, news: undefined });
  });
});

describe('a deletion', () => {
  it.each<[string, Sight, string, boolean]>([
    ['tells', bing, '6', true],
    ['that is older than the Lease tells nothing', bing, '4', false],
    ['of a Lease that is known to be gone tells nothing', gone, '9', false],
  ])('%s', (_, sight, version, tells) => {
    const seen = seeDeletion(sight, version, instant(3));
    expect(seen.news !== undefined).toBe(tells);
    if (!tells) expect(seen.sight).toBe(sight);
  });
});

describe('a write', () => {
  it('that is shown is proved, once, and the record is ours', () => {
    const seen = seeEvent(claimed, lease('6', 'baz', 1), instant(3));
    expect(seen.news).toEqual({ proved: claim, moved: true });
    expect(seen.sight.ledger).toMatchObject({ undecided: [], stored: { record: claim.record } });
    expect(seeReply(seen.sight, lease('6', 'baz', 1), at(4), instant(4)).news).toMatchObject({
      proved: undefined,
    });
  });

  it('whose record another process has written on is not proved by its reply', () => {
    const overtaken = seeEvent(claimed, lease('9', 'bong'), instant(3)).sight;
    expect(seeWritten(overtaken, lease('6', 'baz', 1), at(2), instant(4)).news).toBeUndefined();
  });

  it('that was conditional on an earlier version can no longer be carried out', () => {
    const moved = seeEvent(claimed, lease('6', 'bing'), instant(3)).sight;
    expect(moved.ledger).toMatchObject({ undecided: [], written: [] });
    const same = seeReply(claimed, lease('5', 'bing'), at(3), instant(3)).sight;
    expect(same.ledger).toMatchObject({ undecided: [claim], written: [{ on: '5' }] });
  });

  it('that creates a Lease may be carried out after another Lease was deleted, so its record stays known', () => {
    const creating = attemptSent(gone, attempt(3));
    const seen = read(creating, lease('7', 'bing'), 4);
    expect(seen.ledger).toMatchObject({ undecided: [], written: [{ on: undefined }] });
  });

  it('is ours also when it is seen again, after others were written', () => {
    const again = attemptSent(mine, attempt(4, lease('6', 'baz', 1), 1));
    const seen = read(again, { ...lease('6', 'baz', 1) }, 5);
    expect(seen.observation).toMatchObject({ mine: true, heldUntil: at(17) });
    expect(seen.ledger.stored).toMatchObject({ sentAt: at(2) });
  });

  it('is ours also when somebody puts it back, after another process held the lease', () => {
    const other = read(mine, lease('7', 'bong', 2), 4);
    const back = read(other, lease('8', 'baz', 1), 5);
    expect(back.observation).toMatchObject({ mine: true, heldUntil: at(17) });
  });

  it('that changes nothing keeps its version, and is proved once', () => {
    const seen = seeReply(claimed, lease('5', 'baz', 1), at(3), instant(3));
    expect(seen.news).toMatchObject({ proved: claim });
    expect(seen.sight.ledger.undecided).toEqual([]);
  });

  it('whose Lease was deleted before its reply came tells nothing, and causes no doubt', () => {
    const deleted = seeDeletion(claimed, '9', instant(3)).sight;
    const seen = seeWritten(deleted, lease('6', 'baz', 1), at(2), instant(4));
    expect(seen).toEqual({ sight: deleted, news: undefined });
    expect(deleted.doubtful).toBe(false);
  });

  it('is one of few that are remembered', () => {
    const writes = Array.from({ length: 40 }, (_, index) => attempt(index, lease('5', 'bing'), index));
    const { written } = writes.reduce(attemptSent, bing).ledger;
    expect(written).toHaveLength(32);
    expect(written.at(-1)).toMatchObject({ sentAt: at(39) });
  });

  it("with another's name is not ours, although the rest is equal", () => {
    const other = { ...claim, record: recordOf('bong', { leaseTransitions: 1 }) };
    const seen = read(attemptSent(bing, other), lease('6', 'bong', 1), 3);
    expect(seen.observation).toMatchObject({ mine: false });
  });

  it.each<
    [
      string,
      Sight,
      WriteAttempt,
      boolean,
      'LEADER_SERVER_ERROR' | 'LEADER_REQUEST_INVALID',
      boolean,
      boolean,
      number,
    ]
  >([
    ['may have been carried out: doubt', claimed, claim, true, 'LEADER_SERVER_ERROR', true, true, 1],
    ['was certainly not: none', claimed, claim, false, 'LEADER_SERVER_ERROR', true, false, 0],
    [
      'was found invalid: doubt, because its base may be old',
      claimed,
      claim,
      false,
      'LEADER_REQUEST_INVALID',
      true,
      true,
      0,
    ],
    [
      'another attempt will show the outcome: none',
      claimed,
      claim,
      true,
      'LEADER_SERVER_ERROR',
      false,
      false,
      1,
    ],
    [
      'a newer version is known: none',
      seeEvent(claimed, lease('6', 'bing'), instant(3)).sight,
      claim,
      true,
      'LEADER_SERVER_ERROR',
      true,
      false,
      0,
    ],
    [
      'it was to create the Lease: doubt',
      attemptSent(gone, attempt(3)),
      attempt(3),
      true,
      'LEADER_SERVER_ERROR',
      true,
      true,
      1,
    ],
    [
      'it was to create a Lease, and one is known: none',
      bing,
      attempt(0),
      true,
      'LEADER_SERVER_ERROR',
      true,
      false,
      0,
    ],
    ['it was to change a Lease that is gone: none', gone, claim, true, 'LEADER_SERVER_ERROR', true, false, 0],
  ])('that failed, when %s', (_, sight, sent, maybeCommitted, code, lookAgain, doubtful, undecided) => {
    const failed = attemptFailed(sight, sent, failure(maybeCommitted, code), lookAgain);
    expect(failed.doubtful).toBe(doubtful);
    expect(failed.ledger.undecided).toHaveLength(undecided);
  });

  it('that failed is looked for, unless the caller knows better', () => {
    expect(attemptFailed(claimed, claim, failure(true, 'LEADER_SERVER_ERROR')).doubtful).toBe(true);
  });

  it('that failed takes no other write with it', () => {
    const second = attempt(2.5, lease('5', 'bing'), 1);
    const failed = attemptFailed(attemptSent(claimed, second), claim, failure(false, 'LEADER_SERVER_ERROR'));
    expect(failed.ledger).toMatchObject({ undecided: [second], written: [{ sentAt: at(2.5) }] });
  });

  it.each<[string, Sight, boolean]>([
    ['when its base is the newest known: doubt', claimed, true],
    ['when a newer version is known: none', seeEvent(claimed, lease('6', 'bing'), instant(3)).sight, false],
  ])('that was refused, %s', (_, sight, doubtful) => {
    expect(attemptConflicted(sight, claim).doubtful).toBe(doubtful);
  });
});

describe('the lease', () => {
  it.each<[string, Sight, boolean, boolean, boolean]>([
    ['that we hold is ours', mine, true, true, true],
    ['that we hold in doubt may be', { ...mine, doubtful: true }, false, true, true],
    ['that another holds is not', bing, false, false, false],
    ['that another holds may be, while a claim is undecided', claimed, false, false, true],
    ['that is gone is not', gone, false, false, false],
  ])('%s', (_, sight, is, was, may) => {
    expect(ours(sight) !== undefined).toBe(is);
    expect(wasOurs(sight)).toBe(was);
    expect(mayBeOurs(sight)).toBe(may);
  });

  it('may be released from when that was sent, if it is ours', () => {
    expect(releaseSent(mine).observation).toMatchObject({ mayBeReleased: true });
    expect(releaseSent(bing)).toBe(bing);
    expect(releaseSent(gone)).toBe(gone);
  });

  it('cannot be claimed by attempts that were voided', () => {
    expect(voidAttempts(claimed).ledger.undecided).toEqual([]);
    expect(voidAttempts(bing)).toBe(bing);
  });
});

describe('a gap between watches', () => {
  const gap = noteGap(bing, at(3));
  it("is noted for another's Lease only", () => {
    expect(gap.gapSince).toBe(at(3));
    expect(noteGap(mine, at(3))).toBe(mine);
    expect(noteGap(gone, at(3))).toBe(gone);
  });

  it.each<[string, Sight, boolean]>([
    ['a read that was sent since then', read(gap, lease('5', 'bing'), 4, 3), true],
    ['no read that was sent before', read(gap, lease('6', 'bing'), 4, 2.9), false],
    ['an event', seeEvent(gap, lease('6', 'bing'), instant(4)).sight, true],
    [
      'a write of ours that succeeded, whenever it was sent',
      seeWritten(noteGap(claimed, at(3)), lease('6', 'baz', 1), at(2), instant(4)).sight,
      true,
    ],
  ])('%s ends it', (_, sight, ends) => {
    expect(sight.gapSince === undefined).toBe(ends);
  });
});
