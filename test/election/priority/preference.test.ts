/** The lease moves to the candidate with the highest priority. */
import { describe, expect, it } from 'vitest';
import { Preference, type PriorityOf } from '../../../lib/election/internal.js';
import {
  LeaseElector,
  resolveElectionOptions,
  type ElectionOptions,
  type ElectorState,
  type LeadershipTerm,
  type LeaderError,
} from '../../../lib/election/index.js';
import type { PreferringElection } from '../../../lib/election/priority/preference.js';
import { Chance } from '../../../lib/testing/chance.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

const INTERVAL = 15_000;
/** Several looks, and a lease that runs out. */
const SETTLED = 10 * INTERVAL;

class Fleet {
  readonly time = new SimulatedTime();
  readonly lease = new SimulatedLease(this.time);
  readonly leaders = new Set<string>();
  /** Who began a term, in order. */
  readonly terms: string[] = [];
  readonly errors: LeaderError[] = [];
  /** Who asked for the lease, in order. */
  readonly asks: string[] = [];
  twoLed = false;

  start(
    identity: string,
    priority: number | PriorityOf | undefined,
    options: Partial<ElectionOptions> = {},
    onTerm: (term: LeadershipTerm) => void = () => undefined,
  ): Process {
    return new Process(this, identity, priority, options, onTerm);
  }

  noted(identity: string, isLeader: boolean): void {
    if (isLeader) this.leaders.add(identity);
    else this.leaders.delete(identity);
    if (isLeader) this.terms.push(identity);
    this.twoLed ||= this.leaders.size > 1;
  }
}

class Process {
  readonly elector: LeaseElector;
  readonly lock: SimulatedLeaseLock;
  readonly #stop = new AbortController();

  constructor(
    fleet: Fleet,
    identity: string,
    priority: number | PriorityOf | undefined,
    options: Partial<ElectionOptions>,
    onTerm: (term: LeadershipTerm) => void,
  ) {
    const clock = fleet.time.clock();
    const preference =
      priority === undefined ? undefined : new Preference({ priority, interval: INTERVAL, clock });
    this.lock = fleet.lease.lock(identity);
    this.lock.fate = ({ record }) => {
      if (record?.wantedBy === identity && record.holderIdentity !== identity) fleet.asks.push(identity);
      return 'answer';
    };
    this.elector = new LeaseElector({
      lock: this.lock,
      clock,
      note: preference && (() => ({ priority: preference.noted })),
      options: resolveElectionOptions({ leaseName: 'x', ...options }, { leaseNamespace: 'ns', identity }),
    });
    preference?.in(this.elector).start((error) => {
      fleet.errors.push(error);
    });
    void this.elector
      .run(this.#stop.signal, (event) => {
        preference?.onEvent(event);
        if (event.type === 'startedLeading') {
          fleet.noted(identity, true);
          onTerm(event.term);
        }
        if (event.type === 'stoppedLeading') fleet.noted(identity, false);
      })
      .then(() => preference?.stop());
  }

  get leads(): boolean {
    return this.elector.state.kind === 'leading';
  }

  stop(): void {
    this.#stop.abort();
  }
}

