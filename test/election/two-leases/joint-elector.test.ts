/** An election in two Leases, `a-old` and `b-new`, which moves from one to the other. */
import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { runInTerm } from '../../../lib/election/current-term.js';
import {
  JointElector,
  LeaseElector,
  LeaseRequestError,
  resolveElectionOptions,
  type Candidacy,
  type ElectionEvent,
  type ElectionFact,
  type ElectionMeter,
  type ElectionOptions,
  type Elector,
  type JointElectorParts,
  type LeadershipTerm,
  type MicroTime,
  type ResolvedElectionOptions,
  type TermGuard,
} from '../../../lib/election/index.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { recordOf } from '../records.js';

const OLD = 'a-old';
const NEW = 'b-new';
const OTHER_TIME = '2002-01-01T00:00:00.000000Z' as MicroTime;
type Phase = 'old' | 'both' | 'new';

const refused = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });

let time: SimulatedTime;
let leases: { old: SimulatedLease; new: SimulatedLease };
/** All terms, in order. */
let terms: LeadershipTerm[];
let everyone: Candidate[];

beforeEach(() => {
  time = new SimulatedTime();
  let version = 0;
  const nextVersion = (): number => ++version;
  leases = {
    old: new SimulatedLease(time, { nextVersion }),
    new: new SimulatedLease(time, { nextVersion }),
  };
  terms = [];
  everyone = [];
});

class Candidate {
  readonly old: SimulatedLeaseLock;
  readonly new: SimulatedLeaseLock;
  readonly elector: Elector;
  readonly story: string[] = [];
  /** The kinds of state that were told, each once until the next. */
  readonly states: string[] = [];
  /** The facts that each Lease's meter got. */
  readonly facts: Record<string, ElectionFact[]> = { [OLD]: [], [NEW]: [] };
  ended = false;
  readonly #stop = new AbortController();

  constructor(
    identity: string,
    phase: Phase,
    options: Partial<ElectionOptions> = {},
    order: 'usual' | 'swapped' = 'usual',
    guard?: TermGuard,
    candidacy?: Candidacy,
  ) {
    this.old = leases.old.lock(identity);
    this.new = leases.new.lock(identity);
    const clock = time.clock();
    const given = (leaseName: string): ResolvedElectionOptions =>
      resolveElectionOptions({ leaseName, ...options }, { leaseNamespace: 'default', identity });
    if (phase === 'old') this.elector = new LeaseElector({ lock: this.old, options: given(OLD), clock });
    else if (phase === 'new') this.elector = new LeaseElector({ lock: this.new, options: given(NEW), clock });
    else {
      const [lock, also] =
        order === 'usual'
          ? [this.new, { leaseName: OLD, lock: this.old }]
          : [this.old, { leaseName: NEW, lock: this.new }];
      const leaseName = order === 'usual' ? NEW : OLD;
      const meterOf =
        (lease: string): ElectionMeter =>
        (fact) =>
          this.facts[lease]?.push(fact);
      this.elector = new JointElector({
        lock,
        also,
        options: given(leaseName),
        clock,
        guard,
        meterOf,
        candidacy,
      });
    }
    everyone.push(this);
    void this.elector
      .run(this.#stop.signal, (event) => {
        this.#note(event);
      })
      .then(() => {
        this.ended = true;
      });
  }

  #note(event: ElectionEvent): void {
    if (event.type === 'stateChanged' && event.state.kind !== this.states.at(-1))
      this.states.push(event.state.kind);
    if (event.type === 'startedLeading') terms.push(event.term);
    if (event.type === 'startedLeading') this.story.push('started');
    if (event.type === 'stoppedLeading') this.story.push(`stopped ${event.reason}`);
    if (event.type === 'newLeader') this.story.push(`leader ${event.identity}`);
    if (event.type === 'error') this.story.push(`error ${event.error.code}`);
  }

  get leads(): boolean {
    return this.elector.state.kind === 'leading';
  }

  get term(): LeadershipTerm {
    const { state } = this.elector;
    if (state.kind !== 'leading') throw new Error(`it is ${state.kind}: ${this.story.join(', ')}`);
    return state.term;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Cuts it off: neither its requests nor its watch events arrive. */
  cutOff(): void {
    for (const lock of [this.old, this.new]) {
      lock.fate = () => 'lose';
      lock.watchStalled = true;
    }
  }
}

