/** Elections of several leaders: one Lease per slot, and no process leads two slots. */
import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  LeaderError,
  LeaseRequestError,
  SlotElector,
  resolveElectionOptions,
  type Candidacy,
  type ElectionOptions,
  type ElectorState,
  type LeadershipTerm,
  type MicroTime,
  type ProofOfDeath,
  type TermGuard,
} from '../../../lib/election/index.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { recordOf } from '../records.js';

const LATER = '2002-01-01T00:00:00.000000Z' as MicroTime;
/** Little happens in two lease durations. */
const CALM = { renewInterval: 7_500 };
/** The same, and a slot may be free for six seconds. */
const SHORT = { leaseDuration: 3_000, renewDeadline: 2_900, retryPeriod: 200, renewInterval: 2_500 };
const refusal = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });

class World {
  readonly time: SimulatedTime;
  readonly leases: readonly SimulatedLease[];
  readonly processes: Process[] = [];
  readonly wrongs: string[] = [];
  /** The API server refuses every request about these slots. */
  readonly refused = new Set<number>();

  constructor(slots: number, seed = 1) {
    this.time = new SimulatedTime(seed);
    this.leases = Array.from({ length: slots }, () => new SimulatedLease(this.time));
  }

  start(
    identity: string,
    options: Partial<ElectionOptions> = {},
    candidacy?: Candidacy,
    guard?: TermGuard,
    proofOfDeath?: ProofOfDeath,
  ): Process {
    const process = new Process(this, identity, options, candidacy, guard, proofOfDeath);
    this.processes.push(process);
    return process;
  }

  /** Which process leads each slot. */
  get leaders(): string[] {
    return this.leases.map((_, slot) => {
      const leaders = this.processes.filter(({ term }) => term?.slot === slot && !term.isOver);
      if (leaders.length > 1) this.wrongs.push(`two lead slot ${String(slot)}`);
      return leaders[0]?.elector.identity ?? '';
    });
  }
}

class Process {
  readonly elector: SlotElector;
  readonly locks: SimulatedLeaseLock[];
  /** `started 1`, `stopped 1 deadline`, … with the slot. */
  readonly story: string[] = [];
  /** The kinds of state that were told, each once until the next. */
  readonly states: string[] = [];
  /** The leaders that were told. */
  readonly leaders: string[] = [];
  /** What the meter of each Lease was told: its name and the code of the error. */
  readonly failures: string[] = [];
  readonly errors: LeaderError[] = [];
  ended = false;
  term: LeadershipTerm | undefined;
  readonly #world: World;
  readonly #stop = new AbortController();

  constructor(
    world: World,
    identity: string,
    options: Partial<ElectionOptions>,
    candidacy?: Candidacy,
    guard?: TermGuard,
    proofOfDeath?: ProofOfDeath,
  ) {
    this.#world = world;
    this.locks = world.leases.map((lease) => lease.lock(identity));
    for (const [slot, lock] of this.locks.entries())
      lock.fate = () => (world.refused.has(slot) ? refusal : 'answer');
    this.elector = new SlotElector({
      locks: this.locks,
      clock: world.time.clock(),
      candidacy,
      guard,
      proofOfDeath,
      meterOf: (leaseName) => (fact) => {
        if (fact.type === 'failed') this.failures.push(`${leaseName} ${fact.code}`);
      },
      options: resolveElectionOptions(
        { leaseName: 'shard', ...options },
        { leaseNamespace: 'default', identity },
      ),
    });
    void this.elector
      .run(this.#stop.signal, (event) => {
        if (event.type === 'startedLeading') this.#started(event.term);
        if (event.type === 'stoppedLeading') this.#stopped(event.term, event.reason);
        if (event.type === 'error') {
          this.story.push(`error ${event.error.code}`);
          this.errors.push(event.error);
        }
        if (event.type === 'newLeader') this.leaders.push(event.identity);
        if (event.type === 'stateChanged' && event.state.kind !== this.states.at(-1))
          this.states.push(event.state.kind);
      })
      .then(() => {
        this.ended = true;
      });
  }

  get state(): ElectorState {
    return this.elector.state;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Cuts the network in both directions. */
  cutOff(): void {
    for (const lock of this.locks) {
      lock.fate = () => 'lose';
      lock.watchStalled = true;
    }
  }

  #started(term: LeadershipTerm): void {
    this.story.push(`started ${String(term.slot)}`);
    if (this.term !== undefined) this.#world.wrongs.push(`${term.identity} has two terms`);
    if (term.leaseName !== `shard-${String(term.slot)}`)
      this.#world.wrongs.push(`wrong lease ${term.leaseName}`);
    this.term = term;
  }

  #stopped(term: LeadershipTerm, reason: string): void {
    this.story.push(`stopped ${String(term.slot)} ${reason}`);
    if (this.term !== term) this.#world.wrongs.push(`${term.identity} stops a term that it did not start`);
    this.term = undefined;
  }
}

