/** Properties of single steps of the machine: what comes first at one instant, which events are ignored, and what is sent next. */
import { describe, expect, it } from 'vitest';
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import { LeaseRequestError, type LeaseSnapshot } from '../../lib/election/index.js';
import {
  campaignAt,
  extendTerm,
  newLife,
  type Life,
  type LifeTurn,
  type Term,
} from '../../lib/election/life.js';
import {
  describe as describeElection,
  freeAt,
  noteToAsk,
  releaseAtExit,
  step,
  type ElectionEffect,
  type MachineEvent,
} from '../../lib/election/machine.js';
import { holderIn } from '../../lib/election/observation.js';
import { ElectionByHand, OPTIONS, errorsIn, kinds, writeIn, type WriteEffect } from './election-by-hand.js';
import { recordOf } from './records.js';

/** After the first write of a term, the next is due. */
const RENEWAL_IS_DUE_MS = 4_000;
const LOST = new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: true });
const DENIED = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });

describe('at one instant', () => {
  it('an event counts, although the watch is due to be reopened because it has shown nothing', () => {
    const waits = new ElectionByHand();
    waits.leads();
    // The watch has not shown the first write for a retryPeriod.
    expect(waits.state.watch.awaited?.dueAt).toBe(2_004);
    expect(kinds(waits.at(2_004, { type: 'timePassed' }))).toEqual(['closeWatch', 'openWatch', 'measure']);

    const sees = new ElectionByHand();
    sees.leads();
    expect(kinds(sees.shown(2_004, recordOf('bing')))).toContain('stoppedLeading');
    expect(sees.state.watch.stream).toBe(1);
  });

  it('the end of the validity comes before a reply that would have extended it', () => {
    const election = new ElectionByHand();
    election.leads();
    const renewal = writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' }));
    const effects = election.written(10_002, renewal);
    expect(effects).toContainEqual({
      do: 'endTerm',
      term: 1,
      reason: 'deadline',
      renewedAt: expect.anything(),
    });
    expect(election.state.life.phase.kind).toBe('following');
    // The record is its own: it claims the lease for a second term.
    expect(writeIn(effects).record.holderIdentity).toBe('baz');
  });

  it('stepping down comes before a renewal that is due: nothing is sent until work was told to stop', () => {
    const election = new ElectionByHand();
    election.leads();
    const effects = election.at(RENEWAL_IS_DUE_MS, { type: 'stepDown', cooldown: 0 });
    expect(effects).toContainEqual({ do: 'closeTerm', term: 1, reason: 'steppedDown' });
    expect(kinds(effects)).not.toContain('write');
    // Without work the release is sent, without a renewal, which would conflict with it.
    const writes = election
      .at(RENEWAL_IS_DUE_MS, { type: 'termClosed', term: 1 })
      .filter((effect) => effect.do === 'write');
    expect(writes.map(({ record }) => record.holderIdentity)).toEqual(['']);
  });
});

describe('a watch that was replaced, or has ended', () => {
  const snapshot = { record: recordOf('bing'), resourceVersion: '99', uid: 'uid' };
  const late: [string, (stream: number) => MachineEvent][] = [
    ['opens', (stream) => ({ type: 'watchOpened', stream })],
    ['shows something', (stream) => ({ type: 'watchShowed', stream, event: { kind: 'seen', snapshot } })],
    ['ends', (stream) => ({ type: 'watchEnded', stream, problem: undefined })],
  ];

  it.each(late)('%s: ignored', (_, happening) => {
    const election = new ElectionByHand();
    election.leads();
    election.at(2_004, { type: 'timePassed' });
    expect(election.state.watch).toMatchObject({ stream: 2, isStreaming: true });
    const replaced = election.state;
    expect(election.at(2_005, happening(1))).toEqual([]);
    expect(election.state.watch).toEqual(replaced.watch);
    expect(election.state.sight).toEqual(replaced.sight);

    // The second stream was never open, so there is a pause before the third.
    election.at(2_006, { type: 'watchEnded', stream: 2, problem: undefined });
    expect(election.state.watch).toMatchObject({ stream: 2, isStreaming: false });
    const ended = election.state;
    expect(election.at(2_007, happening(2))).toEqual([]);
    expect(election.state.watch).toEqual(ended.watch);
    expect(election.state.sight).toEqual(ended.sight);
  });
});

