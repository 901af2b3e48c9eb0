/** When a watch is opened, replaced and given up, and when it is broken. Times are seconds; retryPeriod is 2. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs } from '../../lib/election/clock.js';
import { LeaseRequestError } from '../../lib/election/index.js';
import {
  isBroken,
  isWorse,
  newWatch,
  watchDue,
  watchDueAt,
  watchEnded,
  watchExpected,
  watchOpened,
  watchRenewed,
  watchShowed,
  watchStarted,
  watchStopped,
  type Watch,
} from '../../lib/election/watch.js';
import { recordOf } from './records.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const fresh = newWatch(2_000);
const opening = watchStarted(fresh, true, at(0));
const open = watchOpened(opening, at(1));
const showing = (watch: Watch, resourceVersion: string, now: number): Watch =>
  watchShowed(
    watch,
    { kind: 'seen', snapshot: { record: recordOf('bing'), resourceVersion, uid: 'u' } },
    at(now),
  );
const denied = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });
const busy = (retryAfterMs?: number): LeaseRequestError =>
  new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: false, retryAfterMs });

/** One more stream, which opens at `from` and ends after `lived` seconds; `never`: it does not open. */
function another(watch: Watch, from: number, lived: number | 'never', problem?: LeaseRequestError): Watch {
  const requested = watchDue({ ...watch, openAt: at(from) }, at(from), 0);
  if (lived === 'never') return watchEnded(requested, problem, at(from + 0.1), 0);
  return watchEnded(watchOpened(requested, at(from)), problem, at(from + lived), 0);
}
const streams = (
  froms: readonly number[],
  lived: number | 'never',
  problem?: LeaseRequestError,
  first = opening,
): Watch => froms.reduce((watch, from) => another(watch, from, lived, problem), first);

describe('watches are broken', () => {
  const five = streams([0, 1, 2, 3, 4], 0.5);
  it.each<[string, Watch, boolean]>([
    ['if six in a row end within a retryPeriod', another(five, 5, 0.5), true],
    ['not if five do', five, false],
    ['if the six come over a retryPeriod', streams([0, 0.4, 0.8, 1.2, 1.6, 2], 0.5), true],
    [
      'not if they come faster: a server moves its clients',
      streams([0, 0.4, 0.8, 1.2, 1.6, 1.9], 0.5),
      false,
    ],
    ['if three in a row do not open', streams([0, 10, 20], 'never'), true],
    ['not if two do not', streams([0, 10], 'never'), false],
    ['not if the server says why they do not open', streams([0, 1, 2, 3, 4, 5, 6], 'never', busy()), false],
    [
      'not by the time of one that the server explains',
      another(streams([0, 0.4, 0.8, 1.2, 1.6, 1.9], 0.5), 5, 'never', busy()),
      false,
    ],
    ['if the server only says why those that were open end', another(five, 5, 0.5, busy()), true],
    ['not if one lasts in between', streams([8, 9, 10, 11, 12], 0.5, undefined, another(five, 5, 2)), false],
    ['as before, if one lasts not quite a retryPeriod', another(five, 5, 1.999), true],
    ['if three did not show what was written', { ...open, lateness: 3 }, true],
    ['not if two did not', { ...open, lateness: 2 }, false],
  ])('%s', (_, watch, broken) => {
    expect(isBroken(watch)).toBe(broken);
  });

  it.each<[string, number, number]>([
    ['shows something after a retryPeriod', 7, 0],
    ['shows something sooner', 6.999, 5],
  ])('no longer, if one %s', (_, now, useless) => {
    const watch = watchOpened(watchDue({ ...five, openAt: at(5) }, at(5), 0), at(5));
    expect(showing(watch, '7', now).uselessInARow).toBe(useless);
  });

  it('and it gets worse with each useless or late stream', () => {
    expect(isWorse(another(five, 5, 0.5), five)).toBe(true);
    expect(isWorse({ ...open, lateness: 1 }, open)).toBe(true);
    expect(isWorse(five, five)).toBe(false);
    expect(isWorse({ ...open, lateness: 1 }, { ...open, lateness: 2, uselessInARow: 1 })).toBe(false);
  });
});