/** A joint elector that has not started. */
function unstarted(
  parts: Partial<JointElectorParts> = {},
  options: Partial<ElectionOptions> = {},
): JointElector {
  return new JointElector({
    lock: leases.new.lock('one'),
    also: { leaseName: OLD, lock: leases.old.lock('one') },
    options: resolveElectionOptions(
      { leaseName: NEW, ...options },
      { leaseNamespace: 'default', identity: 'one' },
    ),
    clock: time.clock(),
    ...parts,
  });
}

/** Empties a Lease as its holder does when it releases it, so that it can be acquired at once. */
function release(lease: SimulatedLease): void {
  lease.edit(recordOf('', { renewTime: OTHER_TIME, acquireTime: OTHER_TIME }));
}

const holders = (): (string | undefined)[] =>
  [leases.old, leases.new].map(({ stored }) => stored?.record.holderIdentity);

/** Advances until `condition` holds, for `ms` at most. Expects that two never lead. */
async function pass(ms: number, condition: () => boolean = () => false): Promise<boolean> {
  const until = time.now + ms;
  await time.settle();
  do {
    expect(everyone.filter(({ leads }) => leads).length).toBeLessThanOrEqual(1);
    if (condition()) return true;
  } while (await time.step(until));
  return false;
}

/** Advances until one of these leads. */
async function untilLed(by: Candidate[], withinMs: number): Promise<Candidate> {
  let leader: Candidate | undefined;
  await pass(withinMs, () => (leader = by.find(({ leads }) => leads)) !== undefined);
  if (leader !== undefined) return leader;
  throw new Error(`nobody led: ${everyone.map(({ story }) => story.join(', ')).join(' | ')}`);
}

it('leads when it holds both Leases, and hands both over within milliseconds', async () => {
  const one = new Candidate('one', 'both');
  await untilLed([one], 100);
  expect(holders()).toEqual(['one', 'one']);
  expect(one.term).toMatchObject({ leaseName: NEW, identity: 'one', slot: 0, isOver: false });
  const two = new Candidate('two', 'both');
  await time.advance(30_000);
  expect(two.leads).toBe(false);
  one.stop();
  await untilLed([two], 30);
  await time.advance(100);
  expect(holders()).toEqual(['two', 'two']);
  expect(one.ended).toBe(true);
  expect(one.story).toEqual(['started', 'leader one', 'stopped stopped', 'leader ']);
  expect(two.story).toEqual(['leader one', 'leader ', 'started', 'leader two']);
});

it('tells its states, its term and its leader, each once', async () => {
  const one = new Candidate('one', 'both');
  expect(one.elector).toMatchObject({ leaseName: NEW, identity: 'one' });
  await time.advance(100);
  expect(one.elector.state).toMatchObject({ kind: 'leading', problems: [], watch: 'open' });
  const leave = one.term.enter();
  one.stop();
  await time.advance(10);
  leave();
  await time.advance(100);
  expect(one.states).toEqual(['following', 'leading', 'handingOver', 'following', 'stopped']);
  expect(one.story).toEqual(['started', 'leader one', 'stopped stopped', 'leader ']);
  expect(one.elector.state).toEqual({ kind: 'stopped' });
});

it('has ended only when neither Lease is being released any more', async () => {
  const one = new Candidate('one', 'both');
  await time.advance(100);
  one.new.fate = () => 'lose';
  one.stop();
  await time.advance(100);
  expect([...holders(), one.elector.state.kind, one.ended]).toEqual(['', 'one', 'following', false]);
  one.new.fate = () => 'answer';
  await time.advance(3_000);
  expect([...holders(), one.elector.state.kind, one.ended]).toEqual(['', '', 'stopped', true]);
});