describe('a watch that opens again while a follower reads', () => {
  it('is followed by another read: a Lease may have been deleted after the first was sent', () => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    const bing = { ok: true, value: election.stored(recordOf('bing')) } as const;
    election.at(1, { type: 'readReplied', number: 1, reply: bing });
    expect(kinds(election.at(2, { type: 'watchOpened', stream: 1 }))).toContain('read');
    expect(kinds(election.at(3, { type: 'watchEnded', stream: 1, problem: undefined }))).toContain(
      'openWatch',
    );
    election.at(4, { type: 'watchOpened', stream: 2 });
    expect(kinds(election.at(5, { type: 'readReplied', number: 2, reply: bing }))).toContain('read');
    expect(kinds(election.at(6, { type: 'readReplied', number: 3, reply: bing }))).toEqual([]);
  });
});

describe('work of a lost term that begins after the loss', () => {
  it('is waited for, and the election continues when it has ended', () => {
    const election = new ElectionByHand();
    election.leads();
    election.shown(5, recordOf('bing'));
    election.running = 1;
    expect(kinds(election.at(6, { type: 'timePassed' }))).toEqual(['awaitIdle']);
    expect(kinds(election.at(7, { type: 'timePassed' }))).toEqual([]);
    expect(campaignAt(election.state.life, 1)).toBe(5 + OPTIONS.drainTimeout);
    election.running = 0;
    election.at(8, { type: 'workIdle' });
    expect(campaignAt(election.state.life, 0)).toBe(Number.NEGATIVE_INFINITY);
  });

  it('and work that begins as the last work ends are waited for before the lease is released', () => {
    const election = new ElectionByHand();
    election.leads();
    election.running = 1;
    election.at(5, { type: 'stop' });
    election.at(5, { type: 'termClosed', term: 1 });
    expect(kinds(election.at(6, { type: 'workIdle' }))).toEqual(['awaitIdle']);
    election.running = 0;
    expect(writeIn(election.at(7, { type: 'workIdle' })).record.holderIdentity).toBe('');
  });
});

describe('a lease that must be respected for very long', () => {
  it('is no longer a problem when little of it is left, even without an event', () => {
    const election = new ElectionByHand();
    election.finds(recordOf('bing', { leaseDurationSeconds: 151 }));
    expect(election.problems).toEqual(['LEADER_LONG_LEASE']);
    const shortFrom = 2 + 151_000 - 10 * OPTIONS.leaseDuration;
    expect(election.state.wakeAt).toBe(shortFrom);
    election.at(shortFrom, { type: 'timePassed' });
    // What remains is that the holder does not have our duration.
    expect(election.problems).toEqual(['LEADER_DURATIONS_DIFFER']);
  });
});

describe('a watch that opens and fails at one instant', () => {
  it('is a problem that the state shows', () => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    election.at(1, { type: 'watchOpened', stream: 1 });
    const problem = new LeaseRequestError('LEADER_UNREACHABLE', 'gone', { maybeCommitted: false });
    election.at(1, { type: 'watchEnded', stream: 1, problem });
    const at = { now: 1 as MonotonicMs, date: 1_000_000_000_001 as WallMs };
    expect(describeElection(election.state, at)).toMatchObject({ problems: [problem] });
    election.at(2, { type: 'watchOpened', stream: 2 });
    expect(describeElection(election.state, at)).toMatchObject({ problems: [] });
  });
});

describe('a read that is answered after a watch has shown another holder', () => {
  it.each(['own', 'for a user'])('is ignored: %s', (whose) => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    election.at(1, { type: 'watchOpened', stream: 1 });
    const reply = { ok: true, value: election.stored(recordOf('bing')) } as const;
    const own: MachineEvent = { type: 'readReplied', number: 1, reply };
    const beside: MachineEvent = { type: 'looked', sentAt: 1 as MonotonicMs, reply };
    const [first, late] = whose === 'own' ? [beside, own] : [own, beside];
    election.at(2, first);
    election.shown(3, recordOf('other'));
    expect(kinds(election.at(4, late))).toEqual([]);
    expect(holderIn(election.state.sight.observation)).toBe('other');
  });
});

it('a read for a user that shows what the open watch has not shown yet leaves it retryPeriod to show it', () => {
  const election = new ElectionByHand();
  election.finds(recordOf('bing'));
  election.shows(3, election.lease);
  const reply = { ok: true, value: election.stored(recordOf('other')) } as const;
  const looked = election.at(5, { type: 'looked', sentAt: 4 as MonotonicMs, reply });
  expect(kinds(looked)).not.toContain('closeWatch');
  expect(kinds(election.at(2_005, { type: 'timePassed' }))).toContain('closeWatch');
});