describe('after a stream has ended', () => {
  const ends = (watch: Watch, now: number, problem?: LeaseRequestError, chance = 0): Watch =>
    watchEnded(watch, problem, at(now), chance);
  const twice = another(another(opening, 0, 1), 1, 1);
  it.each<[string, Watch, number, string]>([
    ['that was open, the next is opened at once', ends(open, 1.5), 1.5, 'connecting'],
    [
      'that was open, the next waits if the server asks for that',
      ends(open, 1.5, busy(5_000)),
      6.5,
      'connecting',
    ],
    ['the next waits 30 retryPeriods at most', ends(open, 1.5, busy(1e9)), 61.5, 'connecting'],
    ['that did not open, the next waits a retryPeriod', ends(opening, 1), 3, 'connecting'],
    ['and one before it, the next waits a retryPeriod', twice, 4, 'connecting'],
    ['that lasted, the next is opened at once', another(twice, 4, 2), 6, 'connecting'],
    ['that lasted not quite, the next waits', another(twice, 4, 1.999), 7.999, 'connecting'],
    ['that lasted, and a short one, the next waits', another(another(twice, 4, 2), 6, 1), 9, 'connecting'],
    ['a crowd opens the next at random times', ends(opening, 1, undefined, 0.5), 3.5, 'connecting'],
    ['because it is denied, the next waits 30 retryPeriods', ends(open, 1.5, denied), 61.5, 'denied'],
  ])('%s', (_, watch, openAt, state) => {
    expect(Number(watch.openAt) / 1000).toBeCloseTo(openAt, 6);
    expect(watch).toMatchObject({ state, isStreaming: false, awaited: undefined, giveUpAt: undefined });
  });

  it('its problem counts as reported until a stream opens', () => {
    const ended = ends(open, 2, busy());
    expect(ended.reported).toBe('LEADER_SERVER_ERROR');
    expect(another(ended, 3, 'never').reported).toBe('LEADER_SERVER_ERROR');
    expect(another(ended, 3, 'never', denied).reported).toBe('LEADER_FORBIDDEN');
    expect(another(ended, 3, 1).reported).toBeUndefined();
  });

  it.each<[string, number, number]>([
    ['lived for the longest wait', 65, 0],
    ['ended sooner', 64.999, 3],
  ])('that %s: how late streams are', (_, now, lateness) => {
    expect(ends({ ...open, lateness: 3 }, now).lateness).toBe(lateness);
  });
});