it('follows while its candidacy does not stand, and shows the leader of either Lease', async () => {
  let changed = (): void => undefined;
  const candidacy = {
    stands: false,
    objection: undefined,
    observe: (listener: () => void) => {
      changed = listener;
      return () => undefined;
    },
  };
  const one = new Candidate('one', 'both', {}, 'usual', undefined, candidacy);
  leases.new.edit(recordOf('single'));
  await time.advance(100);
  expect(one.elector.state).toMatchObject({ kind: 'following', leader: 'single' });
  leases.new.delete();
  await time.advance(100);
  expect(holders()).toEqual([undefined, undefined]);
  candidacy.stands = true;
  changed();
  await time.advance(100);
  expect(holders()).toEqual(['one', undefined]);
});

describe.each(['stops', 'is cut off'] as const)('a migration in which each leader %s', (how) => {
  it('never has two leaders, and its tokens increase from the old Lease to the new', async () => {
    let fleet = new Set([1, 2].map((number) => new Candidate(`old-${String(number)}`, 'old')));
    for (const phase of ['both', 'new'] as const) {
      const next = [1, 2].map((number) => new Candidate(`${phase}-${String(number)}`, phase));
      while (fleet.size > 0) {
        const leader = await untilLed([...fleet, ...next], 60_000);
        await pass(5_000);
        const leaving = fleet.has(leader) ? leader : [...fleet][0];
        if (leaving === undefined) break;
        fleet.delete(leaving);
        if (how === 'stops') leaving.stop();
        else leaving.cutOff();
        // The next step begins when no process of the last one leads.
        await pass(11_000, () => !leaving.leads);
      }
      fleet = new Set(next);
      await untilLed(next, 60_000);
    }
    const phases = terms.map(({ identity }) => identity.replace(/-\d$/, ''));
    expect([...new Set(phases)]).toEqual(['old', 'both', 'new']);
    const tokens = terms.map(({ fencingToken }) => fencingToken);
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1)));
  });
});

it.each([
  ['old', () => leases.old],
  ['new', () => leases.new],
] as const)(
  'does not lead beside a process that knows only the %s Lease, and shows it as the leader',
  async (phase, lease) => {
    const single = new Candidate('single', phase);
    await untilLed([single], 100);
    const joint = new Candidate('joint', 'both');
    await time.advance(60_000);
    expect(single.leads).toBe(true);
    expect(joint.elector.state).toMatchObject({ kind: 'following', leader: 'single' });
    // A process that waits for the first Lease does not hold the second.
    if (phase === 'old') expect(leases.new.stored).toBeUndefined();
    single.stop();
    await untilLed([joint], 30);
    expect(lease().stored?.record.holderIdentity).toBe('joint');
  },
);

describe('the term is over as soon as one of the two is', () => {
  it.each([
    ['old', () => leases.old],
    ['new', () => leases.new],
  ] as const)(
    'when the %s Lease is taken: reported at once, although the other is held',
    async (_, lease) => {
      const one = new Candidate('one', 'both');
      await untilLed([one], 100);
      const { term } = one;
      const leave = term.enter();
      lease().edit(recordOf('thief'));
      await time.advance(5);
      expect(term.isOver).toBe(true);
      expect(term.signal.reason).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'superseded' });
      expect(one.story).toContain('stopped superseded');
      expect(one.elector.state).toMatchObject({ kind: 'following', stillRunning: 1 });
      leave();
      await untilLed([one], 20_000);
    },
  );

  it.each(['old', 'new'] as const)(
    'when the %s Lease is not renewed in time, at the first check',
    async (which) => {
      const one = new Candidate('one', 'both', { renewInterval: 7_500 });
      await time.advance(100);
      const { term } = one;
      one[which].fate = () => 'lose';
      await time.advance(9_000);
      expect(term.isOver).toBe(false);
      expect(term.remaining()).toBeLessThan(1_100);
      time.jump(1_100); // the process did not run, so no timer of its could end the term
      expect(term.isOver).toBe(true);
      expect(term.remaining()).toBe(0);
      expect(() => {
        term.throwIfOver();
      }).toThrow(expect.objectContaining({ reason: 'deadline', leaseName: NEW }));
      expect(one.elector.state.kind).toBe('following');
      expect(one.story).toContain('stopped deadline');
    },
  );
});

