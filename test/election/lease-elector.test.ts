/** The guarantees of docs/guarantees.md and the rules of ARCHITECTURE.md, one by one, on simulated time. */
import { describe, expect, it } from 'vitest';
import {
  LeaseElector,
  LeaseRequestError,
  resolveElectionOptions,
  type LeaseElectorParts,
  type LeaseRecord,
  type MicroTime,
} from '../../lib/election/index.js';
import { World } from './candidate.js';
import { recordOf } from './records.js';

const unreachable = (maybeCommitted = false): LeaseRequestError =>
  new LeaseRequestError('LEADER_UNREACHABLE', 'planted', { maybeCommitted });

/** A candidate named bing with these parts, and the errors that it reports. */
function startBing(world: World, parts: Partial<LeaseElectorParts>): string[] {
  const elector = new LeaseElector({
    lock: world.lease.lock('bing'),
    clock: world.time.clock(),
    options: resolveElectionOptions(
      { leaseName: 'simulated' },
      { leaseNamespace: 'default', identity: 'bing' },
    ),
    ...parts,
  });
  const errors: string[] = [];
  void elector.run(new AbortController().signal, (event) => {
    if (event.type === 'error') errors.push(event.error.code);
  });
  return errors;
}

describe('validity (G1, G2, rules 1 and 2)', () => {
  it('counts from before the write was sent, however late the reply', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.fate = ({ verb }) => (verb === 'create' ? { delayMs: 4_000 } : 'answer');
    baz.lock.watchStalled = true;
    baz.start();
    await world.time.advanceUntil(() => baz.leads, 5_000);
    expect(baz.term.remaining()).toBeCloseTo(10_000 - 4_002, 0);
  });

  it('ends by itself at the renew deadline when the API server hangs, before anyone else may lead', async () => {
    const world = new World();
    const baz = world.start('baz');
    const bing = world.start('bing');
    await world.time.advance(1_000);
    const { signal } = baz.term;
    let stoppedAt = 0;
    signal.addEventListener('abort', () => {
      stoppedAt = world.time.now;
    });
    baz.lock.fate = () => 'lose';
    baz.lock.watchStalled = true;
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(baz.leads).toBe(false);
    expect(baz.story).toContain('stopped deadline');
    expect(world.time.now - stoppedAt).toBeGreaterThanOrEqual(5_000);
  });

  it('is over at the first check after the process was paused for longer, before any timer fires', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const { term } = baz;
    world.time.jump(22_500);
    expect(term.isOver).toBe(true);
    expect(baz.leads).toBe(false);
    expect(() => {
      term.throwIfOver();
    }).toThrow(expect.objectContaining({ code: 'LEADER_TERM_OVER', reason: 'deadline' }));
    expect(term.signal.aborted).toBe(true);
    expect(() => term.enter()).toThrow();
  });

  it('is over when only the wall clock has advanced, as after a suspended machine resumes', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const { term } = baz;
    baz.clock.stepWall(10_000);
    expect(term.isOver).toBe(true);
  });

  it('fires the signal within a second after a suspended machine resumes, without any call', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const { signal } = baz.term;
    baz.clock.stepWall(10_000);
    await world.time.advance(1_000);
    expect(signal.aborted).toBe(true);
  });

  it('is unaffected by a wall clock that is set back an hour', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.clock.stepWall(-3_600_000);
    await world.time.advance(60_000);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
  });

  it('no two renewals write the same record, even if the wall clock stands still', async () => {
    const world = new World();
    const baz = world.start('baz');
    const seen = new Set<string>();
    for (let renewals = 0; renewals < 5; renewals += 1) {
      await world.time.advance(3_400);
      baz.clock.stepWall(-3_400);
      seen.add(String(world.lease.stored?.record.renewTime));
    }
    expect(seen.size).toBe(5);
    expect([...seen]).toEqual([...seen].sort());
  });
});

