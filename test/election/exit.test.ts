/** A process exits: its term ends first, and what is to be sent then releases its lease, if that is still its own. */
import { describe, expect, it } from 'vitest';
import {
  JointElector,
  LeaseElector,
  SlotElector,
  resolveElectionOptions,
  type Clock,
  type ElectionEvent,
  type Elector,
  type LeaseUpdate,
} from '../../lib/election/index.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const options = resolveElectionOptions({ leaseName: 'b' }, { leaseNamespace: 'default', identity: 'me' });

function lockIn(time: SimulatedTime): SimulatedLeaseLock {
  return new SimulatedLease(time).lock('me');
}

const electors: [string, number, (time: SimulatedTime, clock: Clock) => Elector][] = [
  ['LeaseElector', 1, (time, clock) => new LeaseElector({ lock: lockIn(time), options, clock })],
  [
    'SlotElector',
    1,
    (time, clock) => new SlotElector({ locks: [lockIn(time), lockIn(time)], options, clock }),
  ],
  [
    'JointElector',
    2,
    (time, clock) => {
      const also = { leaseName: 'a', lock: lockIn(time) };
      return new JointElector({ lock: lockIn(time), also, options, clock });
    },
  ],
];

/** The updates, sent. */
function send(time: SimulatedTime, updates: readonly LeaseUpdate[]): Promise<unknown> {
  const { signal } = new AbortController();
  const sent = updates.map(({ lock, base, record }) =>
    lock.update(base, record, { signal, newConnection: true }),
  );
  return time.advance(10).then(() => Promise.all(sent));
}

describe.each(electors)('%s at the exit of its process', (_name, leases, make) => {
  it('ends its term, tells no observer, and releases each lease once', async () => {
    const time = new SimulatedTime();
    const elector = make(time, time.clock());
    const events: ElectionEvent[] = [];
    void elector.run(new AbortController().signal, (event) => events.push(event));
    await time.advance(1_000);
    if (elector.state.kind !== 'leading') throw new Error('it does not lead');
    const { term } = elector.state;
    const told = events.length;
    let wasOver: boolean | undefined;
    term.signal.addEventListener('abort', () => {
      wasOver = term.isOver;
    });
    const updates = elector.endAtExit?.() ?? [];
    expect({ wasOver, isOver: term.isOver, told: events.length - told }).toEqual({
      wasOver: true,
      isOver: true,
      told: 0,
    });
    expect(elector.state.kind).not.toBe('leading');
    expect(updates).toHaveLength(leases);
    for (const { record } of updates)
      expect(record).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    expect(elector.endAtExit?.()).toEqual([]);
    expect(await send(time, updates)).toMatchObject(Array(leases).fill({ kind: 'written' }));
  });

  it('does nothing before it runs', () => {
    const time = new SimulatedTime();
    const elector = make(time, time.clock());
    expect(elector.endAtExit?.()).toEqual([]);
    expect(elector.state.kind).toBe('idle');
  });
});