describe('priorities', () => {
  it('a candidate with a higher one gets the lease by one hand-over, and keeps it', async () => {
    const fleet = new Fleet();
    const spot = fleet.start('spot', 1);
    await fleet.time.advance(1_000);
    expect(spot.leads).toBe(true);
    const steady = fleet.start('steady', 2);
    await fleet.time.advance(INTERVAL - 1_000);
    expect(steady.leads).toBe(false);
    await fleet.time.advance(INTERVAL / 5 + 2_000);
    expect(steady.leads).toBe(true);
    await fleet.time.advance(600_000);
    expect(fleet.terms).toEqual(['spot', 'steady']);
    expect(fleet.asks).toEqual(['steady']);
  });

  it('equal and lower ones leave the lease where it is, and nobody asks', async () => {
    const fleet = new Fleet();
    fleet.start('first', 5);
    await fleet.time.advance(1_000);
    fleet.start('equal', 5);
    fleet.start('lower', -1);
    await fleet.time.advance(600_000);
    expect(fleet.terms).toEqual(['first']);
    expect(fleet.asks).toEqual([]);
  });

  it('a holder that notes no priority is not asked', async () => {
    const fleet = new Fleet();
    fleet.start('other', undefined);
    await fleet.time.advance(1_000);
    fleet.start('preferred', 9);
    await fleet.time.advance(600_000);
    expect(fleet.asks).toEqual([]);
  });

  it('a holder that hands over is not asked, however long its work takes', async () => {
    const fleet = new Fleet();
    let leave: () => void = () => undefined;
    const draining = fleet.start('draining', 1, { drainTimeout: 600_000 }, (term) => {
      leave = term.enter();
    });
    await fleet.time.advance(1_000);
    void draining.elector.stepDown();
    await fleet.time.advance(1_000);
    const steady = fleet.start('steady', 2);
    await fleet.time.advance(300_000);
    expect(fleet.asks).toEqual([]);
    leave();
    await fleet.time.advance(1_000);
    expect(steady.leads).toBe(true);
  });

  it('a holder that is asked in vain is asked ever more rarely', async () => {
    const fleet = new Fleet();
    const deaf = fleet.start('deaf', 1);
    await fleet.time.advance(1_000);
    // It does not see the question: another client, which keeps the annotations of a holder that once was ours.
    const steady = fleet.start('steady', 2);
    steady.lock.fate = ({ record }) => {
      if (record?.wantedBy !== 'steady') return 'answer';
      fleet.asks.push('steady');
      return 'lose';
    };
    await fleet.time.advance(3_600_000);
    expect(deaf.leads).toBe(true);
    expect(fleet.asks.length).toBeGreaterThan(10);
    expect(fleet.asks.length).toBeLessThan(24);
  });

  it('a function is asked anew, so the lease follows what it says', async () => {
    const fleet = new Fleet();
    const priorities = { a: 2, b: 1 };
    fleet.start('a', () => priorities.a);
    await fleet.time.advance(1_000);
    const b = fleet.start('b', () => priorities.b);
    await fleet.time.advance(SETTLED);
    expect(fleet.terms).toEqual(['a']);
    priorities.b = 3;
    await fleet.time.advance(SETTLED);
    expect(b.leads).toBe(true);
    expect(fleet.terms).toEqual(['a', 'b']);
  });

  it('a function that fails counts as 0, and is reported once', async () => {
    const fleet = new Fleet();
    fleet.start('broken', () => {
      throw new Error('no metadata');
    });
    await fleet.time.advance(1_000);
    const steady = fleet.start('steady', 1);
    await fleet.time.advance(SETTLED);
    expect(steady.leads).toBe(true);
    expect(fleet.errors).toMatchObject([
      { code: 'LEADER_LISTENER_FAILED', cause: { message: 'no metadata' } },
    ]);
  });

  it('an async function fails, too, and its rejection does not end the process', async () => {
    const fleet = new Fleet();
    fleet.start('broken', (() => Promise.reject(new Error('no metadata'))) as unknown as PriorityOf);
    await fleet.time.advance(1_000);
    const steady = fleet.start('steady', 1);
    await fleet.time.advance(SETTLED);
    expect(steady.leads).toBe(true);
    expect(fleet.errors).toMatchObject([
      {
        code: 'LEADER_LISTENER_FAILED',
        cause: { message: 'It returned a Promise: it must return a finite number.' },
      },
    ]);
  });

  it('in fleets that lose and gain processes, the highest leads in the end, and never two', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const chance = new Chance(seed);
      const fleet = new Fleet();
      const running = new Map<string, { process: Process; priority: number }>();
      for (let step = 0; step < 12; step++) {
        const names = [...running.keys()];
        if (names.length > 2 && chance.next() < 0.4) {
          const name = names[Math.floor(chance.next() * names.length)] ?? '';
          running.get(name)?.process.stop();
          running.delete(name);
        } else {
          const name = `replica-${String(step)}`;
          const priority = Math.floor(chance.next() * 4);
          running.set(name, { process: fleet.start(name, priority), priority });
        }
        await fleet.time.advance(chance.next() * 2 * INTERVAL);
      }
      await fleet.time.advance(6 * SETTLED);
      const highest = Math.max(...[...running.values()].map(({ priority }) => priority));
      const leading = [...running.values()].filter(({ process }) => process.leads);
      expect(
        leading.map(({ priority }) => priority),
        `seed ${String(seed)}`,
      ).toEqual([highest]);
      expect(fleet.twoLed, `seed ${String(seed)}`).toBe(false);
      const terms = fleet.terms.length;
      const asks = fleet.asks.length;
      await fleet.time.advance(600_000);
      expect([fleet.terms.length, fleet.asks.length], `seed ${String(seed)}`).toEqual([terms, asks]);
    }
  });
});