describe('requests (rules 3, 4, 5)', () => {
  it('a renewal that hangs is sent again on another connection after retryPeriod, and the term continues', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(1_000);
    let hung = 0;
    baz.lock.fate = ({ verb }) => (verb === 'update' && hung++ === 0 ? 'lose' : 'answer');
    await world.time.advance(5_000);
    const renewals = world.lease.requests.filter(({ verb }) => verb === 'update');
    expect(renewals.map(({ newConnection }) => newConnection)).toEqual([true]);
    await world.time.advance(30_000);
    expect(baz.story).toEqual(['started 1', 'leader baz', 'error LEADER_REQUEST_TIMEOUT']);
    expect(baz.state).toMatchObject({ error: undefined });
  });

  it('a renewal whose reply was lost is recognised by a read, and counts from its own sending', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.lock.watchStalled = true;
    let lost = 0;
    let sentAt = 0;
    baz.lock.fate = ({ verb }) => {
      if (verb !== 'update') return 'answer';
      lost += 1;
      if (lost === 1) sentAt = world.time.now;
      return lost === 1 ? 'loseReply' : lost === 2 ? unreachable(true) : 'answer';
    };
    await world.time.advanceUntil(() => world.lease.requests.at(-1)?.verb === 'get', 10_000);
    await world.time.advance(2);
    expect(baz.term.remaining()).toBeCloseTo(10_000 - (world.time.now - sentAt), 0);
    await world.time.advance(30_000);
    expect(baz.story.filter((line) => !line.startsWith('error'))).toEqual(['started 1', 'leader baz']);
  });

  it('a take-over whose reply was lost begins one term, not two', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    let creates = 0;
    baz.lock.fate = ({ verb }) => (verb === 'create' && creates++ === 0 ? 'loseReply' : 'answer');
    baz.lock.watchStalled = true;
    baz.start();
    await world.time.advanceUntil(() => baz.leads, 3_000);
    await world.time.advance(60_000);
    expect(baz.story).toEqual([
      'started 1',
      'leader baz',
      'error LEADER_REQUEST_TIMEOUT',
      'error LEADER_WATCH_BROKEN',
    ]);
  });

  it('a reply that arrives after the term ended begins nothing', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(1_000);
    // The first renewal is committed after the term has ended, and the watch shows it while it would still be valid.
    let renewals = 0;
    baz.lock.fate = ({ verb }) => (verb === 'update' && renewals++ === 0 ? { delayMs: 8_000 } : 'lose');
    await world.time.advanceUntil(() => baz.story.includes('stopped deadline'), 15_000);
    expect(world.lease.stored?.resourceVersion).toBe('1');
    await world.time.advanceUntil(() => world.lease.stored?.resourceVersion === '2', 2_000);
    await world.time.advance(20_000);
    expect(baz.leads).toBe(false);
    expect(baz.story.filter((line) => line.startsWith('started'))).toEqual(['started 1']);
  });

  it('waits as long as the server asks, but at most half of the remaining validity', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const sent: number[] = [];
    baz.lock.fate = () => {
      sent.push(world.time.now);
      return sent.length === 1
        ? new LeaseRequestError('LEADER_THROTTLED', 'planted', {
            maybeCommitted: false,
            retryAfterMs: 60_000,
          })
        : 'answer';
    };
    await world.time.advance(12_000);
    expect(Number(sent[1]) - Number(sent[0])).toBeCloseTo(10_000 / 3, -1);
    expect(baz.story).toEqual(['started 1', 'leader baz', 'error LEADER_THROTTLED']);
  });
});

describe('losing (rule 6)', () => {
  it.each([
    [
      'deleted',
      'leaseGone',
      (world: World) => {
        world.lease.delete();
      },
    ],
    [
      'taken by another',
      'superseded',
      (world: World) => {
        world.lease.edit(recordOf('bing'));
      },
    ],
    [
      'emptied',
      'released',
      (world: World) => {
        world.lease.edit(recordOf(''));
      },
    ],
    [
      'renewed by another process of the same name',
      'superseded',
      (world: World) => {
        world.lease.edit(recordOf('baz'));
      },
    ],
  ])('a lease that is %s ends the term within a round trip: %s', async (_, reason, harm) => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const { signal } = baz.term;
    harm(world);
    await world.time.advance(2);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'LEADER_TERM_OVER', reason });
    expect(baz.story).toContain(`stopped ${reason}`);
  });

  it('a deleted Lease is re-created at once by its holder, with a larger token (G3)', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const { fencingToken } = baz.term;
    world.lease.delete();
    await world.time.advance(20);
    expect(baz.term.fencingToken).toBeGreaterThan(fencingToken);
  });

  it('a deleted Lease is not re-created by others while its holder may be certain of it', async () => {
    const world = new World();
    world.lease.edit(recordOf('dead'));
    const baz = world.start('baz');
    await world.time.advance(1_000);
    world.lease.delete();
    await world.time.advance(14_900);
    expect(baz.leads).toBe(false);
    await world.time.advanceUntil(() => baz.leads, 200);
  });
});