/** A candidacy that a test changes. */
class Wish implements Candidacy {
  stands = true;
  objection: LeaderError | undefined;
  abstains = false;
  /** How many follow it. */
  listeners = 0;
  #changed: () => void = () => undefined;

  observe(changed: () => void): () => void {
    this.#changed = changed;
    this.listeners += 1;
    return () => {
      this.listeners -= 1;
    };
  }

  change(to: Partial<Pick<Wish, 'stands' | 'objection'>>): void {
    Object.assign(this, to);
    this.#changed();
  }
}

const unwilling = (): Wish => Object.assign(new Wish(), { stands: false });

const worlds: World[] = [];
function newWorld(slots: number, seed?: number): World {
  const world = new World(slots, seed);
  worlds.push(world);
  return world;
}

afterEach(() => {
  expect(worlds.splice(0).flatMap(({ wrongs }) => wrongs)).toEqual([]);
});

describe('three processes and two slots', () => {
  it('two lead one slot each, and the third replaces at once one that stops', async () => {
    const world = newWorld(2);
    const [a, b, c] = ['a', 'b', 'c'].map((identity) => world.start(identity));
    await world.time.advance(5_000);
    const leading = world.processes.filter(({ state }) => state.kind === 'leading');
    const waiting = world.processes.find(({ state }) => state.kind === 'following');
    expect([leading.length, [...world.leaders].sort().join('')]).toEqual([
      2,
      [a, b, c]
        .filter((process) => process !== waiting)
        .map((process) => process?.elector.identity)
        .join(''),
    ]);
    leading[0]?.stop();
    await world.time.advance(20);
    expect(waiting?.state.kind).toBe('leading');
    expect(leading[0]?.ended).toBe(true);
    expect(leading[0]?.state.kind).toBe('stopped');
  });

  it('the third replaces one that has crashed as soon as its lease has expired', async () => {
    const world = newWorld(2);
    world.start('a');
    await world.time.advance(1_000);
    world.start('b');
    await world.time.advance(1_000);
    const c = world.start('c');
    await world.time.advance(60_000);
    const [dead] = world.processes;
    dead?.cutOff();
    await world.time.advance(15_000 + 50);
    expect(c.state.kind).toBe('leading');
    expect(c.term?.slot).not.toBe(world.processes[1]?.term?.slot);
  });
});

it('the third replaces at once one whose process is proven dead, whichever slot it stood for', async () => {
  for (const died of [0, 1]) {
    const world = newWorld(2);
    const gone = new Map<string, () => void>();
    const proofOf = (self: string): ProofOfDeath => ({
      self,
      follow: (process, die) => {
        if (self === 'c') gone.set(process, die);
        return () => gone.delete(process);
      },
    });
    for (const identity of ['a', 'b', 'c']) {
      world.start(identity, {}, undefined, undefined, proofOf(identity));
      await world.time.advance(1_000);
    }
    const c = world.processes[2];
    const dead = world.processes.find(({ term }) => term?.slot === died);
    dead?.cutOff();
    gone.get(String(dead?.elector.identity))?.();
    // It is dead, so it answers nothing.
    if (dead !== undefined) dead.term = undefined;
    await world.time.advance(50);
    expect(c?.term?.slot).toBe(died);
  }
});

it('a single process leads one of three slots and leaves the others free', async () => {
  const world = newWorld(3);
  world.start('a');
  await world.time.advance(120_000);
  expect(world.leaders.filter((leader) => leader === 'a')).toHaveLength(1);
  expect(world.leases.filter(({ stored }) => stored !== undefined)).toHaveLength(1);
});