/** A process with that priority, which follows a holder that it asks in vain. */
class Follower {
  readonly time = new SimulatedTime();
  readonly errors: LeaderError[] = [];
  /** When it asked for the lease. */
  readonly asks: number[] = [];
  readonly election: PreferringElection;
  readonly preference: Preference;

  constructor(priority: number | PriorityOf, differences: object = {}) {
    this.election = {
      identity: 'me',
      state: {
        kind: 'following',
        leader: 'holder',
        leaderNote: { priority: 1 },
        ...differences,
      } as ElectorState,
      askForLease: () => {
        this.asks.push(this.time.now);
        return Promise.resolve(true);
      },
    };
    this.preference = new Preference({ priority, interval: INTERVAL, clock: this.time.clock() });
    this.preference.in(this.election).start((error) => this.errors.push(error));
    this.preference.onEvent({ type: 'newLeader', identity: 'holder' });
  }
}

describe('a process with a priority', () => {
  it('leaves a new holder alone for an interval, and then asks ever more rarely', async () => {
    const { time, asks, preference, election } = new Follower(2);
    await time.advance(25 * INTERVAL);
    preference.onEvent({ type: 'stateChanged', state: election.state });
    await time.advance(75 * INTERVAL);
    const pauses = asks.map((at, index) => (at - (asks[index - 1] ?? 0)) / INTERVAL);
    for (const [index, shortest] of [1, 1, 2, 4, 8, 16, 16].entries()) {
      expect(pauses[index]).toBeGreaterThan(shortest);
      expect(pauses[index]).toBeLessThan(shortest + 1.2);
    }
    const before = asks.length + 1;
    await time.advanceUntil(() => asks.length === before, 20 * INTERVAL);
    preference.onEvent({ type: 'newLeader', identity: 'another' });
    await time.advance(INTERVAL);
    expect(asks).toHaveLength(before);
    await time.advance(2.4 * INTERVAL);
    expect(asks).toHaveLength(before + 2);
  });

  it.each<[string, object, number?]>([
    ['the holder has a higher priority', { leaderNote: { priority: 3 } }],
    ['the holder has the same', { leaderNote: { priority: 2 } }],
    ['the holder notes none', { leaderNote: { address: 'http://holder' } }],
    ['the holder notes nothing', { leaderNote: undefined }],
    ['there is no holder, although a priority is still noted', { leader: '' }],
    ['it is the holder itself', { leader: 'me' }],
    ['it does not follow', { kind: 'handingOver' }],
  ])('does not ask if %s', async (_, differences) => {
    const { time, asks } = new Follower(2, differences);
    await time.advance(10 * INTERVAL);
    expect(asks).toEqual([]);
  });

  it('notes it, but not while it hands over', () => {
    const { preference } = new Follower(2);
    const notedIn = (kind: string): number | undefined => {
      preference.onEvent({ type: 'stateChanged', state: { kind } as ElectorState });
      return preference.noted;
    };
    expect(preference.noted).toBe(2);
    expect(['leading', 'handingOver', 'following'].map(notedIn)).toEqual([2, undefined, 2]);
  });

  it.each<[string, () => unknown, string]>([
    ['throws', () => JSON.parse('{') as unknown, 'JSON'],
    ['returns no number', () => '7', "It returned '7': it must return a finite number."],
    ['returns infinity', () => Infinity, 'It returned Infinity: it must return a finite number.'],
    ['is async', () => Promise.reject(new Error('planted')), 'It returned a Promise'],
  ])('whose function %s has 0, which is reported once each time that this begins', (_, broken, why) => {
    let fails = true;
    const { preference, errors } = new Follower((() => (fails ? broken() : 3)) as PriorityOf);
    const noted = (): number | undefined => preference.noted;
    expect([noted(), noted()]).toEqual([0, 0]);
    const { cause } = errors[0] ?? {};
    expect(errors).toMatchObject([{ code: 'LEADER_LISTENER_FAILED' }]);
    expect(cause).toMatchObject({ message: expect.stringContaining(why) as string });
    fails = false;
    expect(noted()).toBe(3);
    fails = true;
    expect([noted(), errors.length]).toEqual([0, 2]);
  });

  it('looks by the clock of the system if none is given', () => {
    const preference = new Preference({ priority: 2, interval: INTERVAL });
    expect(() => {
      preference.onEvent({ type: 'newLeader', identity: 'holder' });
    }).not.toThrow();
    preference.stop();
  });

  it('asks no more when its election has ended', async () => {
    const { preference, time, asks } = new Follower(2);
    preference.stop();
    await time.advance(10 * INTERVAL);
    expect([asks, time.pending]).toEqual([[], 0]);
  });
});
