/** Which problems the state shows after a step, and until when (G7). */
import { describe, expect, it } from 'vitest';
import {
  LeaseRequestError,
  type LeaderErrorCode,
  type MicroTime,
  type MonotonicMs,
} from '../../lib/election/index.js';
import { WriteNotKeptError } from '../../lib/election/lease.js';
import type { ElectionEffect, MachineEvent } from '../../lib/election/machine.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { ElectionByHand, errorsIn, writeIn } from './election-by-hand.js';
import { recordOf } from './records.js';

const failure = (code: LeaderErrorCode): LeaseRequestError =>
  new LeaseRequestError(code, 'planted', { maybeCommitted: false });
const DENIED = failure('LEADER_FORBIDDEN');
const UNREACHABLE = failure('LEADER_UNREACHABLE');
const SHOWN = ['LEADER_FORBIDDEN'];
/** By then the first renewal of a term is due. */
const RENEWAL_IS_DUE_MS = 4_000;

describe('a write that fails is shown', () => {
  it('by a leader, also when its record is seen again, and while the work of a hand-over runs', () => {
    const election = new ElectionByHand().leads();
    election.running = 1;
    election.writeFails(4_001, writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' })), DENIED);
    expect(election.problems).toEqual(SHOWN);
    // Somebody edits a label.
    election.shown(4_002, election.lease.record);
    expect(election.problems).toEqual(SHOWN);
    election.stands = false;
    election.at(4_003, { type: 'timePassed' });
    election.at(4_003, { type: 'termClosed', term: 1 });
    expect(election.picture).toMatchObject({ kind: 'handingOver', problems: [DENIED] });
  });

  it('by a follower while it wants to lead', () => {
    const election = new ElectionByHand();
    election.writeFails(4, election.claims(), DENIED);
    expect(election.problems).toEqual(SHOWN);
    election.stands = false;
    election.at(5, { type: 'timePassed' });
    expect(election.problems).toEqual([]);
  });

  it.each([
    ['not in a cool-down', 5_001, []],
    ['but from its end', 5_002, SHOWN],
  ])('by a follower, %s', (_, failsAt, shown) => {
    const election = new ElectionByHand().leads();
    const renewal = writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' }));
    election.written(4_002, writeIn(election.stepsDown(4_001, 1_000)));
    election.writeFails(failsAt, renewal, DENIED);
    expect(election.problems).toEqual(shown);
  });

  it.each<[string, (election: ElectionByHand) => unknown, readonly string[]]>([
    ['until another process holds the lease', (election) => election.shown(5, recordOf('bing')), []],
    [
      'although another process held the lease until now',
      (election) => election.shows(5, { ...election.stored(recordOf('bing')), ageMs: 15_000 }),
      SHOWN,
    ],
    ['although the Lease was deleted', (election) => election.deleted(5), SHOWN],
  ])('by a follower, %s', (_, happens, shown) => {
    const election = new ElectionByHand();
    const claim = writeIn(election.finds(recordOf('')));
    election.writeFails(4, claim, DENIED);
    happens(election);
    expect(election.problems).toEqual(shown);
  });

  it('although the server has stored it with another holder, whatever becomes of other writes', () => {
    const election = new ElectionByHand();
    const first = election.claims();
    const second = writeIn(election.at(2_002, { type: 'timePassed' }));
    const lock = new SimulatedLease(new SimulatedTime()).lock('baz');
    const kept = election.stored(recordOf('hook'));
    election.writeFails(2_003, first, new WriteNotKeptError(lock, ['holderIdentity'], kept.resourceVersion));
    election.writeFails(2_004, second, DENIED);
    election.read(2_005, election.state.sent, kept);
    expect(election.picture).toMatchObject({ leader: 'hook' });
    expect(election.problems).toEqual(SHOWN);
  });
});

it('writes that are refused as conflicts are shown from the third in a row, also when our own record is seen each time', () => {
  const election = new ElectionByHand().leads();
  const seesOurs = (now: number): readonly ElectionEffect[] =>
    election.read(now, election.state.sent, election.lease);
  election.conflicts(4_001, writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' })));
  election.conflicts(4_003, writeIn(seesOurs(4_002)));
  seesOurs(4_004);
  expect(election.problems).toEqual([]);
  election.conflicts(6_001, writeIn(election.at(6_000, { type: 'timePassed' })));
  expect(election.problems).toEqual(['LEADER_WRITE_CONFLICT']);
});

describe('a read that fails', () => {
  it('is reported by a leader, but not shown: it needs no reads, even without a watch', () => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    const look = { sentAt: -1 as MonotonicMs, reply: { ok: true, value: undefined } } as const;
    election.written(4, writeIn(election.at(1, { type: 'looked', ...look })));
    expect(errorsIn(election.readFails(5, 1, DENIED))).toEqual(SHOWN);
    expect(election.picture).toMatchObject({ kind: 'leading', problems: [] });
  });

  it('is shown by a follower that polls until a read succeeds, whatever it sees meanwhile', () => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    election.read(1, 1, election.stored(recordOf('bing')));
    election.at(2_000, { type: 'timePassed' });
    election.readFails(2_001, 2, DENIED);
    const snapshot = election.stored(recordOf('bing', { wantedBy: 'baz' }));
    const reply = { ok: true, value: { kind: 'written', snapshot } } as const;
    election.at(2_002, { type: 'asked', sentAt: election.reading.now, reply });
    expect(election.problems).toEqual(SHOWN);
    election.at(4_000, { type: 'timePassed' });
    election.read(4_001, 3, snapshot);
    expect(election.problems).toEqual([]);
  });
});

