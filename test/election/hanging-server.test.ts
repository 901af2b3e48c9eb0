/** A server that hangs: how many requests are sent, and how many are in flight at once. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type ElectionOptions } from '../../lib/election/index.js';
import type { RequestFate } from '../../lib/testing/simulated-faults.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

const timings: Partial<ElectionOptions>[] = [
  {},
  { leaseDuration: 5_000, renewDeadline: 4_000, retryPeriod: 500 },
  { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 20 },
  { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 100 },
  { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 8_000, renewInterval: 1_000 },
];

/** Counts the requests that are sent, and those in flight: until they are answered or time out. */
function meter(candidate: Candidate): { sent: number; underWay: number; most: number } {
  const count = { sent: 0, underWay: 0, most: 0 };
  const { lock } = candidate;
  const counted =
    <A extends unknown[], T>(request: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      count.sent += 1;
      count.underWay += 1;
      count.most = Math.max(count.most, count.underWay);
      const { signal } = args.at(-1) as { signal: AbortSignal };
      const ended = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
      try {
        return await Promise.race([request(...args), ended]);
      } finally {
        count.underWay -= 1;
      }
    };
  lock.get = counted(lock.get);
  lock.create = counted(lock.create);
  lock.update = counted(lock.update);
  return count;
}

const unreachable = new LeaseRequestError('LEADER_UNREACHABLE', 'planted', { maybeCommitted: true });

describe.each(timings)('with %j', (options) => {
  const { retryPeriod = 2_000, renewInterval = retryPeriod } = options;
  const FOR_MS = 60_000;

  it.each<[string, (verb: string) => RequestFate]>([
    ['everything hangs', () => 'lose'],
    ['writes hang', (verb) => (verb === 'get' ? 'answer' : 'lose')],
    ['reads hang', (verb) => (verb === 'get' ? 'lose' : 'answer')],
    ['writes hang and reads fail', (verb) => (verb === 'get' ? unreachable : 'lose')],
    ['writes fail and reads hang', (verb) => (verb === 'get' ? 'lose' : unreachable)],
    ['replies take longer than the time-out', () => ({ replyDelayMs: 8_000 })],
    ['everything fails', () => unreachable],
  ])('%s: one request per retryPeriod, and a handful in flight', async (_, fate) => {
    for (const role of ['leader', 'follower'] as const) {
      const world = new World();
      const baz = world.prepare('baz', options);
      const count = meter(baz);
      if (role === 'follower') world.lease.edit(recordOf('bing', { leaseDurationSeconds: 1 }));
      baz.start();
      if (role === 'leader') await world.time.advanceUntil(() => baz.leads, 20_000);
      baz.lock.fate = ({ verb }) => fate(verb);
      count.sent = 0;
      await world.time.advance(FOR_MS);
      // A failed write may be followed by a read, and some requests were in flight at the beginning.
      const most = 1.4 * (FOR_MS / Math.min(retryPeriod, renewInterval)) + 4;
      expect([role, count.sent <= most, count.sent]).toEqual([role, true, count.sent]);
      expect([role, count.most <= 5, count.most]).toEqual([role, true, count.most]);
    }
  });

  it('everything hangs: at most one request per retryPeriod', async () => {
    for (const role of ['leader', 'follower'] as const) {
      const world = new World();
      const baz = world.prepare('baz', options);
      const count = meter(baz);
      if (role === 'follower') world.lease.edit(recordOf('bing', { leaseDurationSeconds: 1 }));
      baz.start();
      if (role === 'leader') await world.time.advanceUntil(() => baz.leads, 20_000);
      baz.lock.fate = () => 'lose';
      count.sent = 0;
      await world.time.advance(FOR_MS);
      expect(count.sent).toBeLessThanOrEqual(FOR_MS / retryPeriod + 4);
      expect(count.sent).toBeGreaterThan(4);
    }
  });

  it('a server that answers again is used within a retryPeriod', async () => {
    const world = new World();
    const baz = world.prepare('baz', options);
    baz.lock.fate = () => 'lose';
    baz.start();
    await world.time.advance(FOR_MS);
    baz.lock.fate = () => 'answer';
    await world.time.advanceUntil(() => baz.leads, Math.max(1.3 * retryPeriod, 1_000));
  });
});

describe('watch events, while all requests hang', () => {
  it.each(timings)('cause only a handful of requests, however many they are (%j)', async (options) => {
    const { retryPeriod = 2_000 } = options;
    const world = new World();
    const baz = world.prepare('baz', options);
    const count = meter(baz);
    world.lease.edit(recordOf(''));
    baz.lock.fate = () => 'lose';
    baz.start();
    for (let events = 0; events < 500; events++) {
      await world.time.advance(20);
      if (events % 3 === 2) world.lease.delete();
      else world.lease.edit(recordOf('', { leaseTransitions: events }));
    }
    expect(count.most).toBeLessThanOrEqual(10);
    expect(count.sent).toBeLessThanOrEqual(2 * (10_000 / retryPeriod) + 10);
  });
});