it('a slot that cannot be acquired does not prevent another from being acquired, and is left alone then', async () => {
  const world = newWorld(2, 2);
  world.refused.add(0);
  const a = world.start('a');
  await world.time.advance(1_900);
  expect(a.state.kind).toBe('following');
  await world.time.advance(200);
  expect(a.term?.slot).toBe(1);
  world.refused.clear();
  await world.time.advance(3_000);
  expect(world.leases[0]?.stored).toBeUndefined();
});

it.each([6, 7, 8])(
  'slots that cannot be acquired, and report that again and again, do not prevent another from being acquired (seed %i)',
  async (seed) => {
    const world = newWorld(4, seed);
    for (const slot of [0, 1, 2]) world.refused.add(slot);
    const a = world.start('a');
    await world.time.advance(40_000);
    expect(a.term?.slot).toBe(3);
  },
);

it('after a step down the slots are left to others during the cool-down', async () => {
  const world = newWorld(2);
  const a = world.start('a');
  await world.time.advance(1_000);
  await Promise.all([a.elector.stepDown({ cooldown: 30_000 }), world.time.advance(100)]);
  await world.time.advance(29_000);
  expect(a.state.kind).toBe('following');
  await world.time.advance(5_000);
  expect(a.state.kind).toBe('leading');
});

it('does not lead another slot while work of a lost term still runs', async () => {
  const world = newWorld(2);
  const a = world.start('a');
  await world.time.advance(1_000);
  const leave = a.term?.enter();
  const lost = a.term?.slot ?? 0;
  world.leases[lost]?.delete();
  await world.time.advance(10_000);
  expect(a.story.at(-1)).toBe(`stopped ${String(lost)} leaseGone`);
  expect(a.state).toMatchObject({ kind: 'following', stillRunning: 1 });
  leave?.();
  await world.time.advance(20);
  expect(a.state.kind).toBe('leading');
});

it('leads another slot as soon as the work of a lost term has ended', async () => {
  const world = newWorld(2);
  const a = world.start('a');
  await world.time.advance(100);
  const leave = a.term?.enter();
  const lost = a.term?.slot ?? 0;
  world.leases[lost]?.edit(recordOf('thief'));
  await world.time.advance(5_000);
  expect(a.state).toMatchObject({ kind: 'following', leader: 'thief' });
  leave?.();
  await world.time.advance(20);
  expect(a.term?.slot).toBe(1 - lost);
});

it.each([0, 1_500])(
  "leads no other slot after it has lost a term, when onLost is 'exit' and drainTimeout %i ms",
  async (drainTimeout) => {
    const world = newWorld(2);
    const a = world.start('a', { onLost: 'exit', drainTimeout });
    await world.time.advance(1_000);
    const leave = a.term?.enter();
    world.leases[a.term?.slot ?? 0]?.delete();
    await world.time.advance(10_000);
    expect(a.story.filter((line) => line.startsWith('started'))).toHaveLength(1);
    expect(a.ended).toBe(false);
    leave?.();
    await world.time.advance(20);
    expect(a.ended).toBe(true);
    expect(getEventListeners(a.signal, 'abort')).toEqual([]);
  },
);

it.each([0, 1, 2])('reclaims slot %i of a process of its name that was killed', async (slot) => {
  const world = newWorld(3);
  for (const identity of ['a', 'b', 'c']) world.start(identity);
  await world.time.advance(5_000);
  const dead = world.processes.find(({ term }) => term?.slot === slot);
  dead?.cutOff();
  world.processes.splice(0);
  const again = world.start(dead?.elector.identity ?? '', { reclaimOwnLease: true });
  await world.time.advance(20_000);
  expect(again.story).toEqual([`started ${String(slot)}`]);
});

it('stands for no other slot while the guard of a term runs', async () => {
  const world = newWorld(3);
  const hangs = (): Promise<void> => new Promise(() => undefined);
  const a = world.start('a', {}, undefined, { atStart: hangs, atEnd: hangs });
  await world.time.advance(1_900);
  expect(a.state).toMatchObject({ kind: 'following', leader: 'a' });
  await world.time.advance(5_000);
  expect(a.state.kind).toBe('leading');
  expect(world.leases.filter(({ stored }) => stored !== undefined)).toHaveLength(1);
});