it('an overdue read that finds no Lease has a watch replaced that has missed the deletion', () => {
  const election = new ElectionByHand();
  election.finds(recordOf('bing'));
  election.shown(3, recordOf('bing'));
  expect(kinds(election.at(7_100, { type: 'timePassed' }))).toEqual(['read']);
  expect(kinds(election.read(7_102, 2, undefined))).toContain('closeWatch');
});

it('an overdue read that finds no Lease again leaves the watch as it is', () => {
  const election = new ElectionByHand();
  election.stands = false;
  election.finds(undefined);
  expect(kinds(election.at(7_100, { type: 'timePassed' }))).toEqual(['read']);
  expect(kinds(election.read(7_102, 2, undefined))).toEqual([]);
});

it('an overdue read that finds no Lease is repeated if the watch has shown a newer one meanwhile', () => {
  const election = new ElectionByHand();
  election.finds(recordOf('bing'));
  election.shown(3, recordOf('bing'));
  expect(kinds(election.at(7_100, { type: 'timePassed' }))).toEqual(['read']);
  election.shown(7_101, recordOf('other'));
  expect(kinds(election.read(7_102, 2, undefined))).toEqual(['read']);
});

describe('a claim that is in flight when the elector is stopped', () => {
  function stoppedWhileItClaims(): { election: ElectionByHand; claim: WriteEffect } {
    const election = new ElectionByHand();
    const claim = election.claims();
    expect(kinds(election.at(3, { type: 'stop' }))).toEqual(['awaitIdle']);
    expect(kinds(election.at(3, { type: 'workIdle' }))).toEqual([]);
    return { election, claim };
  }

  it('is waited for, and the lease that it acquires is released', () => {
    const { election, claim } = stoppedWhileItClaims();
    const effects = election.written(4, claim);
    expect(kinds(effects)).not.toContain('startedLeading');
    expect(writeIn(effects).record).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
  });

  it('is waited for, and after a conflict a read shows that there is nothing to release', () => {
    const { election, claim } = stoppedWhileItClaims();
    const { number } = claim;
    const conflict = { ok: true, value: { kind: 'conflict' } } as const;
    const [read] = election.at(4, { type: 'writeReplied', number, reply: conflict });
    if (read?.do !== 'read') throw new Error('It does not read.');
    const reply = { ok: true, value: election.stored(recordOf('bing')) } as const;
    const effects = kinds(election.at(5, { type: 'readReplied', number: read.number, reply }));
    expect(effects).not.toContain('write');
    expect(election.state.life.phase.kind).toBe('stopped');
  });
});

describe('a claim that is answered while a stopping elector waits for work of a lost term', () => {
  it('begins no term, and the lease is released when the work has ended', () => {
    const election = new ElectionByHand();
    election.leads();
    election.running = 1;
    election.shown(5, recordOf('bing'));
    // By then work of the lost term no longer keeps it from campaigning, and the lease of the other has expired.
    const claim = writeIn(election.at(5 + OPTIONS.drainTimeout, { type: 'timePassed' }));
    election.at(20_006, { type: 'stop' });
    expect(kinds(election.written(20_007, claim))).not.toContain('startedLeading');
    expect(election.state.life.phase).toEqual({ kind: 'leaving', awaiting: 'work' });
    election.running = 0;
    expect(writeIn(election.at(20_008, { type: 'workIdle' })).record.holderIdentity).toBe('');
  });
});