describe('own records (rule 7)', () => {
  it('after an outage longer than the deadline it leads again at once, in a new term with a larger token', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    baz.lock.fate = () => unreachable();
    await world.time.advanceUntil(() => baz.story.includes('stopped deadline'), 15_000);
    baz.lock.fate = () => 'answer';
    await world.time.advanceUntil(() => baz.leads, 3_000);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual([
      'started 1',
      'stopped deadline',
      expect.stringMatching(/^started \d+$/),
    ]);
    expect(baz.term.fencingToken).toBeGreaterThan(1n);
  });

  it('a record with its own name that it did not write belongs to another holder', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz'));
    const baz = world.start('baz');
    await world.time.advance(14_000);
    expect(baz.leads).toBe(false);
  });

  it('with reclaimOwnLease, a record with its own name is taken over at once', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz', { leaseTransitions: 4 }));
    const baz = world.start('baz', { reclaimOwnLease: true });
    await world.time.advance(20);
    expect(baz.leads).toBe(true);
    expect(world.lease.stored?.record.leaseTransitions).toBe(4);
  });
});

describe('work (G5, rules 8 and 10)', () => {
  it('does not campaign while work of a lost term runs, up to drainTimeout, which it reports', async () => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 5_000 });
    await world.time.advance(1_000);
    baz.term.enter();
    world.lease.edit(recordOf(''));
    await world.time.advance(4_900);
    expect(baz.leads).toBe(false);
    expect(baz.elector.state).toMatchObject({ kind: 'following', stillRunning: 1 });
    await world.time.advance(200);
    expect(baz.leads).toBe(true);
    expect(baz.story).toContain('error LEADER_DRAIN_TIMEOUT');
  });

  it('campaigns as soon as that work has ended', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const leave = baz.term.enter();
    world.lease.edit(recordOf(''));
    await world.time.advance(1_000);
    expect(baz.leads).toBe(false);
    leave();
    await world.time.advance(10);
    expect(baz.leads).toBe(true);
  });

  it('keeps and renews the lease while work has not ended after drainTimeout, and releases it when it has', async () => {
    const world = new World();
    const baz = world.start('baz', { drainTimeout: 5_000 });
    const bing = world.start('bing');
    await world.time.advance(1_000);
    const leave = baz.term.enter();
    baz.stop();
    await world.time.advance(60_000);
    expect(baz.story).toContain('error LEADER_DRAIN_TIMEOUT');
    expect([baz.ended, bing.leads]).toEqual([false, false]);
    leave();
    await world.time.advance(20);
    expect([baz.ended, bing.leads]).toEqual([true, true]);
  });

  it('a lease that is lost during a hand-over ends the term once, for that reason, and is not released', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const leave = baz.term.enter();
    baz.stop();
    world.lease.edit(recordOf('bing'));
    await world.time.advance(1_000);
    leave();
    await world.time.advance(1_000);
    expect(baz.ended).toBe(true);
    expect(baz.story.filter((line) => line.startsWith('stopped'))).toEqual(['stopped superseded']);
    expect(world.lease.stored?.record.holderIdentity).toBe('bing');
  });
});

