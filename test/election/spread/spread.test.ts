/** Many elections, spread over the processes that take part in all of them. */
import { afterEach, describe, expect, it } from 'vitest';
import {
  LeaseElector,
  Spread,
  resolveElectionOptions,
  type Disposer,
  type ElectionOptions,
  type SpreadElection,
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

describe('a process asks', () => {
  /** Instead of a leader: this process no longer takes part. */
  const ENDED = 'ended';

  /** What the process `b` sees and does. */
  class Onlooker {
    readonly time: SimulatedTime;
    readonly spread: Spread;
    readonly asked: { readonly election: number; readonly answer: (left: boolean) => void }[] = [];
    /** What it is told at once; undefined: nothing yet. */
    reply: boolean | undefined;
    readonly leaders: string[];

    /** @param leaders the leader of each election */
    constructor(leaders: readonly string[], seed = 1) {
      this.leaders = [...leaders];
      this.time = new SimulatedTime(seed);
      this.spread = new Spread(this.time.clock());
      for (const election of leaders.keys()) this.spread.add(this.#election(election));
    }

    #election(election: number): SpreadElection {
      const leaderNow = (): string => String(this.leaders[election]);
      return {
        identity: 'b',
        get state() {
          if (leaderNow() === ENDED) return { kind: 'stopped' as const };
          return {
            kind: 'following' as const,
            leader: leaderNow(),
            expiresAt: undefined,
            error: undefined,
            stillRunning: 0,
          };
        },
        askForLease: () =>
          new Promise((resolve) => {
            this.asked.push({ election, answer: resolve });
            if (this.reply !== undefined) resolve(this.reply);
          }),
      };
    }

    get elections(): number[] {
      return this.asked.map(({ election }) => election);
    }
  }

  it.each([
    ['nobody without elections', [], ''],
    ['nobody while nobody leads', ['', '', ''], ''],
    ['nobody in elections that have ended', [ENDED, ENDED], ''],
    ['nobody for the only election', ['a'], ''],
    ['who leads two more than itself', ['a', 'a'], 'a'],
    ['nobody who leads one more than itself', ['b', 'a', 'a'], ''],
    ['who leads two more than itself, which leads one', ['a', 'b', 'a', 'a'], 'a'],
    ['the one who leads most', ['a', 'a', 'c', 'c', 'c', 'd', 'd'], 'c'],
    ['the one who leads most, also if it is seen first', ['c', 'c', 'c', 'a', 'a', 'd', 'd'], 'c'],
  ])('%s', async (_, leaders, asked) => {
    const { spread, time, ...seen } = new Onlooker(leaders);
    spread.consider();
    await time.advance(1_000);
    expect(seen.asked.map(({ election }) => leaders[election])).toEqual(asked === '' ? [] : [asked]);
  });

  it('for any of the elections, by chance', async () => {
    const elections = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const seen = new Onlooker(['a', 'a', 'a'], seed);
      seen.spread.consider();
      await seen.time.advance(200);
      elections.add(Number(seen.elections[0]));
    }
    expect([...elections].sort()).toEqual([0, 1, 2]);
  });

  it('100 to 200 ms after the first of several changes, once', async () => {
    const { spread, time, asked } = new Onlooker(['a', 'a']);
    for (let ms = 0; ms < 1_000; ms += 20) {
      if (ms === 100) expect(asked).toEqual([]);
      spread.consider();
      await time.advance(20);
      if (ms === 200) expect(asked).toHaveLength(1);
    }
    expect(asked).toHaveLength(1);
  });

  it('no longer after it was closed', async () => {
    const { spread, time, asked } = new Onlooker(['a', 'a']);
    spread.consider();
    spread.close();
    expect(time.pending).toBe(0);
    spread.consider();
    await time.advance(1_000);
    expect(asked).toEqual([]);
  });

  it('for another election at once when one is refused, and for the same one after a minute', async () => {
    const seen = new Onlooker(['a', 'a']);
    seen.reply = false;
    seen.spread.consider();
    await seen.time.advance(59_000);
    const [first, second] = seen.elections;
    expect([first, second].sort()).toEqual([0, 1]);
    expect(seen.elections).toHaveLength(2);
    await seen.time.advance(1_300);
    expect(seen.elections).toEqual([first, second, first]);
  });

  it('for another election when one was not handed over for 30 s, whatever happens meanwhile', async () => {
    const seen = new Onlooker(['a', 'a']);
    seen.reply = true;
    seen.spread.consider();
    await seen.time.advance(10_000);
    seen.spread.consider();
    await seen.time.advance(19_900);
    expect(seen.elections).toHaveLength(1);
    await seen.time.advance(600);
    expect(new Set(seen.elections)).toEqual(new Set([0, 1]));
  });

  it.each([1, 2, 3, 4, 5])('for another election also without an event (seed %i)', async (seed) => {
    const seen = new Onlooker(['a', 'a'], seed);
    seen.reply = true;
    seen.spread.consider();
    await seen.time.advance(31_000);
    expect([...seen.elections].sort()).toEqual([0, 1]);
  });

  it('for no other election because a request fails that was settled long before', async () => {
    const { spread, time, asked, leaders } = new Onlooker(['a', 'a', 'a', 'a', 'c']);
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
    expect(asked).toHaveLength(2);
  });
});