it('says that a term ran out on the first Lease, also if news of the second comes before that is noticed', async () => {
  const one = new Candidate('one', 'both', { renewInterval: 7_500 });
  await time.advance(100);
  const { term } = one;
  one.old.fate = () => 'lose';
  await time.advance(9_000);
  leases.new.relabel();
  time.jump(1_000);
  await time.advance(100);
  expect(term.signal.reason).toMatchObject({ reason: 'deadline' });
  expect(one.story.filter((line) => line.startsWith('st'))).toEqual(['started', 'stopped deadline']);
});

it('tells of a lost term once, before its end and the new leader', async () => {
  const told: string[] = [];
  void unstarted().run(new AbortController().signal, (event) => {
    told.push(event.type === 'stateChanged' ? event.state.kind : event.type);
  });
  await time.advance(100);
  told.splice(0);
  leases.old.edit(recordOf('thief'));
  await time.advance(100);
  expect(told.slice(0, 3)).toEqual(['following', 'stoppedLeading', 'newLeader']);
});

it('confirms that both Leases are held', async () => {
  const one = new Candidate('one', 'both');
  await untilLed([one], 100);
  const outcome = (): Promise<unknown> => one.term.confirm().catch((error: unknown) => error);
  const well = outcome();
  await time.advance(10);
  expect(await well).toBeUndefined();
  one.old.watchStalled = true;
  leases.old.edit(recordOf('thief'));
  const ill = outcome();
  await time.advance(10);
  expect(await ill).toMatchObject({ code: 'LEADER_TERM_OVER' });
});

describe('a reply about the new Lease that comes when the old one was lost', () => {
  /** Another process takes the old Lease before the reply about the new one; returns the version of that write. */
  async function thiefBeforeReply(): Promise<{ one: Candidate; thiefsVersion: bigint }> {
    const one = new Candidate('one', 'both');
    one.new.fate = ({ verb }) => (verb === 'create' ? { replyDelayMs: 900 } : 'answer');
    one.new.eventFate = () => ({ dropped: true });
    await time.advance(100);
    expect(holders()).toEqual(['one', 'one']);
    leases.old.edit(recordOf('thief'));
    return { one, thiefsVersion: BigInt(String(leases.old.stored?.resourceVersion)) };
  }

  it('begins no term', async () => {
    const { one } = await thiefBeforeReply();
    await time.advance(10_000);
    expect(holders()).toEqual(['thief', '']);
    expect(one.story).toEqual(['leader thief']);
  });

  it('begins no term either if the old one ran out and that is not noticed yet', async () => {
    leases.new.edit(recordOf('other'));
    const one = new Candidate('one', 'both', { renewInterval: 7_500 });
    await time.advance(100);
    one.old.fate = () => 'lose';
    one.new.fate = ({ verb }) => (verb === 'update' ? { replyDelayMs: 400 } : 'answer');
    await time.advance(9_400);
    release(leases.new);
    one.new.eventFate = () => ({ dropped: holders()[1] === 'one' });
    await time.advance(300);
    expect(holders()).toEqual(['one', 'one']);
    time.jump(1_000);
    await time.advance(2_000);
    expect(terms).toEqual([]);
    expect(one.story).not.toContain('error LEADER_LISTENER_FAILED');
    expect(holders()).toEqual(['one', '']);
  });

  it('begins a term if the old Lease is acquired again, with the larger of both tokens', async () => {
    const { one, thiefsVersion } = await thiefBeforeReply();
    await time.advance(100);
    release(leases.old);
    await untilLed([one], 1_000);
    expect(one.term.fencingToken).toBeGreaterThan(thiefsVersion);
  });
});