describe('handing over (G6, rules 9, 10, 11)', () => {
  it('a leader that stops has a successor within milliseconds', async () => {
    const world = new World();
    const baz = world.start('baz');
    const bing = world.start('bing');
    await world.time.advance(1_000);
    const [leader, follower] = baz.leads ? [baz, bing] : [bing, baz];
    leader.stop();
    const from = world.time.now;
    await world.time.advanceUntil(() => follower.leads, 1_000);
    // Release, its event, take-over: five trips of 1 ms.
    expect(world.time.now - from).toBeLessThanOrEqual(10);
  });

  it('a crashed leader has exactly one successor as soon as its lease expires', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const others = [world.start('bing'), world.start('boom'), world.start('bang')];
    await world.time.advance(10_000);
    const lastRenewal = world.lease.stored?.record.renewTime;
    baz.lock.fate = () => 'lose';
    await world.time.advanceUntil(() => others.some(({ leads }) => leads), 30_000);
    expect(lastRenewal).not.toBe(world.lease.stored?.record.renewTime);
    expect(others.filter(({ leads }) => leads)).toHaveLength(1);
    await world.time.advance(1_000);
    expect(others.filter(({ leads }) => leads)).toHaveLength(1);
  });

  it('a follower with a watch sends nothing while it follows', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const bing = world.start('bing');
    await world.time.advance(100);
    const before = world.lease.requests.length;
    await world.time.advance(600_000);
    const sent = world.lease.requests.slice(before);
    expect(sent.filter(({ client }) => client === 'bing')).toEqual([]);
    expect(sent.filter(({ client }) => client === 'baz').length).toBeLessThanOrEqual(200);
    expect([baz.leads, bing.leads]).toEqual([true, false]);
  });

  it('a silent watch does no harm: it is detected by a timer and reopened', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const bing = world.start('bing');
    await world.time.advance(100);
    bing.lock.watchStalled = true;
    let opened = 0;
    const { watch } = bing.lock;
    bing.lock.watch = (onEvent, signal) => {
      opened += 1;
      return watch(onEvent, signal);
    };
    await world.time.advance(40_000);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
    // It is detected when the lease it showed last would have expired, and again for the next silent stream.
    expect(opened).toBeGreaterThanOrEqual(1);
    bing.lock.watchStalled = false;
    await world.time.advance(20_000);
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 20);
  });

  it('a watch that never opens is given up and retried', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    let opened = 0;
    baz.lock.watch = (_, signal) =>
      new Promise((resolve) => {
        opened += 1;
        signal.addEventListener('abort', () => {
          resolve();
        });
      });
    baz.start();
    await world.time.advance(60_000);
    expect(opened).toBeGreaterThanOrEqual(4);
    expect(baz.leads).toBe(true);
  });

  it('without permission to watch it polls every retryPeriod, which it reports once', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const bing = world.prepare('bing');
    bing.lock.watch = () =>
      Promise.reject(new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false }));
    bing.start();
    await world.time.advance(60_000);
    const reads = world.lease.requests.filter(({ client, verb }) => client === 'bing' && verb === 'get');
    expect(reads.length).toBeGreaterThanOrEqual(25);
    expect(reads.length).toBeLessThanOrEqual(31);
    expect(bing.story).toEqual(['error LEADER_WATCH_DENIED', 'leader baz']);
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 2_500);
  });

  it('a lock that cannot watch is polled every retryPeriod, which is no error', async () => {
    const world = new World();
    world.lease.edit(recordOf('baz'));
    const lock = Object.assign(world.lease.lock('bing'), { watch: undefined });
    const errors = startBing(world, { lock });
    await world.time.advance(10_000);
    const reads = world.lease.requests.filter(({ client }) => client === 'bing');
    expect(reads.length).toBeGreaterThanOrEqual(4);
    expect(reads.length).toBeLessThanOrEqual(6);
    expect(errors).toEqual([]);
  });

  it('a watch that ends without an error is no error', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(10_000);
    baz.lock.endWatch();
    await world.time.advance(10_000);
    expect(baz.story).toEqual(['started 1', 'leader baz']);
  });

  it.each([
    [0, 2_000, 2_005],
    [1.2, 3_000, 4_405],
  ])('jitterFactor %d delays polls by up to that many retry periods', async (jitterFactor, least, most) => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 600 }));
    const baz = world.prepare('baz', { jitterFactor });
    baz.lock.watch = () =>
      Promise.reject(new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false }));
    const readAt: number[] = [];
    baz.lock.fate = () => {
      readAt.push(world.time.now);
      return 'answer';
    };
    baz.start();
    await world.time.advance(50_000); // before watching is retried
    const pauses = readAt.slice(2).map((at, index) => at - Number(readAt[index + 1]));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(2_000);
    expect(Math.max(...pauses)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(most);
  });

  it('after a step down it does not campaign during the cool-down', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    let done = false;
    void baz.elector.stepDown({ cooldown: 30_000 }).then(() => {
      done = true;
    });
    await world.time.advance(10);
    expect([done, baz.leads]).toEqual([true, false]);
    await world.time.advance(29_900);
    expect(baz.leads).toBe(false);
    await world.time.advance(200);
    expect(baz.leads).toBe(true);
    expect(baz.story).toContain('stopped steppedDown');
  });

  it('a term that reaches its limit is handed over', async () => {
    const world = new World();
    const baz = world.start('baz', { termLimit: 60_000 });
    const bing = world.start('bing', { termLimit: 60_000 });
    await world.time.advance(59_000);
    const [first, second] = baz.leads ? [baz, bing] : [bing, baz];
    await world.time.advance(1_500);
    expect([first.leads, second.leads]).toEqual([false, true]);
    expect(first.story).toContain('stopped termLimit');
  });

  it('releaseOnCancel false lets the lease expire', async () => {
    const world = new World();
    const baz = world.start('baz', { releaseOnCancel: false });
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(100);
    expect(baz.ended).toBe(true);
    expect(world.lease.stored?.record.holderIdentity).toBe('baz');
  });

  it('a release of unknown outcome is followed by a read, and repeated if necessary', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.watchStalled = true;
    const script = [unreachable(true), unreachable(), 'answer'] as const;
    let request = 0;
    baz.lock.fate = () => script[request++] ?? 'answer';
    baz.stop();
    await world.time.advance(2_000);
    expect(baz.ended).toBe(true);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(baz.story).not.toContain('error LEADER_RELEASE_FAILED');
  });

  it('a release that keeps failing is given up after renewDeadline and reported', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.fate = () => unreachable();
    baz.stop();
    await world.time.advance(11_000);
    expect(baz.ended).toBe(true);
    expect(baz.story).toContain('error LEADER_RELEASE_FAILED');
  });
});