describe('a stopping elector', () => {
  it('reports work that does not end within drainTimeout, even without an event until then', () => {
    const election = new ElectionByHand();
    election.leads();
    election.running = 1;
    election.at(6, { type: 'stop' });
    election.at(6, { type: 'termClosed', term: 1 });
    // The lease is lost, so there is no term whose validity would cause a wake-up.
    election.shown(7, recordOf('bing'));
    expect(election.state.life.phase).toEqual({ kind: 'leaving', awaiting: 'work' });
    let errors: string[] = [];
    while (errors.length === 0 && election.state.wakeAt <= 6 + OPTIONS.drainTimeout) {
      const effects = election.at(election.state.wakeAt, { type: 'timePassed' });
      errors = effects.flatMap((effect) =>
        effect.do === 'tell' && effect.event.type === 'error' ? [effect.event.error.code] : [],
      );
    }
    expect(errors).toEqual(['LEADER_DRAIN_TIMEOUT']);
    expect(election.now).toBe(6 + OPTIONS.drainTimeout);
  });

  it('closes its watch in its last step, and sets no wake-up', () => {
    const election = new ElectionByHand();
    election.leads();
    election.at(5, { type: 'stop' });
    const release = writeIn(election.at(5, { type: 'termClosed', term: 1 }));
    expect(election.written(7, release)).toContainEqual({ do: 'closeWatch', stream: 1 });
    expect(election.state.life.phase.kind).toBe('stopped');
    expect(election.state.wakeAt).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a release of unknown outcome', () => {
  it('may have let another process take over: the holder of a Lease that is then gone is respected', () => {
    const election = new ElectionByHand();
    election.leads();
    election.at(5, { type: 'stepDown', cooldown: 0 });
    const release = writeIn(election.at(5, { type: 'termClosed', term: 1 }));
    const error = new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'lost', { maybeCommitted: true });
    election.at(2_005, { type: 'writeReplied', number: release.number, reply: { ok: false, error } });
    const reply = { ok: true, value: undefined } as const;
    election.at(2_010, { type: 'readReplied', number: release.number + 1, reply });
    expect(election.state.life.phase.kind).toBe('following');
    expect(election.state.sight.observation).toMatchObject({ kind: 'absent', heldUntil: 2_010 + 15_000 });
  });
});

describe('a release in flight', () => {
  it('continues when the validity of its term runs out, and the term keeps its reason', () => {
    const election = new ElectionByHand();
    election.leads();
    election.at(5_000, { type: 'stepDown', cooldown: 0 });
    const release = writeIn(election.at(5_000, { type: 'termClosed', term: 1 }));
    expect(kinds(election.at(10_002, { type: 'timePassed' }))).not.toContain('stoppedLeading');
    expect(election.written(10_003, release)).toContainEqual({
      do: 'tell',
      event: { type: 'stoppedLeading', term: 1, reason: 'steppedDown' },
    });
  });
});

describe('a release', () => {
  it('that is confirmed after it would have been given up has not failed', () => {
    const election = new ElectionByHand().leads();
    const release = writeIn(election.stepsDown(5));
    const givenUpAt = 5 + OPTIONS.renewDeadline;
    expect(errorsIn(election.written(givenUpAt, release))).toEqual([]);
    expect(holderIn(election.state.sight.observation)).toBe('');
  });

  it('reads once at a time', () => {
    const election = new ElectionByHand().leads();
    const renewal = writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' }));
    election.writeFails(4_001, renewal, LOST);
    expect(kinds(election.stepsDown(4_002))).toContain('read');
    expect(kinds(election.at(4_003, { type: 'timePassed' }))).toEqual([]);
  });

  it('is not delayed by a read that was sent before it, and fails', () => {
    const election = new ElectionByHand().leads();
    election.writeFails(4_001, writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' })), LOST);
    const before = election.state.sent;
    election.stepsDown(4_002);
    election.readFails(4_003, before, DENIED);
    expect(kinds(election.read(4_004, election.state.sent, election.lease))).toContain('write');
  });

  it('of a later term has its own time', () => {
    const election = new ElectionByHand().leads();
    election.written(6, writeIn(election.stepsDown(5, 1_000)));
    election.written(1_007, writeIn(election.at(1_006, { type: 'timePassed' })));
    expect(writeIn(election.stepsDown(5 + OPTIONS.renewDeadline)).record.holderIdentity).toBe('');
  });
});

describe('what was written before a term ended or a release began is void: a stop does not wait for it', () => {
  function ends(election: ElectionByHand, now: number): void {
    expect(kinds(election.at(now, { type: 'workIdle' }))).not.toContain('read');
    expect(election.state.life.phase.kind).toBe('stopped');
  }

  it('when the Lease was deleted', () => {
    const election = new ElectionByHand({ onLost: 'exit' }).leads();
    election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' });
    election.deleted(4_001);
    ends(election, 4_001);
  });

  it('when a release has found that the Lease was deleted', () => {
    const election = new ElectionByHand().leads();
    const renewal = writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' }));
    election.writeFails(4_001, renewal, LOST);
    election.stepsDown(4_002, 60_000);
    election.read(4_003, election.state.sent, undefined);
    election.at(4_004, { type: 'stop' });
    ends(election, 4_004);
  });
});

describe('a renewal', () => {
  it('that was sent twice makes the next due one interval after the first, whichever is answered', () => {
    const election = new ElectionByHand().leads();
    const first = writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' }));
    writeIn(election.at(RENEWAL_IS_DUE_MS + OPTIONS.retryPeriod, { type: 'timePassed' }));
    election.written(6_001, first);
    expect(election.state.wakeAt).toBe(RENEWAL_IS_DUE_MS + OPTIONS.renewInterval);
  });

  it('that hangs and was sent again is looked for by one read, not by one for each that times out', () => {
    const election = new ElectionByHand().leads();
    const first = writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' }));
    const second = writeIn(election.at(RENEWAL_IS_DUE_MS + OPTIONS.retryPeriod, { type: 'timePassed' }));
    expect(kinds(election.writeFails(7_001, first, LOST))).toContain('read');
    election.read(7_003, election.state.sent, election.lease);
    expect(kinds(election.writeFails(7_500, second, LOST))).not.toContain('read');
  });

  it.each<[string, (election: ElectionByHand, renewal: WriteEffect) => readonly ElectionEffect[]]>([
    ['was refused as a conflict', (election, renewal) => election.conflicts(6_001, renewal)],
    ['has an unknown outcome', (election, renewal) => election.writeFails(6_001, renewal, LOST)],
  ])('that %s is followed by a read, although the last read has just failed', (_, happens) => {
    const election = new ElectionByHand().leads();
    election.writeFails(5_500, writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' })), LOST);
    election.readFails(5_501, election.state.sent, DENIED);
    // confirm() ends the doubt.
    const reply = { ok: true, value: election.lease } as const;
    election.at(5_503, { type: 'looked', sentAt: 5_502 as MonotonicMs, reply });
    const renewal = writeIn(election.at(6_000, { type: 'timePassed' }));
    expect(kinds(happens(election, renewal))).toContain('read');
  });
});

describe('a race that was lost, as an event has shown before the conflict', () => {
  it('does not slow the next claim: one that fails for a passing reason is repeated at once', () => {
    const election = new ElectionByHand();
    const claim = election.claims();
    election.shown(3, recordOf('bing'));
    election.read(4, election.state.sent, election.stored(recordOf('bing')));
    election.conflicts(5, claim);
    const next = writeIn(election.shown(300, recordOf('', { renewTime: undefined })));
    expect(kinds(election.writeFails(301, next, LOST))).toContain('write');
  });
});

describe('a claim that succeeds while the holder of an earlier Lease must be respected', () => {
  it('begins no term', () => {
    const election = new ElectionByHand();
    const { number, record } = election.claims();
    election.shown(3, recordOf('bing'));
    const snapshot = { record, resourceVersion: '9', uid: 'another' };
    const reply = { ok: true, value: { kind: 'written', snapshot } } as const;
    election.at(4, { type: 'writeReplied', number, reply });
    expect(election.picture).toMatchObject({ kind: 'following', leader: 'baz' });
  });
});

describe('a watch', () => {
  it('that has just opened gets the time to show what a poll shows, which was sent when nothing had been seen for long', () => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    election.read(1, 1, election.stored(recordOf('bing')));
    election.at(8_000, { type: 'timePassed' });
    election.at(8_001, { type: 'watchOpened', stream: 1 });
    election.read(8_002, 2, election.stored(recordOf('bing', { renewTime: undefined })));
    expect(election.state.watch).toMatchObject({ stream: 1, isStreaming: true });
  });

  it('that is silent is checked two intervals after its last event, however late the reply to a write comes', () => {
    const election = new ElectionByHand();
    election.finds(recordOf('bing'));
    const asks = election.stored(recordOf('bing', { wantedBy: 'baz' }));
    election.shows(10, asks);
    const { wakeAt } = election.state;
    expect(wakeAt).toBe(10 + 2.1 * OPTIONS.renewInterval);
    const reply = { ok: true, value: { kind: 'written', snapshot: asks } } as const;
    election.at(1_500, { type: 'asked', sentAt: 3 as MonotonicMs, reply });
    expect(election.state.wakeAt).toBe(wakeAt);
  });
});

it.each(['readReplied', 'writeReplied'] as const)(
  '%s: a reply to a request that was never sent changes nothing',
  (type) => {
    const election = new ElectionByHand().leads();
    const { state } = election;
    const reply = { ok: true, value: { kind: 'conflict' } } as never;
    expect(election.at(5, { type, number: 99, reply })).toEqual([]);
    expect(election.state).toEqual(state);
  },
);

describe('the write that asks for the lease', () => {
  const noteOf = ({ state, reading }: ElectionByHand): ReturnType<typeof noteToAsk> =>
    noteToAsk(state, reading);
  const follower = (record = recordOf('bing')): ElectionByHand => {
    const election = new ElectionByHand();
    election.finds(record);
    return election;
  };

  it('adds our name to the record of the holder', () => {
    const election = follower();
    expect(noteOf(election)).toEqual({
      base: election.lease,
      record: { ...election.lease.record, wantedBy: 'baz' },
    });
  });

  it.each<[string, () => ElectionByHand]>([
    ['if it does not want to lead', () => Object.assign(follower(), { stands: false })],
    ['if nobody holds the lease', () => follower(recordOf(''))],
    [
      'in doubt',
      () => {
        const election = follower();
        election.shows(3, { ...election.stored(recordOf('bong')), uid: 'another' });
        return election;
      },
    ],
    [
      'while it claims the lease again that its last term has left',
      () => {
        const election = new ElectionByHand().leads();
        election.at(2 + OPTIONS.renewDeadline, { type: 'timePassed' });
        return election;
      },
    ],
    [
      'while it stops',
      () => {
        const election = new ElectionByHand().leads();
        election.running = 1;
        election.at(5, { type: 'stop' });
        election.at(5, { type: 'termClosed', term: 1 });
        election.shown(6, recordOf('bing'));
        election.now += OPTIONS.drainTimeout;
        return election;
      },
    ],
  ])('is not sent %s', (_, prepared) => {
    expect(noteOf(prepared())).toBeUndefined();
  });

  it('is not sent before the end of a cool-down', () => {
    const election = new ElectionByHand().leads();
    election.written(6, writeIn(election.stepsDown(5, 1_000)));
    election.shown(7, recordOf('bing'));
    election.now = 1_005;
    expect(noteOf(election)).toBeUndefined();
    election.now = 1_006;
    expect(noteOf(election)).toBeDefined();
  });
});

describe('the guard', () => {
  it('of an earlier term that settles late does not open a later term', () => {
    const election = new ElectionByHand({ isGuarded: true });
    election.written(4, election.claims());
    expect(election.state.life.phase).toMatchObject({ kind: 'starting', term: { number: 1 } });
    election.shown(5, recordOf('bing'));
    const claim = writeIn(election.shown(6, recordOf('', { renewTime: undefined })));
    election.written(8, claim);
    expect(election.state.life.phase).toMatchObject({ kind: 'starting', term: { number: 2 } });

    const settled = { type: 'guardFinished', when: 'start', error: undefined } as const;
    expect(election.at(9, { ...settled, term: 1 })).toEqual([]);
    expect(kinds(election.at(10, { ...settled, term: 2 }))).toContain('startedLeading');
  });
});

describe('a hand-over', () => {
  it('calls the guard once, although workIdle comes twice', () => {
    const election = new ElectionByHand({ isGuarded: true });
    election.written(4, election.claims());
    election.at(5, { type: 'guardFinished', when: 'start', term: 1, error: undefined });
    election.running = 1;
    election.at(6, { type: 'stepDown', cooldown: 0 });
    election.at(6, { type: 'termClosed', term: 1 });
    election.running = 0;
    expect(kinds(election.at(7, { type: 'workIdle' }))).toEqual(['guard']);
    expect(kinds(election.at(7, { type: 'workIdle' }))).toEqual([]);
  });

  it('does not continue when the work of an earlier term was told to stop', () => {
    const election = new ElectionByHand();
    election.leads();
    election.shown(5, recordOf('bing'));
    election.written(8, writeIn(election.shown(6, recordOf('', { renewTime: undefined }))));
    election.at(9, { type: 'stepDown', cooldown: 0 });
    expect(election.at(9, { type: 'termClosed', term: 1 })).toEqual([]);
    expect(kinds(election.at(9, { type: 'termClosed', term: 2 }))).toContain('write');
  });
});

describe('an election wakes', () => {
  it('when its watch must be reopened, also while a release is in flight', () => {
    const election = new ElectionByHand().leads();
    election.stepsDown(5);
    expect(election.state.wakeAt).toBe(4 + OPTIONS.retryPeriod);
  });

  it('when its watch must be reopened, although there is no decision before the lease expires', () => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined });
    election.at(1, { type: 'watchOpened', stream: 1 });
    const value = election.stored(recordOf('bing'));
    election.at(2, { type: 'readReplied', number: 1, reply: { ok: true, value } });
    expect(election.state.wakeAt).toBe(2 + OPTIONS.retryPeriod);
    expect(kinds(election.at(election.state.wakeAt, { type: 'timePassed' }))).toContain('openWatch');
  });
});

