/** Many elections, spread over the processes that take part in all of them. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  LeaseElector,
  Spread,
  resolveElectionOptions,
  type Disposer,
  type ElectionOptions,
} from '../../../lib/election/index.js';
import { SimulatedLease } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

const ELECTIONS = 30;

class Fleet {
  readonly time = new SimulatedTime();
  readonly leases: readonly SimulatedLease[];
  /** Hand-overs and first terms, each `election process`. */
  readonly terms: string[] = [];
  /** Elections that had two leaders. */
  readonly twoLed: string[] = [];
  readonly #leaders: readonly Set<string>[];

  constructor(elections: number) {
    this.leases = Array.from({ length: elections }, () => new SimulatedLease(this.time));
    this.#leaders = this.leases.map(() => new Set<string>());
  }

  /** While false, no request for a lease is answered. */
  asksAreAnswered = true;
  /** How often a process has asked for a lease. */
  asks = 0;

  /** A process that takes part in all the elections. */
  start(identity: string, options: Partial<ElectionOptions> = {}): Disposer {
    const clock = this.time.clock();
    const spread = new Spread(clock);
    const stops: AbortController[] = [];
    for (const [index, lease] of this.leases.entries()) {
      const lock = lease.lock(identity);
      lock.fate = ({ record }) => {
        if (record?.wantedBy !== identity) return 'answer';
        this.asks += 1;
        return this.asksAreAnswered ? 'answer' : 'lose';
      };
      const elector = new LeaseElector({
        lock,
        clock,
        options: resolveElectionOptions(
          { leaseName: `election-${String(index)}`, spread: true, ...options },
          { leaseNamespace: 'default', identity },
        ),
      });
      spread.add(elector);
      const leaders = this.#leaders[index] ?? new Set();
      const stop = new AbortController();
      stops.push(stop);
      void elector.run(stop.signal, (event) => {
        if (event.type === 'startedLeading') {
          this.terms.push(`${String(index)} ${identity}`);
          leaders.add(identity);
          if (leaders.size > 1) this.twoLed.push(`${String(index)}: ${[...leaders].join()}`);
        }
        if (event.type === 'stoppedLeading') leaders.delete(identity);
        spread.consider();
      });
    }
    return () => {
      spread.close();
      for (const stop of stops) stop.abort();
    };
  }

  /** How many elections each process leads, in descending order. */
  get loads(): number[] {
    const counts = new Map<string, number>();
    for (const [leader] of this.#leaders.map((leaders) => [...leaders]))
      if (leader !== undefined) counts.set(leader, (counts.get(leader) ?? 0) + 1);
    return [...counts.values()].sort((a, b) => b - a);
  }

  get writes(): number {
    return this.leases.reduce(
      (sum, { requests }) => sum + requests.filter(({ verb }) => verb !== 'get').length,
      0,
    );
  }
}

const fleets: Fleet[] = [];

function newFleet(elections = ELECTIONS): Fleet {
  const fleet = new Fleet(elections);
  fleets.push(fleet);
  return fleet;
}

afterEach(() => {
  expect(fleets.splice(0).flatMap(({ twoLed }) => twoLed)).toEqual([]);
});