it('keeps both Leases until the work has ended', async () => {
  const one = new Candidate('one', 'both');
  await untilLed([one], 100);
  const leave = one.term.enter();
  const { signal } = one.term;
  one.stop();
  expect(signal.aborted).toBe(true);
  await time.advance(60_000);
  expect(holders()).toEqual(['one', 'one']);
  expect(one.elector.state).toMatchObject({ kind: 'handingOver', reason: 'stopped', stillRunning: 1 });
  expect(one.story).toEqual(['started', 'leader one', 'error LEADER_DRAIN_TIMEOUT']);
  leave();
  await time.advance(10);
  expect(holders()).toEqual(['', '']);
  expect(one.ended).toBe(true);
});

it('steps down and lets others lead meanwhile', async () => {
  const one = new Candidate('one', 'both');
  await untilLed([one], 100);
  const two = new Candidate('two', 'both');
  await time.advance(1_000);
  const done = one.elector.stepDown({ cooldown: 5_000 });
  await untilLed([two], 30);
  await done;
  expect(one.story).toContain('stopped steppedDown');
});

it('resolves stepDown() when both are handed over', async () => {
  const one = new Candidate('one', 'both');
  await time.advance(100);
  const leave = one.term.enter();
  let hasEnded = false;
  void one.elector.stepDown().then(() => (hasEnded = true));
  await time.advance(100);
  expect([hasEnded, ...holders()]).toEqual([false, 'one', 'one']);
  leave();
  await time.advance(100);
  expect([hasEnded, ...holders()]).toEqual([true, '', '']);
});

describe('work that calls stepDown()', () => {
  it('does not wait for the hand-over, which waits for that work, also of an earlier term', async () => {
    const one = new Candidate('one', 'both', { drainTimeout: 50 });
    await time.advance(100);
    const { term } = one;
    term.enter();
    release(leases.new);
    await time.advance(200);
    expect(one.story.filter((line) => line.startsWith('st'))).toEqual([
      'started',
      'stopped released',
      'started',
    ]);
    await runInTerm('default', term, () => one.elector.stepDown());
    expect(one.elector.state).toMatchObject({ kind: 'handingOver', reason: 'steppedDown' });
  });

  it('is told that its cool-down is invalid', async () => {
    const one = new Candidate('one', 'both');
    await time.advance(100);
    const stepped = runInTerm('default', one.term, () => one.elector.stepDown({ cooldown: -1 }));
    expect(await stepped.catch((error: unknown) => error)).toMatchObject({ code: 'LEADER_INVALID_OPTIONS' });
    expect(one.leads).toBe(true);
  });
});

it("ends with a lost term when onLost is 'exit'", async () => {
  const one = new Candidate('one', 'both', { onLost: 'exit' });
  await untilLed([one], 100);
  leases.old.edit(recordOf('thief'));
  await time.advance(100);
  expect(one.ended).toBe(true);
  expect(holders()).toEqual(['thief', '']);
});

it.each(['campaign', 'exit'] as const)(
  "says that a term is lost that runs out while its work ends, when onLost is '%s'",
  async (onLost) => {
    const one = new Candidate('one', 'both', { onLost });
    await untilLed([one], 100);
    const leave = one.term.enter();
    void one.elector.stepDown();
    one.cutOff();
    await pass(20_000);
    expect(one.story.filter((line) => line.startsWith('st'))).toEqual(['started', 'stopped deadline']);
    expect(one.facts[NEW]).toContainEqual(expect.objectContaining({ type: 'termEnded', reason: 'deadline' }));
    leave();
    await pass(20_000);
    expect(one.ended).toBe(onLost === 'exit');
  },
);

it('has a larger token after it has lost one Lease and acquired it again', async () => {
  const one = new Candidate('one', 'both');
  await untilLed([one], 100);
  leases.new.edit(recordOf('thief'));
  await pass(1_000);
  await untilLed([one], 20_000);
  expect(one.story.filter((line) => line.startsWith('st'))).toEqual([
    'started',
    'stopped superseded',
    'started',
  ]);
  const [first, second] = terms.map(({ fencingToken }) => fencingToken);
  expect(second).toBeGreaterThan(first ?? 0n);
});