describe('whether this process wants to lead', () => {
  it('is read in each step: if it does not, a leader hands over, and a follower does not claim', () => {
    const leader = new ElectionByHand();
    leader.leads();
    leader.stands = false;
    expect(leader.at(5, { type: 'timePassed' })).toEqual([
      { do: 'closeTerm', term: 1, reason: 'steppedDown' },
    ]);

    const follower = new ElectionByHand();
    follower.stands = false;
    follower.at(0, { type: 'start', objection: undefined });
    follower.at(1, { type: 'watchOpened', stream: 1 });
    const seen = follower.at(2, { type: 'readReplied', number: 1, reply: { ok: true, value: undefined } });
    expect(kinds(seen)).not.toContain('write');
    follower.stands = true;
    expect(kinds(follower.at(3, { type: 'timePassed' }))).toContain('write');
  });
});

describe('a term', () => {
  it('never becomes certain for a shorter time', () => {
    const validity = { sentOn: 20 as WallMs, until: 10_020 as MonotonicMs, untilDate: 10_020 as WallMs };
    const earlier = { sentOn: 10 as WallMs, until: 10_010 as MonotonicMs, untilDate: 10_010 as WallMs };
    const term: Term = {
      number: 1,
      fencingToken: 1n,
      slot: 0,
      startedAt: 0 as WallMs,
      beganAt: 0 as MonotonicMs,
      validity,
      renewAfter: 0,
    };
    const rules = { leaseName: 'simulated', drainTimeout: 0, onLost: 'campaign', isGuarded: false } as const;
    const life: Life = { ...newLife(rules), phase: { kind: 'leading', term } };
    const at = { now: 30 as MonotonicMs, date: 30 as WallMs, chance: 0, running: 0, stands: true };
    const turn: LifeTurn = { life, at, effects: [], picture: () => ({ kind: 'idle' }) };
    extendTerm(turn, { validity: earlier, renewAfter: 0 });
    expect(turn.life).toBe(life);
  });
});