describe('three processes and thirty elections', () => {
  it('end up with ten each, move each election at most once, and then send no more requests', async () => {
    const fleet = newFleet();
    fleet.start('a');
    await fleet.time.advance(1_000);
    expect(fleet.loads).toEqual([30]);
    fleet.start('b');
    fleet.start('c');
    await fleet.time.advance(10_000);
    expect(fleet.loads).toEqual([10, 10, 10]);
    expect(fleet.terms).toHaveLength(30 + 20);
    await fleet.time.advance(600_000);
    expect(fleet.terms).toHaveLength(30 + 20);
    expect(fleet.leases.some(({ stored }) => stored?.record.wantedBy !== undefined)).toBe(false);
  });

  it('end up with ten each if they start together, too', async () => {
    const fleet = newFleet();
    for (const identity of ['a', 'b', 'c']) fleet.start(identity);
    await fleet.time.advance(10_000);
    expect(fleet.loads).toEqual([10, 10, 10]);
  });

  it('spread the elections of a process that leaves, and again when it comes back', async () => {
    const fleet = newFleet();
    fleet.start('a');
    fleet.start('b');
    const stop = fleet.start('c');
    await fleet.time.advance(10_000);
    stop();
    await fleet.time.advance(10_000);
    expect(fleet.loads).toEqual([15, 15]);
    fleet.start('d');
    await fleet.time.advance(10_000);
    expect(fleet.loads).toEqual([10, 10, 10]);
  });

  it('are handed over when asked for, also by a process without spread', async () => {
    const fleet = newFleet();
    fleet.start('a', { spread: false });
    await fleet.time.advance(1_000);
    fleet.start('b');
    await fleet.time.advance(100_000);
    expect(fleet.loads).toEqual([15, 15]);
    expect(fleet.leases.some(({ stored }) => stored?.record.wantedBy !== undefined)).toBe(false);
  });

  it('that are not granted are left alone for a minute', async () => {
    const fleet = newFleet();
    fleet.start('a');
    await fleet.time.advance(1_000);
    fleet.asksAreAnswered = false;
    fleet.start('b');
    await fleet.time.advance(59_000);
    expect(fleet.asks).toBeLessThanOrEqual(30);
  });
});

it('a request that failed is repeated, even without another event', async () => {
  const fleet = newFleet(2);
  fleet.start('a');
  await fleet.time.advance(1_000);
  fleet.asksAreAnswered = false;
  fleet.start('b');
  await fleet.time.advance(60_000);
  expect(fleet.loads).toEqual([2]);
  fleet.asksAreAnswered = true;
  await fleet.time.advance(90_000);
  expect(fleet.loads).toEqual([1, 1]);
});

describe('an election that was requested', () => {
  it('is left to the process that asked, and soon to any other if that has died', async () => {
    const fleet = newFleet();
    fleet.start('a');
    await fleet.time.advance(1_000);
    const [lease] = fleet.leases;
    if (lease?.stored === undefined) throw new Error('no lease');
    fleet.start('b', { spread: false });
    await fleet.time.advance(20);
    lease.edit({ ...lease.stored.record, wantedBy: 'dead' });
    await fleet.time.advance(240);
    expect(lease.stored.record).toMatchObject({ holderIdentity: '', wantedBy: 'dead' });
    await fleet.time.advance(30);
    expect(lease.stored.record).toMatchObject({ holderIdentity: 'b' });
    expect(lease.stored.record.wantedBy).toBeUndefined();
  });
});

it('a request that fails long after it was settled does not cancel a newer one', async () => {
  const time = new SimulatedTime();
  const spread = new Spread(time.clock());
  const leaders = ['a', 'a', 'a', 'a', 'c'];
  const asked: { election: number; answer: (left: boolean) => void }[] = [];
  const elections = leaders.map((_, index) => ({
    identity: 'b',
    get state() {
      return {
        kind: 'following' as const,
        leader: String(leaders[index]),
        expiresAt: undefined,
        error: undefined,
        stillRunning: 0,
      };
    },
    askForLease: () =>
      new Promise<boolean>((resolve) => {
        asked.push({ election: index, answer: resolve });
      }),
  }));
  for (const election of elections) spread.add(election);
  spread.consider();
  await time.advance(1_000);
  expect(asked).toHaveLength(1);
  // It is handed over to another process while the request is in flight, and another election is requested.
  leaders[Number(asked[0]?.election)] = 'c';
  spread.consider();
  await time.advance(1_000);
  expect(asked).toHaveLength(2);
  asked[0]?.answer(false);
  await time.advance(1_000);
  spread.consider();
  await time.advance(20_000);
  // The second request is pending, so no other is sent meanwhile.
  expect(asked).toHaveLength(2);
});