describe('onLost', () => {
  it("'exit' stops the elector after a loss", async () => {
    const world = new World();
    const baz = world.start('baz', { onLost: 'exit' });
    await world.time.advance(100);
    world.lease.edit(recordOf('bing'));
    await world.time.advance(100);
    expect(baz.ended).toBe(true);
    expect(baz.state.kind).toBe('stopped');
  });
});

describe('lockDelay', () => {
  it('delays the take-over of an expired lease, but not of a released one', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const baz = world.start('baz', { lockDelay: 5_000 });
    await world.time.advance(19_900);
    expect(baz.leads).toBe(false);
    await world.time.advance(200);
    expect(baz.leads).toBe(true);
    const boom = world.start('boom', { lockDelay: 5_000 });
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(20);
    expect(boom.leads).toBe(true);
  });
});

describe('what an elector says of itself', () => {
  it('is for which lease it campaigns, as whom, and when it may claim the lease', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing'));
    const { elector, clock } = world.start('baz');
    expect(elector).toMatchObject({ leaseName: 'simulated', identity: 'baz', freeAt: undefined });
    await world.time.advance(1_000);
    const freeAt = Number(elector.freeAt);
    await world.time.advanceUntil(() => elector.state.kind === 'leading', 15_000);
    expect(clock.now() - freeAt).toBeGreaterThanOrEqual(0);
    expect(clock.now() - freeAt).toBeLessThanOrEqual(10);
  });
});

describe('a proof of death', () => {
  it('follows each holder that says which process it is, no longer than it holds the lease; without one, none', async () => {
    const world = new World();
    const followed: string[] = [];
    const without = world.start('bax');
    startBing(world, {
      proofOfDeath: {
        self: 'bing-1',
        follow: (process) => {
          followed.push(process);
          return () => followed.push(`no more ${process}`);
        },
      },
    });
    for (const record of [
      recordOf('baz', { process: 'baz-1' }),
      recordOf('boom'),
      recordOf('bang', { process: 'bang-1' }),
      recordOf('boom'),
    ]) {
      world.lease.edit(record);
      await world.time.advance(1_000);
    }
    expect(followed).toEqual(['baz-1', 'no more baz-1', 'bang-1', 'no more bang-1']);
    expect(without.story).toEqual(['leader baz', 'leader boom', 'leader bang', 'leader boom']);
  });
});