describe('what is shown', () => {
  const follower = (record: LeaseSnapshot['record'] | undefined): ElectionByHand => {
    const election = new ElectionByHand();
    election.stands = false;
    election.at(0, { type: 'start', objection: undefined });
    election.at(1, { type: 'watchOpened', stream: 1 });
    const value = record && election.stored(record);
    election.at(2, { type: 'readReplied', number: 1, reply: { ok: true, value } });
    return election;
  };
  const shownBy = ({ state, now }: ElectionByHand): object =>
    describeElection(state, { now: now as MonotonicMs, date: now as WallMs });

  it('of a lease is its holder, what that wrote about itself, and until when it is respected', () => {
    const note = { priority: 3 };
    expect(shownBy(follower(recordOf('bing', { note })))).toMatchObject({
      kind: 'following',
      leader: 'bing',
      leaderNote: note,
      expiresAt: 15_002,
    });
  });

  it.each<[string, boolean | undefined, object]>([
    ['unless it says so', undefined, {}],
    ['if it says so', true, { campaigns: false }],
  ])('of a process is not that it never campaigns, %s', (_, abstains, shown) => {
    const election = new ElectionByHand();
    election.at(0, { type: 'start', objection: undefined, ...(abstains && { abstains }) });
    const { kind, leader, watch } = shownBy(election) as Record<string, unknown>;
    expect({ kind, leader, watch }).toEqual({ kind: 'following', leader: '', watch: 'connecting' });
    expect(shownBy(election)).toMatchObject(shown);
    expect('campaigns' in shownBy(election)).toBe('campaigns' in shown);
  });

  it('of when the lease may be claimed counts lockDelay, and is nothing before the lease was seen', () => {
    const election = new ElectionByHand({ lockDelay: 500 });
    expect(freeAt(election.state)).toBeUndefined();
    election.finds(recordOf('bing'));
    expect(freeAt(election.state)).toBe(2 + 15_000 + 500);
  });

  it('has no such instant if nobody is respected', () => {
    expect(shownBy(follower(undefined))).toMatchObject({ leader: '', expiresAt: undefined });
    expect(shownBy(follower(recordOf('')))).toMatchObject({ leader: '', expiresAt: undefined });
  });

  it.each([
    ['another candidate', 'bong', 'bong'],
    ['this process, which need not be told', 'baz', undefined],
  ])('in a hand-over is who has asked for it: %s', (_, wantedBy, askedBy) => {
    const election = new ElectionByHand();
    election.leads();
    election.at(5, { type: 'stepDown', cooldown: 0 });
    const { observation } = election.state.sight;
    if (observation.kind !== 'present') throw new Error('There is no Lease.');
    election.shown(6, { ...observation.snapshot.record, wantedBy });
    const picture = describeElection(election.state, {
      now: 6 as MonotonicMs,
      date: 1_000_000_000_006 as WallMs,
    });
    expect(picture).toMatchObject({ kind: 'handingOver', reason: 'steppedDown' });
    expect('askedBy' in picture ? picture.askedBy : undefined).toBe(askedBy);
  });
});