it('hands both over at its termLimit, which counts from the first Lease', async () => {
  const one = new Candidate('one', 'both', { termLimit: 60_000 });
  await untilLed([one], 100);
  const two = new Candidate('two', 'both');
  await pass(58_000);
  expect(one.leads).toBe(true);
  await untilLed([two], 3_000);
  expect(one.story).toContain('stopped termLimit');
});

it("campaigns again when it loses one Lease while it waits for the other, also with onLost: 'exit'", async () => {
  leases.new.edit(recordOf('other'));
  const one = new Candidate('one', 'both', { onLost: 'exit' });
  await time.advance(100);
  expect(holders()).toEqual(['one', 'other']);
  expect(one.elector.state).toMatchObject({ kind: 'following', leader: 'other' });
  release(leases.old);
  await time.advance(100);
  expect([one.ended, ...holders()]).toEqual([false, 'one', 'other']);
  release(leases.new);
  await time.advance(100);
  expect(one.leads).toBe(true);
});

it('calls its guard with both Leases held: before the term starts, and before either is released', async () => {
  const undone: (string | undefined)[][] = [];
  const slowly = (): Promise<void> =>
    new Promise((resolve) => {
      time.schedule(500, resolve);
    });
  const one = new Candidate('one', 'both', {}, 'usual', {
    atStart: slowly,
    atEnd: async () => {
      await slowly();
      undone.push(holders());
    },
  });
  await time.advance(100);
  expect([holders(), one.leads]).toEqual([['one', 'one'], false]);
  await untilLed([one], 1_000);
  one.stop();
  await time.advance(1_000);
  expect(undone).toEqual([['one', 'one']]);
  expect([one.ended, holders()]).toEqual([true, ['', '']]);
});

it('waits for the guard of a term, also when that of the term before finishes late', async () => {
  const finish: (() => void)[] = [];
  const one = new Candidate('one', 'both', {}, 'usual', {
    atStart: () => Promise.resolve(),
    atEnd: () => new Promise((resolve) => finish.push(resolve)),
  });
  await untilLed([one], 100);
  leases.new.edit(recordOf(''));
  await pass(50);
  await untilLed([one], 20_000);
  expect(finish).toHaveLength(1);
  finish[0]?.();
  one.stop();
  await pass(1_000);
  expect(holders()).toEqual(['one', 'one']);
  finish[1]?.();
  await pass(100);
  expect(holders()).toEqual(['', '']);
});

it('waits for a guard and for work as long as with one Lease, and reports each once', async () => {
  const never = new Promise<void>(() => undefined);
  const guard = { atStart: () => Promise.resolve(), atEnd: () => never };
  const one = new Candidate('one', 'both', { retryPeriod: 500, drainTimeout: 300 }, 'usual', guard);
  await time.advance(100);
  const leave = one.term.enter();
  one.stop();
  await time.advance(350);
  leave();
  await time.advance(490);
  expect(holders()).toEqual(['one', 'one']);
  await time.advance(50);
  expect(holders()).toEqual(['', '']);
  expect(one.story.filter((line) => line.startsWith('error'))).toEqual([
    'error LEADER_DRAIN_TIMEOUT',
    'error LEADER_GUARD_FAILED',
  ]);
});

it('reports once a guard that does not finish when the first Lease is lost', async () => {
  const never = new Promise<void>(() => undefined);
  const guard = { atStart: () => Promise.resolve(), atEnd: () => never };
  const one = new Candidate('one', 'both', { retryPeriod: 500 }, 'usual', guard);
  await time.advance(100);
  const leave = one.term.enter();
  leases.old.edit(recordOf('thief'));
  await time.advance(300);
  leave();
  await time.advance(600);
  expect(one.story.filter((line) => line.startsWith('error'))).toEqual(['error LEADER_GUARD_FAILED']);
});