it('releases a second slot that a late reply wins, and does not announce it', async () => {
  const world = newWorld(2);
  const a = world.start('a');
  let first: number | undefined;
  for (const [slot, lock] of a.locks.entries()) {
    lock.fate = ({ verb }) => {
      if (verb !== 'create') return 'answer';
      first ??= slot;
      // The reply to the first claim is late, and so are the reads that would show it.
      return first === slot ? { replyDelayMs: 4_000 } : 'answer';
    };
    lock.watchStalled = true;
  }
  await world.time.advance(10_000);
  expect(a.story).toHaveLength(1);
  expect([...a.states, a.state.kind]).toEqual(['following', 'leading', 'leading']);
  const other = 1 - (first ?? 0);
  const held = world.leases.map(({ stored }) => stored?.record.holderIdentity);
  expect([held[a.term?.slot ?? -1], held[1 - (a.term?.slot ?? -1)] ?? '']).toEqual(['a', '']);
  expect([0, 1]).toContain(other);
});

it.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'keeps the slot that it leads when a late reply wins another one (seed %i)',
  async (seed) => {
    const world = newWorld(2, seed);
    const a = world.start('a');
    let first: number | undefined;
    for (const [slot, lock] of a.locks.entries()) {
      lock.watchStalled = true;
      lock.fate = ({ verb }) => {
        if (verb === 'create') first ??= slot;
        if (slot !== first || world.time.now > 4_000) return 'answer';
        if (verb === 'create') return { replyDelayMs: 3_500 };
        return world.leases[slot]?.stored === undefined ? 'answer' : 'lose';
      };
    }
    await world.time.advance(60_000);
    const told = a.story.filter((line) => !line.startsWith('error'));
    expect(told).toEqual([`started ${String(a.term?.slot)}`]);
    const held = world.leases.flatMap(({ stored }, slot) =>
      stored?.record.holderIdentity === 'a' ? [slot] : [],
    );
    expect(held).toEqual([a.term?.slot]);
  },
);

it('candidates that no longer want to lead hand over at once, and lead again when they want to', async () => {
  const world = newWorld(2);
  const wish = new Wish();
  const a = world.start('a', {}, wish);
  await world.time.advance(1_000);
  wish.change({ stands: false });
  await world.time.advance(100);
  expect(a.story).toEqual([
    expect.stringMatching(/^started/),
    expect.stringMatching(/^stopped . steppedDown/),
  ]);
  await world.time.advance(10_000);
  expect(world.leaders).toEqual(['', '']);
  wish.change({ stands: true });
  await world.time.advance(100);
  expect(a.state.kind).toBe('leading');
});

it('tells its states and the leader, each once, and leaves nothing behind when it ends', async () => {
  const world = newWorld(2);
  const wish = new Wish();
  const a = world.start('a', {}, wish);
  expect(a.elector).toMatchObject({ leaseName: 'shard', identity: 'a' });
  expect(wish.listeners).toBe(1);
  await world.time.advance(100);
  const again = a.elector.run(a.signal, () => undefined);
  expect(await again.catch((error: unknown) => error)).toMatchObject({ code: 'LEADER_ALREADY_STARTED' });
  a.stop();
  await world.time.advance(100);
  expect(a.states).toEqual(['following', 'leading', 'handingOver', 'following', 'stopped']);
  expect(a.leaders).toEqual(['a', '']);
  expect(a.state).toEqual({ kind: 'stopped' });
  expect([wish.listeners, world.time.pending]).toEqual([0, 0]);
  expect(getEventListeners(a.signal, 'abort')).toEqual([]);
});

it('leads the slot whose lease runs out first', async () => {
  const world = newWorld(3);
  for (const [slot, seconds] of [9, 2, 5].entries())
    world.leases[slot]?.edit(recordOf('dead', { leaseDurationSeconds: seconds }));
  const a = world.start('a');
  await world.time.advance(1_990);
  expect(a.state.kind).toBe('following');
  await world.time.advance(30);
  expect(a.term?.slot).toBe(1);
});

