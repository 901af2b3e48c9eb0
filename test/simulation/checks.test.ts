/** What the simulation checks of each record and of each request, case by case; and how a watch of the simulated Lease hangs. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/errors.js';
import type { LeaseRecord, LeaseSnapshot, MicroTime, WatchEvent } from '../../lib/election/lease.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { brokenRule } from '../../lib/testing/simulation/record-rules.js';
import {
  RequestHistory,
  type Sending,
  type SentRequest,
} from '../../lib/testing/simulation/request-history.js';

const time = (seconds: number): MicroTime => `2026-01-01T00:00:${String(seconds)}.000000Z` as MicroTime;

const held: LeaseRecord = {
  holderIdentity: 'a',
  leaseDurationSeconds: 15,
  acquireTime: time(10),
  renewTime: time(20),
  leaseTransitions: 3,
  process: 'container-1',
};
const released: LeaseRecord = {
  holderIdentity: '',
  leaseDurationSeconds: 1,
  acquireTime: time(30),
  renewTime: time(30),
  leaseTransitions: 3,
};
const claimed: LeaseRecord = { ...held, acquireTime: time(31), renewTime: time(31), leaseTransitions: 4 };
const { process: _, ...bare } = held;

const lease = (record: LeaseRecord, carried?: unknown): LeaseSnapshot => ({
  record,
  resourceVersion: '1',
  uid: 'uid-1',
  carried,
});

describe('what a process may write', () => {
  const rules = { identity: 'a', leaseDuration: 15_000, lockDelay: 0, spread: false };
  const anotherHolder = { ...held, holderIdentity: 'b' };

  it.each<
    [what: string, before: LeaseRecord | undefined, after: LeaseRecord, isOwn: boolean, broken?: string]
  >([
    ['a first claim', undefined, { ...claimed, leaseTransitions: 0 }, false],
    ['a first claim that counts', undefined, { ...claimed, leaseTransitions: 1 }, false, 'G1'],
    ['a claim', released, claimed, false],
    ['a claim that does not count', released, { ...claimed, leaseTransitions: 3 }, false, 'G1'],
    ['a claim that keeps a request', released, { ...claimed, wantedBy: 'b' }, false, 'G1'],
    ['a new claim on its own record', held, { ...claimed, leaseTransitions: 3 }, true],
    ['a renewal', held, { ...held, renewTime: time(31) }, true],
    [
      'a renewal with another duration',
      held,
      { ...held, renewTime: time(31), leaseDurationSeconds: 9 },
      true,
      'G1',
    ],
    ['a release', held, released, true],
    ['a release with its duration', held, { ...released, leaseDurationSeconds: 15 }, true, 'G6'],
    ['a release that counts', held, { ...released, leaseTransitions: 4 }, true, 'G6'],
    ['a release that names its process', held, { ...released, process: 'container-1' }, true, 'G6'],
    [
      'a release that keeps a request',
      { ...held, wantedBy: 'b' },
      { ...released, wantedBy: 'b' },
      true,
      'G6',
    ],
    ["a release of another's record", anotherHolder, released, false, 'G1'],
    ["another's name", released, { ...claimed, holderIdentity: 'b' }, false, 'G1'],
    ['a request', anotherHolder, { ...anotherHolder, wantedBy: 'a' }, false],
    ['a request for another', anotherHolder, { ...anotherHolder, wantedBy: 'c' }, false, 'G1'],
    ['an early end', held, { ...bare, leaseDurationSeconds: 1, renewTime: time(31) }, true, 'G1'],
  ])('%s', (_what, before, after, isOwn, broken) => {
    expect(brokenRule(before && lease(before), lease(after), rules, isOwn)?.guarantee).toBe(broken);
  });

  it('lets its lease run out at the exit, if others are to wait for `lockDelay`', () => {
    const expired = { ...bare, leaseDurationSeconds: 1, renewTime: time(31) };
    expect(brokenRule(lease(held), lease(expired), { ...rules, lockDelay: 1_000 }, true)).toBeUndefined();
  });

  it('keeps a request that other candidates respect', () => {
    const [before, after] = [
      { ...held, wantedBy: 'b' },
      { ...released, wantedBy: 'b' },
    ];
    expect(brokenRule(lease(before), lease(after), { ...rules, spread: true }, true)).toBeUndefined();
    expect(brokenRule(lease(before), lease(released), { ...rules, spread: true }, true)?.guarantee).toBe(
      'G6',
    );
  });

  it('keeps what else the Lease contains', () => {
    const labels = { labels: {} };
    expect(brokenRule(lease(held, labels), lease(released, labels), rules, true)).toBeUndefined();
    expect(brokenRule(lease(held, labels), lease(released, { labels: {} }), rules, true)?.guarantee).toBe(
      'G7',
    );
  });
});

describe('what a process may send', () => {
  /** A process at 15/10/2 s, leading until `certainUntil`. */
  class Process {
    now = 0;
    certainUntil: number | undefined;
    readonly broken: string[] = [];
    readonly history = new RequestHistory(
      { renewDeadline: 10_000, renewInterval: 3_333, retryPeriod: 2_000, jitterFactor: 0.2 },
      {
        rate: 1,
        now: () => this.now,
        certainUntil: () => this.certainUntil,
        hasTerm: () => this.certainUntil !== undefined,
        broken: (what) => this.broken.push(what),
      },
    );

    sends(at: number, sending: Partial<Sending> = {}): SentRequest {
      this.now = at;
      return this.history.sent({
        purpose: 'write',
        base: lease(held),
        record: held,
        newConnection: true,
        ...sending,
      });
    }

    /** Has sent a claim at 0, and leads by it. */
    leading(): this {
      this.history.answered(this.sends(0), 'success');
      this.certainUntil = 10_000;
      return this;
    }

    fails(request: SentRequest, at: number, retryAfterMs?: number): void {
      this.now = at;
      const error = new LeaseRequestError('LEADER_THROTTLED', 'Simulated 429.', {
        maybeCommitted: false,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
      this.history.failed(request, error, false);
    }
  }

  it('a leader renews in time, and a request without an answer is sent again in time, on another connection', () => {
    const process = new Process().leading();
    const first = process.sends(3_333);
    process.sends(5_333);
    process.fails(first, 6_666);
    expect(process.broken).toEqual([]);
    process.sends(7_334, { newConnection: false });
    expect(process.broken).toEqual([
      expect.stringContaining('on the connection of one that is unanswered'),
      expect.stringContaining('leads and sends no request for 1 ms'),
    ]);
  });

  it('a request takes half of what is left at most', () => {
    const process = new Process().leading();
    const renewal = process.sends(3_333);
    process.fails(renewal, 6_667);
    expect(process.broken).toEqual([expect.stringContaining('for 3334 ms instead of 3334')]);
  });

  it('a leader obeys Retry-After, but for half of what is left at most', () => {
    const process = new Process().leading();
    process.fails(process.sends(3_333), 3_334, 60_000);
    process.sends(6_666, { purpose: 'read' });
    expect(process.broken).toEqual([expect.stringContaining('1 ms before the server has asked for one')]);
  });

  it('a leader does not obey Retry-After for longer', () => {
    const process = new Process().leading();
    process.fails(process.sends(3_333), 3_334, 60_000);
    const second = process.sends(6_667);
    expect(process.broken).toEqual([]);
    process.fails(second, 6_668, 60_000);
    process.sends(8_668);
    expect(process.broken).toEqual([expect.stringContaining('leads and sends no request')]);
  });

  it('a follower obeys Retry-After for renewDeadline at most', () => {
    const process = new Process();
    process.fails(process.sends(0), 1, 60_000);
    process.sends(10_001);
    expect(process.broken).toEqual([]);
  });

  // Seed 10211: a term is lost, a read goes before the process says so, and a claim in the same instant, which is refused.
  it('a read that may be one of a release, sent as late as the request that was refused, ends the wait', () => {
    const process = new Process();
    const read = process.sends(0, { purpose: 'releaseRead', base: undefined, record: undefined });
    process.fails(process.sends(0), 1, 900);
    process.now = 200;
    process.history.answered(read, 'success');
    process.sends(201);
    expect(process.broken).toEqual([]);
  });

  // Seed 1837: while the application asks for a confirmation, the election reads on its own account.
  it('a read that was perhaps for the application voids a Retry-After in the late reply to an earlier request', () => {
    const process = new Process();
    const write = process.sends(0);
    process.now = 11;
    process.history.answered(
      process.sends(10, { purpose: 'aside', base: undefined, record: undefined }),
      'success',
    );
    process.fails(write, 12, 3_000);
    process.sends(2_001);
    expect(process.broken).toEqual([]);
  });

  it('two requests of a kind go one right after the other, a third does not', () => {
    const process = new Process();
    for (const at of [0, 1]) process.fails(process.sends(at), at + 1);
    expect(process.broken).toEqual([]);
    process.sends(3);
    expect(process.broken).toEqual([expect.stringContaining('more requests (write) than one in 2000 ms')]);
  });

  describe('a term may run out', () => {
    it('if the newest write has met a fault', () => {
      const process = new Process().leading();
      for (const at of [3_333, 5_333, 7_333, 9_333]) process.fails(process.sends(at), at + 1);
      process.now = 10_000;
      expect(process.history.explainsDeadline()).toBe(true);
      expect(process.broken).toEqual([]);
    });

    it('not if it was answered', () => {
      const process = new Process().leading();
      process.fails(process.sends(3_333), 3_334);
      process.history.answered(process.sends(5_333), 'success');
      process.now = 5_400;
      expect(process.history.explainsDeadline()).toBe(false);
    });

    it('not if no request was sent', () => {
      const process = new Process().leading();
      process.now = 10_000;
      expect(process.history.explainsDeadline()).toBe(false);
      expect(process.broken).toEqual([expect.stringContaining('leads and sends no request')]);
    });

    it('if the process did not run, or its wall clock went ahead', () => {
      const paused = new Process().leading();
      paused.now = 10_000;
      paused.history.resumed();
      expect(paused.history.explainsDeadline()).toBe(true);
      const jumped = new Process().leading();
      jumped.now = 1_000;
      jumped.history.clockJumped();
      expect(jumped.history.explainsDeadline()).toBe(true);
    });
  });
});

it('a watch that hangs shows nothing and does not end, and the next one works', async () => {
  const simulated = new SimulatedTime();
  const server = new SimulatedLease(simulated);
  const lock = server.lock('a');
  const watching = (): { events: WatchEvent['kind'][]; hasEnded: boolean; stop: AbortController } => {
    const watch = { events: [] as WatchEvent['kind'][], hasEnded: false, stop: new AbortController() };
    const ended = (): void => {
      watch.hasEnded = true;
    };
    lock.watch(({ kind }) => watch.events.push(kind), watch.stop.signal).then(ended, ended);
    return watch;
  };
  const first = watching();
  await simulated.advance(10);
  lock.hangWatch();
  server.edit(held);
  server.goDown();
  server.comeUp();
  lock.endWatch();
  await simulated.advance(10);
  expect(first).toMatchObject({ events: ['opened'], hasEnded: false });
  expect(lock.watchHangs).toBe(true);
  first.stop.abort();
  const second = watching();
  await simulated.advance(10);
  expect(second.events).toEqual(['opened', 'seen']);
  expect(lock.watchHangs).toBe(false);
});