describe('LeaseElector at the exit of its process', () => {
  function elect(changed: Partial<typeof options> = {}) {
    const time = new SimulatedTime();
    const lease = new SimulatedLease(time);
    const lock = lease.lock('me');
    const elector = new LeaseElector({ lock, options: { ...options, ...changed }, clock: time.clock() });
    const stop = new AbortController();
    const events: string[] = [];
    const run = elector.run(stop.signal, ({ type }) => events.push(type));
    return { time, lease, lock, elector, stop, run, events };
  }

  it('releases nothing with releaseOnCancel: false, but ends its term', async () => {
    const { time, elector } = elect({ releaseOnCancel: false });
    await time.advance(1_000);
    expect(elector.endAtExit()).toEqual([]);
    expect(elector.state.kind).toBe('stopped');
  });

  it('does nothing when it has handed over', async () => {
    const { time, elector, stop, run } = elect();
    await time.advance(1_000);
    stop.abort();
    await time.advance(1_000);
    await run;
    expect(elector.endAtExit()).toEqual([]);
  });

  it('does nothing as a follower, which goes on and tells of its term', async () => {
    const { time, lease, elector, stop } = elect();
    const other = new LeaseElector({
      lock: lease.lock('other'),
      options: { ...options, identity: 'other' },
      clock: time.clock(),
    });
    await time.advance(1_000);
    const told: string[] = [];
    void other.run(new AbortController().signal, ({ type }) => told.push(type));
    await time.advance(1_000);
    expect(other.endAtExit()).toEqual([]);
    expect(other.state.kind).toBe('following');
    expect(elector.state.kind).toBe('leading');
    stop.abort();
    await time.advance(1_000);
    expect(told).toContain('startedLeading');
  });

  it('releases while work runs, because the work ends with the process', async () => {
    const { time, elector } = elect();
    await time.advance(1_000);
    if (elector.state.kind !== 'leading') throw new Error('it does not lead');
    elector.state.term.enter();
    expect(elector.endAtExit()).toHaveLength(1);
  });

  it('releases in the middle of a hand-over that waits for work', async () => {
    const { time, elector, stop } = elect();
    await time.advance(1_000);
    if (elector.state.kind !== 'leading') throw new Error('it does not lead');
    elector.state.term.enter();
    stop.abort();
    await time.advance(25_000);
    expect(elector.state.kind).toBe('handingOver');
    const updates = elector.endAtExit();
    expect(await send(time, updates)).toMatchObject([{ kind: 'written' }]);
  });

  it('releases with a renewal out, which is refused when it comes later', async () => {
    const { time, lock, lease, elector } = elect();
    await time.advance(1_000);
    lock.fate = ({ verb }) => (verb === 'update' ? { delayMs: 5_000 } : 'answer');
    await time.advance(3_400);
    const updates = elector.endAtExit();
    lock.fate = () => 'answer';
    expect(await send(time, updates)).toMatchObject([{ kind: 'written' }]);
    await time.advance(10_000);
    expect(lease.stored?.record.holderIdentity).toBe('');
  });

  it('is refused when another holds the lease by then', async () => {
    const { time, lease, elector } = elect();
    await time.advance(1_000);
    const { stored } = lease;
    if (stored === undefined) throw new Error('there is no Lease');
    const updates = elector.endAtExit();
    await send(time, [
      { lock: lease.lock('other'), base: stored, record: { ...stored.record, holderIdentity: 'other' } },
    ]);
    expect(await send(time, updates)).toMatchObject([{ kind: 'conflict' }]);
    expect(lease.stored?.record.holderIdentity).toBe('other');
  });

  it('tells nobody of a term that has run out unnoticed', async () => {
    const { time, elector, events } = elect();
    await time.advance(1_000);
    const told = events.length;
    // No timer runs: the event loop is blocked.
    Object.assign(elector.clock, { now: () => time.now + 20_000 });
    elector.endAtExit();
    expect(events.length).toBe(told);
    expect(elector.state.kind).not.toBe('leading');
  });
});

describe('with a lockDelay', () => {
  it('the lease is not released, but runs out after a second: what the process has sent gets its time', async () => {
    const time = new SimulatedTime();
    const lease = new SimulatedLease(time);
    const start = (identity: string): LeaseElector => {
      const elector = new LeaseElector({
        lock: lease.lock(identity),
        clock: time.clock(),
        options: resolveElectionOptions(
          { leaseName: 'b', lockDelay: 5_000 },
          { leaseNamespace: 'default', identity },
        ),
      });
      void elector.run(new AbortController().signal, () => undefined);
      return elector;
    };
    const baz = start('baz');
    await time.advance(1_000);
    const bing = start('bing');
    await time.advance(1_000);
    const exitedAt = time.now;
    await send(time, baz.endAtExit());
    expect(lease.stored?.record).toMatchObject({ holderIdentity: 'baz', leaseDurationSeconds: 1 });
    await time.advance(6_000 - (time.now - exitedAt));
    expect(bing.state.kind).toBe('following');
    await time.advance(20);
    expect(bing.state.kind).toBe('leading');
  });
});