it('does not wait again for a guard that had its time when the second Lease was lost', async () => {
  const never = new Promise<void>(() => undefined);
  const guard = { atStart: () => Promise.resolve(), atEnd: () => never };
  const one = new Candidate('one', 'both', { retryPeriod: 500 }, 'usual', guard);
  await time.advance(100);
  leases.new.edit(recordOf('thief'));
  await time.advance(600);
  one.stop();
  await time.advance(50);
  expect(holders()).toEqual(['', 'thief']);
});

it.each<[string, (one: Candidate) => void, string[]]>([
  [
    'another process has the second',
    () => {
      leases.new.edit(recordOf('other'));
    },
    ['leader other', 'leader '],
  ],
  [
    'the second cannot be acquired',
    (one) => {
      one.new.fate = ({ verb }) => (verb === 'create' ? refused : 'answer');
    },
    ['error LEADER_FORBIDDEN'],
  ],
])('does not call its guard, or itself the leader, while %s', async (_, prevent, story) => {
  let calls = 0;
  const count = (): Promise<void> => {
    calls += 1;
    return Promise.resolve();
  };
  const one = new Candidate('one', 'both', {}, 'usual', { atStart: count, atEnd: count });
  prevent(one);
  await time.advance(100);
  expect(holders()[0]).toBe('one');
  one.stop();
  await time.advance(100);
  expect(holders()[0]).toBe('');
  expect(calls).toBe(0);
  expect(one.story).toEqual(story);
});

it('reports the metrics of one election', async () => {
  leases.old.edit(recordOf(''));
  const one = new Candidate('one', 'both');
  await time.advance(100);
  const leave = one.term.enter();
  one.stop();
  await time.advance(400);
  leave();
  await time.advance(10);
  const facts = one.facts[NEW]?.filter(({ type }) => type !== 'renewal' && type !== 'watch');
  expect(facts).toMatchObject([
    { type: 'joined' },
    { type: 'termBegan', takeover: 'clean' },
    { type: 'draining', pieces: 1 },
    { type: 'termEnded', reason: 'stopped', lengthMs: expect.closeTo(494, -1) },
  ]);
  expect(one.facts[OLD]?.map(({ type }) => type)).not.toContain('joined');
});

it('reports renewals and watches for each Lease', async () => {
  const one = new Candidate('one', 'both');
  await time.advance(20_000);
  expect(new Set(one.facts[OLD]?.map(({ type }) => type))).toEqual(new Set(['watch', 'renewal']));
  const renewals = (lease: string): number | undefined =>
    one.facts[lease]?.filter(({ type }) => type === 'renewal').length;
  expect(renewals(NEW)).toBeGreaterThan(3);
  expect(renewals(OLD)).toBe(renewals(NEW));
});

it('reports a meter that throws, once for each Lease and once for both', async () => {
  const told: string[] = [];
  const elector = unstarted({
    meterOf: () => () => {
      throw new Error('planted');
    },
  });
  expect(elector.state).toEqual({ kind: 'idle' });
  void elector.run(new AbortController().signal, (event) => {
    if (event.type === 'error') told.push(event.error.code);
  });
  await time.advance(100);
  expect(elector.state.kind).toBe('leading');
  expect(told).toEqual(['LEADER_LISTENER_FAILED', 'LEADER_LISTENER_FAILED', 'LEADER_LISTENER_FAILED']);
});

it.each([
  [OLD, NEW],
  [NEW, OLD],
])('traces the election of each Lease under its name, given as %s and %s', async (leaseName, also) => {
  const traced: string[] = [];
  const traceOf: JointElectorParts['traceOf'] = (leaseName) => (_, effects) => {
    if (effects.some((effect) => effect.do === 'write')) traced.push(leaseName);
  };
  const lockOf = (name: string): SimulatedLeaseLock => (name === OLD ? leases.old : leases.new).lock('one');
  const elector = unstarted(
    { traceOf, lock: lockOf(leaseName), also: { leaseName: also, lock: lockOf(also) } },
    { leaseName },
  );
  void elector.run(new AbortController().signal, () => undefined);
  await time.advance(100);
  expect(traced).toEqual([OLD, NEW]);
});