describe('what a reply showed', () => {
  const shown = showing(open, '5', 1);
  const news = showing(shown, '6', 2);
  it.each<[string, Watch, string | undefined, boolean, number]>([
    ['must be shown within a retryPeriod', shown, '7', false, 5],
    ['must be shown at once, if it is overdue', shown, '7', true, 3],
    ['must be shown within two, after a late stream', { ...shown, lateness: 1 }, '7', false, 7],
    ['must be shown within two, also if it is overdue', { ...shown, lateness: 1 }, '7', true, 7],
    ['must be shown, if it is that there is no Lease', shown, undefined, false, 5],
    ['has been shown', shown, '5', false, Infinity],
    ['cannot be shown by a stream that is not open', opening, '7', false, 10],
    ['is not awaited beside something else', watchExpected(shown, '7', false, at(2)), '8', false, 4],
  ])('%s', (_, watch, version, isOverdue, dueAt) => {
    expect(watchDueAt(watchExpected(watch, version, isOverdue, at(3))) / 1000).toBe(dueAt);
  });

  it('ends the wait when a stream shows it or something newer', () => {
    const awaiting = watchExpected(shown, '7', false, at(3));
    expect(showing(awaiting, '6', 4).awaited).toBeDefined();
    expect(showing(awaiting, '7', 4).awaited).toBeUndefined();
    expect(showing(awaiting, '8', 4).awaited).toBeUndefined();
    const gone = watchExpected(shown, undefined, false, at(3));
    expect(gone.awaited).toMatchObject({ version: '6' });
    expect(watchShowed(gone, { kind: 'deleted', resourceVersion: '6' }, at(4)).awaited).toBeUndefined();
  });

  it('replaces a stream that does not show it, and the next ones get twice as long, up to 32 retryPeriods', () => {
    let watch = shown;
    const waits: number[] = [];
    for (let now = 10; waits.length < 7; now += 100) {
      watch = watchExpected(watch, String(now), false, at(now));
      waits.push((watchDueAt(watch) - at(now)) / 1000);
      const before = watch.stream;
      expect(watchDue(watch, (watchDueAt(watch) - 1) as MonotonicMs, 0)).toBe(watch);
      watch = watchDue(watch, watchDueAt(watch), 0);
      expect(watch).toMatchObject({ stream: before + 1, state: 'connecting', isStreaming: true });
      watch = watchOpened(watch, at(now + 80));
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 64]);
  });

  it.each<[string, Watch, number, number]>([
    ['in time, is no longer late', { ...news, lateness: 2 }, 5, 0],
    ['after more than a retryPeriod, is as late as before', { ...news, lateness: 2 }, 5.001, 2],
    ['as its first event, proves nothing', { ...open, lateness: 2 }, 5, 2],
  ])('a stream that shows it %s', (_, watch, now, lateness) => {
    expect(showing(watchExpected(watch, '9', false, at(3)), '9', now).lateness).toBe(lateness);
  });

  it('that a stream has shown as news proves that it is not late; one that its first event has shown does not', () => {
    expect(watchExpected({ ...news, lateness: 2 }, '6', false, at(3)).lateness).toBe(0);
    expect(watchExpected({ ...shown, lateness: 2 }, '5', false, at(3)).lateness).toBe(2);
    const next = watchOpened(watchRenewed({ ...news, lateness: 2 }, at(3)), at(4));
    expect(watchExpected(next, '6', false, at(5)).lateness).toBe(2);
    expect(showing(next, '6', 5).newsVersion).toBe('0');
  });

  it('in an older version than before is not the newest', () => {
    expect(showing(news, '4', 3).shownVersion).toBe('6');
  });
});

describe('a stream', () => {
  it('that does not open within five retryPeriods is given up', () => {
    expect(watchDueAt(opening)).toBe(at(10));
    expect(watchDue(opening, at(9.999), 0)).toBe(opening);
    expect(watchDue(opening, at(10), 0)).toMatchObject({
      isStreaming: false,
      openAt: at(12),
      giveUpAt: undefined,
    });
    expect(watchDueAt(open)).toBe(Infinity);
  });

  it('is the next one when it is due, and not before', () => {
    const ended = watchEnded(opening, undefined, at(1), 0);
    expect(watchDue(ended, at(2.999), 0)).toBe(ended);
    expect(watchDue(ended, at(3), 0)).toMatchObject({ stream: 2, giveUpAt: at(13), openAt: undefined });
  });

  it('is replaced only if it is open', () => {
    expect(watchRenewed(open, at(2))).toMatchObject({ stream: 2, state: 'connecting' });
    expect(watchRenewed(opening, at(2))).toBe(opening);
  });

  it('is not opened without support, or after the end', () => {
    expect(watchStarted(fresh, false, at(0))).toMatchObject({ state: 'unsupported', isStreaming: false });
    const stopped = watchStopped(watchEnded(open, undefined, at(2), 0));
    expect(stopped).toMatchObject({ state: 'closed', isStreaming: false });
    expect(watchDueAt(stopped)).toBe(Infinity);
  });
});