describe('confirm()', () => {
  it('reads once, and resolves while the lease is ours', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(100);
    const confirmed = baz.term.confirm();
    await world.time.advance(10);
    await expect(confirmed).resolves.toBeUndefined();
    expect(world.lease.requests.at(-1)?.verb).toBe('get');
  });

  it('ends the term when the lease is not ours', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.watchStalled = true;
    world.lease.edit(recordOf('bing'));
    const refused = expect(baz.term.confirm()).rejects.toMatchObject({
      code: 'LEADER_TERM_OVER',
      reason: 'superseded',
    });
    await world.time.advance(10);
    await refused;
    expect(baz.leads).toBe(false);
  });

  it('rejects with LEADER_UNCONFIRMED and leaves the term when there is no reply', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    baz.lock.fate = () => unreachable();
    const refused = expect(baz.term.confirm()).rejects.toMatchObject({
      code: 'LEADER_UNCONFIRMED',
      message: "Could not confirm that this process still holds 'simulated'. planted",
      cause: { code: 'LEADER_UNREACHABLE' },
    });
    await world.time.advance(10);
    await refused;
    expect(baz.leads).toBe(true);
  });

  it('rejects with LEADER_UNCONFIRMED when an event meanwhile shows another Lease than the reply', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    let reads = 0;
    baz.lock.fate = ({ verb }) => (verb === 'get' && reads++ === 0 ? { replyDelayMs: 50 } : 'lose');
    baz.lock.eventFate = ({ kind }) => ({ dropped: kind === 'deleted' });
    const failed = baz.term.confirm().catch((error: unknown) => error);
    await world.time.advance(10);
    world.lease.delete();
    world.lease.edit(recordOf('bing'));
    await world.time.advance(100);
    const error = await failed;
    expect(String(error)).toBe(
      "LeaderError: Could not confirm that this process still holds 'simulated'. The lease changed meanwhile; try again.",
    );
    expect(error).not.toHaveProperty('cause');
    expect(baz.leads).toBe(true);
  });
});

describe('own records (rule 5)', () => {
  it('no two are equal, also on top of a lease whose times are ahead of the clock', async () => {
    const world = new World();
    const ahead = '2027-01-01T00:00:00.000000Z' as MicroTime;
    world.lease.edit({ ...recordOf(''), acquireTime: ahead, renewTime: ahead });
    const baz = world.prepare('baz');
    const sent: LeaseRecord[] = [];
    baz.lock.fate = ({ record, verb }) => {
      if (record !== undefined) sent.push(record);
      return verb === 'get' || sent.length === 1 ? 'answer' : 'lose';
    };
    baz.start();
    await world.time.advance(30_000);
    expect(baz.story).toContain('stopped deadline');
    expect(sent.length).toBeGreaterThan(8);
    expect(new Set(sent.map(({ renewTime }) => renewTime)).size).toBe(sent.length);
  });
});