it('shows the leader of the first slot that has one, and tells each change', async () => {
  const world = newWorld(3);
  world.leases[1]?.edit(recordOf('b'));
  const a = world.start('a', {}, unwilling());
  await world.time.advance(100);
  expect(a.state).toMatchObject({ kind: 'following', leader: 'b', stillRunning: 0, problems: [] });
  world.leases[2]?.edit(recordOf('c'));
  world.leases[0]?.edit(recordOf('d'));
  await world.time.advance(100);
  expect(a.leaders).toEqual(['b', 'd']);
});

it('reports once why it does not stand, and shows that it never will', async () => {
  const world = newWorld(3);
  const objection = new LeaderError('LEADER_NOT_READY', 'planted');
  const a = world.start('a', {}, Object.assign(unwilling(), { abstains: true, objection }));
  await world.time.advance(100);
  expect(a.state).toMatchObject({ kind: 'following', campaigns: false, error: objection });
  expect(a.story).toEqual(['error LEADER_NOT_READY']);
  const b = world.start('b', {}, unwilling());
  await world.time.advance(100);
  expect(b.state).not.toHaveProperty('campaigns');
});

it('no process leads two slots and no slot has two leaders, whatever is lost or late', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), async (seed) => {
      const world = newWorld(3, seed);
      const { chance } = world.time;
      for (const identity of ['a', 'b', 'c', 'd', 'e']) {
        const process = world.start(identity);
        for (const lock of process.locks) {
          lock.fate = () => {
            const luck = chance.next();
            if (luck < 0.1) return 'lose';
            if (luck < 0.2) return 'loseReply';
            return luck < 0.4
              ? { delayMs: 3_000 * chance.next(), replyDelayMs: 3_000 * chance.next() }
              : 'answer';
          };
        }
      }
      for (let ms = 0; ms < 120_000; ms += 250) {
        await world.time.advance(250);
        const anyone = world.processes[Math.floor(chance.next() * world.processes.length)];
        if (chance.next() < 0.1) void anyone?.elector.stepDown({ cooldown: 0 });
        const { leaders } = world;
        const busy = leaders.filter((leader) => leader !== '');
        if (new Set(busy).size < busy.length) world.wrongs.push(`seed ${String(seed)}: ${leaders.join()}`);
      }
      // Without faults each slot has a leader again: none is held by a process that is unaware of it.
      for (const { locks } of world.processes) for (const lock of locks) lock.fate = () => 'answer';
      await world.time.advance(60_000);
      if (world.leaders.includes(''))
        world.wrongs.push(`seed ${String(seed)}: left with ${world.leaders.join()}`);
      expect(world.wrongs).toEqual([]);
    }),
    { numRuns: 20 },
  );
});

it.each(Array.from({ length: 20 }, (_, index) => index + 1))(
  'without releaseOnCancel it does not release the slot that it leads when it stops (seed %d)',
  async (seed) => {
    const world = new World(3, seed);
    world.start('b');
    const a = world.start('a', { releaseOnCancel: false });
    await world.time.advance(5_000);
    const slot = world.leaders.indexOf('a');
    expect(slot).toBeGreaterThanOrEqual(0);
    a.stop();
    await world.time.advance(200);
    expect(a.ended).toBe(true);
    expect(world.leases[slot]?.stored?.record.holderIdentity).toBe('a');
  },
);