it('an election that has stopped stays as it is, whatever happens', () => {
  const election = new ElectionByHand();
  election.leads();
  election.at(5, { type: 'exit' });
  const { state } = election;
  expect(state.life.phase.kind).toBe('stopped');
  const found = { type: 'readReplied', number: 1, reply: { ok: true, value: undefined } } as const;
  for (const event of [found, { type: 'stop' }, { type: 'timePassed' }] as const) {
    expect(election.at(20_000, event)).toEqual([]);
    expect(election.state).toBe(state);
  }
});

describe('a process that exits', () => {
  const atExit = ({ state, now }: ElectionByHand, at = now): ReturnType<typeof releaseAtExit> =>
    releaseAtExit(state, {
      now: at as MonotonicMs,
      date: (1_000_000_000_000 + at) as WallMs,
      chance: 0,
      running: 0,
      stands: true,
    });

  it('releases the lease of its term, on top of the record that was seen last', () => {
    const election = new ElectionByHand();
    election.leads();
    expect(atExit(election)).toMatchObject({
      base: { resourceVersion: '1' },
      record: { holderIdentity: '', leaseDurationSeconds: 1 },
    });
  });

  it('reports no work that still runs, and tells once that it has stopped', () => {
    const election = new ElectionByHand({ drainTimeout: 1_000 }).leads();
    election.running = 1;
    election.writeFails(4_001, writeIn(election.at(RENEWAL_IS_DUE_MS, { type: 'timePassed' })), DENIED);
    election.stepsDown(4_002);
    election.stands = false;
    // The process was busy until now.
    const effects = election.at(6_000, { type: 'exit' });
    expect(effects.flatMap((effect) => (effect.do === 'tell' ? [effect.event.type] : []))).toEqual([
      'stateChanged',
      'stoppedLeading',
    ]);
  });

  it('has nothing to release without a term', () => {
    const follower = new ElectionByHand();
    follower.claims();
    expect(atExit(follower)).toBeUndefined();
    const stopped = new ElectionByHand();
    stopped.leads();
    stopped.at(5, { type: 'exit' });
    expect(atExit(stopped)).toBeUndefined();
  });

  it("leaves another's lease, and one that is owed to an earlier holder, as it is", () => {
    const election = new ElectionByHand();
    election.leads();
    const { sight } = election.state;
    const { observation } = sight;
    if (observation.kind !== 'present') throw new Error('There is no Lease.');
    const seeing = (more: object): ElectionByHand =>
      Object.assign(new ElectionByHand(), election, {
        state: { ...election.state, sight: { ...sight, observation: { ...observation, ...more } } },
      });
    expect(atExit(seeing({ mine: false }))).toBeUndefined();
    expect(atExit(seeing({ owedBefore: 100 }), 99)).toBeUndefined();
    expect(atExit(seeing({ owedBefore: 100 }), 100)).toBeDefined();
    expect(atExit(seeing({ kind: 'absent', version: '1' }))).toBeUndefined();
  });
});

it('a process writes its note into the records with which it claims and renews, if it has one', () => {
  const note = { priority: 3 };
  const claimBy = (about: object): LeaseSnapshot['record'] => {
    const reading = { date: 1_000_000_000_000 as WallMs, chance: 0, running: 0, stands: true, ...about };
    const started = step(new ElectionByHand().state, {
      type: 'start',
      objection: undefined,
      at: { ...reading, now: 0 as MonotonicMs },
    });
    const reply = { ok: true, value: undefined } as const;
    const at = { ...reading, now: 2 as MonotonicMs };
    return writeIn(step(started.state, { type: 'readReplied', number: 1, reply, at }).effects).record;
  };
  expect(claimBy({ note, process: 'pod 1' })).toMatchObject({ note, process: 'pod 1' });
  expect(claimBy({ note: undefined })).not.toHaveProperty('note');
  expect(claimBy({ process: undefined })).not.toHaveProperty('process');
});