describe('late replies and events (rules 3 and 5)', () => {
  it('a renewal begins no term if its own term has run out before the reply', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(1_000);
    const leave = baz.term.enter();
    // The wall clock leaves it 3 ms, during which the reply to a renewal is in flight.
    await world.time.advance(3_334 - world.time.now);
    baz.clock.stepWall(baz.term.renewedAt + 10_000 - baz.clock.date() - 3);
    await world.time.advance(10);
    expect(world.lease.requests.at(-1)?.verb).toBe('update');
    expect(baz.story).toEqual(['started 1', 'leader baz', 'error LEADER_CLOCK_JUMPED', 'stopped deadline']);
    leave();
    await world.time.advance(10);
    expect(baz.leads).toBe(true);
  });

  it('an old event after a deletion does not shorten how long the holder is respected', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 1 }));
    const baz = world.prepare('baz');
    let events = 0;
    baz.lock.eventFate = ({ kind }) =>
      kind === 'seen' && events++ === 0 ? { copies: 2, copyAfterMs: 5_000 } : {};
    baz.start();
    await world.time.advance(100);
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 30 }));
    await world.time.advance(100);
    world.lease.delete();
    await world.time.advance(29_000);
    expect(world.lease.stored).toBeUndefined();
    await world.time.advance(2_000);
    expect(baz.leads).toBe(true);
  });

  it('a stale read after a deletion does not, either', async () => {
    const world = new World();
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 1 }));
    const baz = world.prepare('baz');
    baz.lock.watchStalled = true;
    baz.start();
    await world.time.advance(10);
    world.lease.edit(recordOf('bing', { leaseDurationSeconds: 30 }));
    await world.time.advance(1_000);
    expect(world.lease.requests.map(({ verb }) => verb)).toEqual(['get', 'update', 'get']);
    world.lease.delete();
    let reads = 0;
    baz.lock.fate = ({ verb }) => (verb === 'get' && reads++ === 0 ? { versionsBehind: 2 } : 'answer');
    await world.time.advance(29_000);
    expect(reads).toBeGreaterThan(1);
    expect(world.lease.stored).toBeUndefined();
  });

  it('a read that shows an older record of its own proves nothing', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(1_000);
    world.lease.edit(recordOf('bing'));
    await world.time.advance(100);
    expect(baz.story.at(-1)).toBe('leader bing');
    baz.lock.watchStalled = true;
    let reads = 0;
    baz.lock.fate = ({ verb }) => (verb === 'get' && reads++ === 0 ? { versionsBehind: 1 } : 'answer');
    baz.lock.endWatch();
    await world.time.advance(10_000);
    expect(reads).toBeGreaterThan(1);
    expect(world.lease.requests.filter(({ verb }) => verb !== 'get')).toHaveLength(1);
  });
});

describe('events (G4)', () => {
  it('none is emitted after the run has ended, whatever was still in flight', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    baz.lock.fate = () => 'lose';
    baz.start();
    await world.time.advance(100);
    baz.stop();
    await world.time.settle();
    expect(baz.ended).toBe(true);
    await world.time.advance(60_000);
    expect(baz.events.at(-1)).toEqual({ type: 'stateChanged', state: { kind: 'stopped' } });
  });

  it('a run that has ended holds nothing: its requests are aborted, its watch is closed, and no timer is set', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const signals: AbortSignal[] = [];
    const { watch } = baz.lock;
    baz.lock.watch = (onEvent, signal) => {
      signals.push(signal);
      return watch(onEvent, signal);
    };
    baz.lock.get = ({ signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    baz.start();
    await world.time.advance(100);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    baz.stop();
    await world.time.settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect([baz.ended, baz.clock.timers]).toEqual([true, 0]);
  });

  it('the state has changed before its event is emitted, and a listener that throws does no harm', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const seen: string[] = [];
    void baz.elector.run(new AbortController().signal, (event) => {
      if (event.type === 'startedLeading') {
        seen.push(`started in ${baz.elector.state.kind}`);
        throw new Error('planted');
      }
      if (event.type === 'stoppedLeading') seen.push(`stopped in ${baz.elector.state.kind}`);
      if (event.type === 'error') seen.push(event.error.code);
    });
    await world.time.advance(100);
    world.lease.edit(recordOf('bing'));
    await world.time.advance(10);
    expect(seen).toEqual(['started in leading', 'LEADER_LISTENER_FAILED', 'stopped in following']);
  });

  it('a second run is refused', async () => {
    const world = new World();
    const baz = world.start('baz');
    await expect(baz.elector.run(new AbortController().signal, () => undefined)).rejects.toMatchObject({
      code: 'LEADER_ALREADY_STARTED',
      message: "The elector of 'simulated' was started a second time. Create a new elector for each run.",
    });
  });

  it('a term in JSON has its token as a decimal string', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    expect(JSON.parse(JSON.stringify(baz.term))).toMatchObject({ fencingToken: '1', leaseName: 'simulated' });
  });
});