describe('a slot that nobody is left to lead', () => {
  const unled = 'error LEADER_SLOT_UNLED';
  const reportsOf = ({ story }: Process): number => story.filter((line) => line === unled).length;

  it('is reported once by each process that leads another, until it is led', async () => {
    const world = newWorld(3);
    const [a, b] = [world.start('a'), world.start('b')];
    await world.time.advance(29_000);
    expect([reportsOf(a), reportsOf(b)]).toEqual([0, 0]);
    await world.time.advance(120_000);
    expect([reportsOf(a), reportsOf(b)]).toEqual([1, 1]);
    const c = world.start('c');
    await world.time.advance(60_000);
    expect(world.leaders).not.toContain('');
    c.stop();
    await world.time.advance(29_000);
    expect([reportsOf(a), reportsOf(b)]).toEqual([1, 1]);
    await world.time.advance(10_000);
    expect([reportsOf(a), reportsOf(b), reportsOf(c)]).toEqual([2, 2, 0]);
  });

  it('is named, and counted for its Lease, when it has been free for two lease durations', async () => {
    const world = newWorld(3);
    const a = world.start('a', CALM);
    await world.time.advance(29_990);
    expect(a.failures).toEqual([]);
    await world.time.advance(20);
    const unledLeases = [0, 1, 2]
      .filter((slot) => slot !== a.term?.slot)
      .map((slot) => `shard-${String(slot)}`);
    expect(a.failures).toEqual(unledLeases.map((lease) => `${lease} LEADER_SLOT_UNLED`));
    expect(a.errors.map(({ message }) => message)).toEqual([
      expect.stringContaining(`Nobody has led '${unledLeases.join("', '")}' for 30 s`),
    ]);
    // One of them gets a leader: that is no reason to report the other again.
    world.leases[a.term?.slot === 0 ? 1 : 0]?.edit(recordOf('b'));
    await world.time.advance(100);
    expect(reportsOf(a)).toBe(1);
  });

  it('is not reported by a process that leads none', async () => {
    const world = newWorld(2);
    const a = world.start('a', CALM, unwilling());
    await world.time.advance(31_000);
    expect(reportsOf(a)).toBe(0);
  });

  it('is reported again when it has been led while this process led none', async () => {
    const world = newWorld(2);
    const wish = new Wish();
    const a = world.start('a', SHORT, wish);
    await world.time.advance(6_100);
    expect(reportsOf(a)).toBe(1);
    const free = a.term?.slot === 0 ? 1 : 0;
    wish.change({ stands: false });
    world.leases[free]?.edit(recordOf('b'));
    await world.time.advance(100);
    world.leases[free]?.edit(recordOf('', { renewTime: LATER, acquireTime: LATER }));
    await world.time.advance(6_000);
    world.refused.add(free);
    wish.change({ stands: true });
    await world.time.advance(300);
    expect(a.state.kind).toBe('leading');
    expect(reportsOf(a)).toBe(2);
  });

  it('is reported again when it has been led meanwhile, at the same time if its Lease is edited', async () => {
    const world = newWorld(2);
    const a = world.start('a', SHORT);
    await world.time.advance(6_100);
    expect(reportsOf(a)).toBe(1);
    const free = world.leases[a.term?.slot === 0 ? 1 : 0];
    free?.edit(recordOf('b'));
    await world.time.advance(100);
    free?.edit(recordOf('', { renewTime: LATER, acquireTime: LATER }));
    await world.time.advance(3_000);
    free?.relabel();
    await world.time.advance(2_900);
    expect(reportsOf(a)).toBe(1);
    await world.time.advance(200);
    expect(reportsOf(a)).toBe(2);
  });

  it('is reported when its holder has died', async () => {
    const world = newWorld(2);
    const [a, b] = [world.start('a'), world.start('b')];
    await world.time.advance(10_000);
    b.cutOff();
    await world.time.advance(40_000);
    expect(reportsOf(a)).toBe(0);
    await world.time.advance(10_000);
    expect(reportsOf(a)).toBe(1);
  });

  it('is reported to an observer that throws, and nothing else happens', async () => {
    const time = new SimulatedTime();
    const elector = new SlotElector({
      locks: [new SimulatedLease(time), new SimulatedLease(time)].map((lease) => lease.lock('a')),
      clock: time.clock(),
      options: resolveElectionOptions({ leaseName: 'shard' }, { leaseNamespace: 'default', identity: 'a' }),
    });
    const told: string[] = [];
    void elector.run(new AbortController().signal, (event) => {
      if (event.type === 'error') told.push(event.error.code);
      throw new Error('An observer throws.');
    });
    await time.advance(60_000);
    expect(new Set(told)).toEqual(new Set(['LEADER_LISTENER_FAILED', 'LEADER_SLOT_UNLED']));
    expect(elector.state.kind).toBe('leading');
  });

  it('does not exist while there are enough processes', async () => {
    const world = newWorld(3);
    const processes = ['a', 'b', 'c', 'd'].map((identity) => world.start(identity));
    await world.time.advance(600_000);
    expect(processes.map(reportsOf)).toEqual([0, 0, 0, 0]);
  });
});