it('a failed request for the lease of another holder is shown until one succeeds; that the lease has changed is no failure', () => {
  const election = new ElectionByHand();
  election.finds(recordOf('bing'));
  const sentAt = election.reading.now;
  election.at(5, { type: 'asked', sentAt, reply: { ok: false, error: DENIED } });
  expect(election.problems).toEqual(SHOWN);
  const later = election.reading.now;
  election.at(6, { type: 'asked', sentAt: later, reply: { ok: true, value: { kind: 'conflict' } } });
  expect(election.problems).toEqual([]);
});

describe('a release that failed', () => {
  /** It is given up after renewDeadline. */
  function failed(election: ElectionByHand, begin: () => readonly unknown[]): ElectionByHand {
    election.leads();
    election.shows(4, election.lease);
    begin();
    election.writeFails(6, { number: election.state.sent } as never, DENIED);
    election.at(505, { type: 'timePassed' });
    const effects = election.readFails(10_005, election.state.sent, DENIED);
    expect(errorsIn(effects)).toContain('LEADER_RELEASE_FAILED');
    return election;
  }
  function failedIn(cooldown: number): ElectionByHand {
    const election = new ElectionByHand();
    return failed(election, () => election.stepsDown(5, cooldown));
  }

  it('is shown until the lease has run out, even without an event', () => {
    const election = failedIn(60_000);
    expect(election.problems).toEqual(['LEADER_RELEASE_FAILED']);
    expect(election.state.wakeAt).toBeLessThanOrEqual(15_002);
    election.at(15_001, { type: 'timePassed' });
    expect(election.problems).toEqual(['LEADER_RELEASE_FAILED']);
    election.at(15_002, { type: 'timePassed' });
    expect(election.problems).toEqual([]);
  });

  it.each<[string, (election: ElectionByHand) => unknown, readonly string[]]>([
    [
      'although a label was edited',
      (election) => election.shown(10_006, election.lease.record),
      ['LEADER_RELEASE_FAILED'],
    ],
    ['until another process holds it', (election) => election.shown(10_006, recordOf('bing')), []],
    ['until nobody holds it', (election) => election.shown(10_006, recordOf('')), []],
    ['until it is deleted', (election) => election.deleted(10_006), []],
  ])('is shown %s', (_, happens, shown) => {
    const election = failedIn(60_000);
    happens(election);
    expect(election.problems).toEqual(shown);
  });

  it('is shown until this process leads again', () => {
    const election = failedIn(1_000);
    const claim = writeIn(election.at(11_005, { type: 'timePassed' }));
    expect(election.problems).toEqual(['LEADER_RELEASE_FAILED']);
    election.written(11_006, claim);
    expect(election.picture).toMatchObject({ kind: 'leading', problems: [] });
  });

  it('does not wake an election that has stopped', () => {
    const election = new ElectionByHand();
    failed(election, () => [
      election.at(5, { type: 'stop' }),
      election.at(5, { type: 'termClosed', term: 1 }),
    ]);
    expect(election.picture).toEqual({ kind: 'stopped' });
    expect(election.state.wakeAt).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('watches', () => {
  /** Each watch opens, and ends at the same instant. Returns the errors that are told. */
  function cut(election: ElectionByHand, times: number, problem?: LeaseRequestError): LeaderErrorCode[] {
    return Array.from({ length: times }, () => {
      const { stream } = election.state.watch;
      const ends = election.at(election.now, { type: 'watchEnded', stream, problem });
      const next = election.at(election.state.watch.openAt ?? election.now, { type: 'timePassed' });
      election.at(election.now, { type: 'watchOpened', stream: election.state.watch.stream });
      return errorsIn([...ends, ...next]);
    }).flat();
  }

  it('that are cut again and again are reported once, and shown until one lasts', () => {
    const election = new ElectionByHand();
    election.finds(recordOf('bing', { leaseDurationSeconds: 120 }));
    expect(cut(election, 12).filter((code) => code !== 'LEADER_DURATIONS_DIFFER')).toEqual([
      'LEADER_WATCH_BROKEN',
    ]);
    expect(election.picture).toMatchObject({ watch: 'open' });
    expect(election.problems).toContain('LEADER_WATCH_BROKEN');
    election.shows(election.now + 2_000, election.lease);
    expect(election.problems).not.toContain('LEADER_WATCH_BROKEN');
  });

  it('that fail again and again are reported by their error, then once as useless, and a refusal is reported also then', () => {
    const election = new ElectionByHand({ leaseDuration: 120_000 });
    election.finds(recordOf('bing', { leaseDurationSeconds: 120 }));
    const each = 'LEADER_UNREACHABLE';
    expect(cut(election, 12, UNREACHABLE)).toEqual([each, each, each, each, each, 'LEADER_WATCH_BROKEN']);
    const { stream } = election.state.watch;
    election.at(election.now, { type: 'watchEnded', stream, problem: UNREACHABLE });
    election.at(election.state.watch.openAt ?? election.now, { type: 'timePassed' });
    const refused: MachineEvent = { type: 'watchEnded', stream: stream + 1, problem: DENIED };
    expect(errorsIn(election.at(election.now, refused))).toEqual(['LEADER_WATCH_DENIED']);
  });

  it('that do not open for one reason are reported once', () => {
    const election = new ElectionByHand();
    election.finds(recordOf('bing'));
    const errors = [1, 2, 3].map((stream) => {
      const effects = election.at(election.now, { type: 'watchEnded', stream, problem: UNREACHABLE });
      election.at(election.state.watch.openAt ?? election.now, { type: 'timePassed' });
      return errorsIn(effects);
    });
    expect(errors).toEqual([['LEADER_UNREACHABLE'], [], []]);
  });
});

it('a lease that must be respected for very long is reported once, although less and less of it is left', () => {
  const election = new ElectionByHand();
  const record = recordOf('bing', { leaseDurationSeconds: 1_000 });
  expect(errorsIn(election.finds(record))).toEqual(['LEADER_LONG_LEASE']);
  expect(errorsIn(election.at(60_000, { type: 'timePassed' }))).toEqual([]);
});

describe('another process with our identity is shown', () => {
  const ours = (second: number): ReturnType<typeof recordOf> =>
    recordOf('baz', { renewTime: `2001-02-03T04:05:0${String(second)}.000000Z` as MicroTime });

  it('once it has changed its record, not for the first, which an earlier life of this process may have written', () => {
    const election = new ElectionByHand();
    election.finds(recordOf('bing'));
    election.shown(3, ours(1));
    expect(election.problems).toEqual([]);
    election.shown(4, ours(2));
    expect(election.problems).toEqual(['LEADER_NAMESAKE']);
  });

  it('also while a read is in flight, but not while a write is: the server may have stored that with other values', () => {
    const reads = new ElectionByHand();
    reads.at(0, { type: 'start', objection: undefined });
    reads.shown(2, ours(1));
    reads.shown(3, ours(2));
    expect(reads.problems).toEqual(['LEADER_NAMESAKE']);

    const writes = new ElectionByHand();
    writes.finds(recordOf(''));
    writes.shown(4, ours(1));
    writes.shown(5, ours(2));
    expect(writes.problems).toEqual([]);
  });
});