describe('an error about one Lease', () => {
  it.each([
    ['old', OLD, 'usual'],
    ['new', NEW, 'swapped'],
  ] as const)('names the %s one', async (which, leaseName, order) => {
    const one = new Candidate('one', 'both', {}, order);
    await time.advance(100);
    one[which].fate = () => refused;
    const confirmed = one.term.confirm().catch((error: unknown) => error);
    await time.advance(10);
    expect(await confirmed).toMatchObject({
      code: 'LEADER_UNCONFIRMED',
      message: expect.stringContaining(`'${leaseName}'`),
    });
  });

  it.each(['old', 'new'] as const)('does not end the term, whichever it is: the %s one', async (which) => {
    const one = new Candidate('one', 'both', { renewInterval: 300 });
    await time.advance(100);
    const { term } = one;
    one[which].fate = () => refused;
    await time.advance(400);
    expect(one.story).toEqual(['started', 'leader one', 'error LEADER_FORBIDDEN']);
    expect(one.term).toBe(term);
  });

  it.each(['old', 'new'] as const)('is reported for the %s one, and counted', async (which) => {
    const one = new Candidate('one', 'both');
    one[which].fate = () => refused;
    await time.advance(100);
    expect(one.story).toEqual(['error LEADER_FORBIDDEN']);
    expect(one.facts[NEW]).toContainEqual({ type: 'failed', code: 'LEADER_FORBIDDEN' });
  });
});

it('two processes with the Leases in different order do not wait for each other', async () => {
  const one = new Candidate('one', 'both');
  const two = new Candidate('two', 'both', {}, 'swapped');
  await untilLed([one, two], 1_000);
});

it('refuses two equal Leases and a second start', async () => {
  const one = new Candidate('one', 'both');
  const again = one.elector.run(AbortSignal.abort(), () => undefined);
  expect(await again.catch((error: unknown) => error)).toMatchObject({ code: 'LEADER_ALREADY_STARTED' });
  await time.advance(100);
  expect(one.story).toContain('started');
  expect(() => unstarted({ also: { leaseName: NEW, lock: leases.new.lock('one') } })).toThrow(
    "alsoLease and leaseName are both 'b-new'",
  );
});

it('shows the holder of its own name that it waits for', async () => {
  leases.new.edit(recordOf('one'));
  const one = new Candidate('one', 'both');
  await time.advance(100);
  expect(holders()).toEqual(['one', 'one']);
  expect(one.elector.state).toMatchObject({ kind: 'following', leader: 'one', expiresAt: 15_001 });
});

it('tells no other leader when it stops as a follower', async () => {
  leases.old.edit(recordOf('other'));
  const one = new Candidate('one', 'both');
  await time.advance(100);
  one.stop();
  await time.advance(100);
  expect([one.ended, ...one.story]).toEqual([true, 'leader other']);
});

it('listens to its signal no longer when it has ended by itself', async () => {
  const { signal } = new AbortController();
  const ended = unstarted({}, { onLost: 'exit' }).run(signal, () => undefined);
  await time.advance(100);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  leases.old.edit(recordOf('thief'));
  await time.advance(100);
  await ended;
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

describe('stopped without releaseOnCancel', () => {
  it.each<['usual' | 'swapped', boolean]>([
    ['usual', false],
    ['swapped', false],
    ['usual', true],
    ['swapped', true],
  ])('releases neither Lease, given in %s order, with running work: %s', async (order, works) => {
    const one = new Candidate('one', 'both', { releaseOnCancel: false }, order);
    await pass(100);
    const leave = works ? one.term.enter() : (): void => undefined;
    one.stop();
    await pass(1_000);
    leave();
    await pass(100);
    expect(one.ended).toBe(true);
    expect(holders()).toEqual(['one', 'one']);
    expect(one.story).toContain('stopped stopped');
  });

  it('releases both when it steps down', async () => {
    const one = new Candidate('one', 'both', { releaseOnCancel: false });
    await pass(100);
    void one.elector.stepDown({ cooldown: 60_000 });
    await pass(100);
    expect(holders()).toEqual(['', '']);
  });
});
