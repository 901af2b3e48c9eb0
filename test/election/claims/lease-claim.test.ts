/** Single attempts, like `TryAcquireOrRenew` of client-go and its wrappers. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  LeaseClaim,
  LeaseRequestError,
  resolveElectionOptions,
  type ElectionOptions,
} from '../../../lib/election/index.js';
import type { SimulatedClock } from '../../../lib/testing/simulated-clock.js';
import { SimulatedLease, type SimulatedLeaseLock } from '../../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';
import { recordOf } from '../records.js';

let time: SimulatedTime;
let lease: SimulatedLease;

beforeEach(() => {
  time = new SimulatedTime();
  lease = new SimulatedLease(time);
});

function make(
  identity: string,
  options: Partial<ElectionOptions> = {},
): { claim: LeaseClaim; lock: SimulatedLeaseLock; clock: SimulatedClock } {
  const lock = lease.lock(identity);
  const clock = time.clock();
  const resolved = resolveElectionOptions(
    { leaseName: 'simulated', ...options },
    { leaseNamespace: 'default', identity },
  );
  return { claim: new LeaseClaim({ lock, options: resolved, clock }), lock, clock };
}

/** Awaits `outcome` while at most that much simulated time passes. */
async function of<T>(promise: Promise<T>, withinMs = 20_000): Promise<T> {
  let settled = false;
  const noted = promise.finally(() => {
    settled = true;
  });
  await time.advanceUntil(() => settled, withinMs);
  return noted;
}

const refused = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });

const verbs = (): string[] => lease.requests.map(({ verb }) => verb);

describe('held', () => {
  it('creates a missing Lease, certain from before the write was sent', async () => {
    const { claim } = make('baz');
    const outcome = await of(claim.tryAcquireOrRenew());
    // The read takes 2 ms, which do not count, and the write 2 ms, which do.
    expect(outcome).toEqual({ kind: 'held', fencingToken: 1n, remaining: 9_998 });
    expect(verbs()).toEqual(['get', 'create']);
    expect(lease.stored?.record).toMatchObject({ holderIdentity: 'baz', leaseTransitions: 0 });
  });

  it('renews by one write, with the same token', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    await time.advance(5_000);
    expect(claim.remaining()).toBe(4_998);
    const acquired = lease.stored?.record;
    expect(await of(claim.tryAcquireOrRenew())).toEqual({ kind: 'held', fencingToken: 1n, remaining: 9_998 });
    expect(verbs()).toEqual(['get', 'create', 'update']);
    expect(lease.stored?.record).toEqual({ ...acquired, renewTime: expect.any(String) });
  });

  it('renews in spite of an edit of labels, with one more read and write', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lease.relabel();
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held', fencingToken: 1n });
    expect(verbs()).toEqual(['get', 'create', 'update', 'get', 'update']);
  });

  it('is no longer certain if not renewed in time, and has a larger token when acquired again', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    const before = lease.stored?.record;
    await time.advance(10_000);
    expect(claim.remaining()).toBe(0);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held', fencingToken: 2n });
    expect(lease.stored?.record.leaseTransitions).toBe(0);
    // So a process of the same name would see that the lease was acquired anew.
    expect(lease.stored?.record.acquireTime).not.toBe(before?.acquireTime);
  });

  it.each([
    ['held', 0],
    ['notHeld', 10_000],
  ] as const)(
    'after two reads and two writes it gives up, when somebody changes the Lease before each write: %s after %d ms',
    async (kind, ms) => {
      const { claim, lock } = make('baz');
      await of(claim.tryAcquireOrRenew());
      await time.advance(ms);
      lock.fate = ({ verb }) => {
        if (verb === 'update') lease.relabel();
        return 'answer';
      };
      expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind });
      expect(verbs().slice(2)).toEqual(['update', 'get', 'update', 'get']);
    },
  );

  it('can be ended, but not extended, by setting the wall clock', async () => {
    const { claim, clock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    clock.stepWall(-3_600_000);
    expect(claim.remaining()).toBe(9_998);
    clock.stepWall(7_200_000);
    expect(claim.remaining()).toBe(0);
  });

  it('runs concurrent calls one after the other', async () => {
    const { claim } = make('baz');
    const both = await of(Promise.all([claim.tryAcquireOrRenew(), claim.tryAcquireOrRenew()]));
    expect(both).toMatchObject([{ kind: 'held' }, { kind: 'held', fencingToken: 1n }]);
    expect(verbs()).toEqual(['get', 'create', 'update']);
  });
});

describe('not held', () => {
  it("respects another holder for its record's duration, counted from the first sighting, however old the record is", async () => {
    lease.edit(recordOf('bing', { leaseDurationSeconds: 3 }));
    const { claim, clock } = make('baz');
    const expiresAt = clock.now() + 2 + 3_000;
    expect(await of(claim.tryAcquireOrRenew())).toEqual({ kind: 'notHeld', leader: 'bing', expiresAt });
    await time.advance(2_900);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'notHeld', leader: 'bing' });
    expect(verbs()).toEqual(['get', 'get']);
    await time.advance(100);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held' });
    expect(lease.stored?.record.leaseTransitions).toBe(1);
  });

  it('when another process has taken it over', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lease.edit(recordOf('bing'));
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'notHeld', leader: 'bing' });
    expect(claim.remaining()).toBe(0);
  });

  it('by one of two concurrent claims', async () => {
    const outcomes = await of(
      Promise.all(['baz', 'bing'].map((name) => make(name).claim.tryAcquireOrRenew())),
    );
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['held', 'notHeld']);
  });
});

describe('unknown', () => {
  it('without a reply: the next attempt finds out, and a committed write counts from its own sending', async () => {
    const { claim, lock } = make('baz');
    lock.fate = ({ verb }) => (verb === 'create' ? 'loseReply' : 'answer');
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({
      kind: 'unknown',
      error: { code: 'LEADER_REQUEST_TIMEOUT' },
    });
    expect(claim.remaining()).toBe(0);
    lock.fate = ({ verb }) => (verb === 'update' ? 'lose' : 'answer');
    const second = claim.tryAcquireOrRenew();
    await time.advance(10);
    expect(claim.remaining()).toBe(10_000 - 5_000 - 10); // 5 s of patience since it was sent
    expect(await of(second)).toMatchObject({ kind: 'unknown' });
    lock.fate = () => 'answer';
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held', fencingToken: 1n });
  });

  it('after an error of the API server; a lease that was certain before still is', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lock.fate = () => refused;
    expect(await of(claim.tryAcquireOrRenew())).toEqual({ kind: 'unknown', error: refused });
    expect(claim.remaining()).toBe(9_996);
  });

  it.each<[string, (lock: SimulatedLeaseLock) => void]>([
    [
      'a renewal without a reply',
      (lock) => {
        lock.fate = () => 'loseReply';
      },
    ],
    [
      'a conflict, when the read after it failed',
      (lock) => {
        lease.relabel();
        lock.fate = ({ verb }) => (verb === 'get' ? refused : 'answer');
      },
    ],
  ])('after %s; the next attempt begins with a read, and the lease is still certain', async (_, plant) => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    plant(lock);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'unknown' });
    expect(claim.remaining()).toBeGreaterThan(0);
    lock.fate = () => 'answer';
    const before = verbs().length;
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held', fencingToken: 1n });
    expect(verbs().slice(before)).toEqual(['get', 'update']);
  });

  it('after a time-out, with a message that does not mention an election', async () => {
    const { claim, lock } = make('baz');
    lock.fate = () => 'lose';
    const outcome = await of(claim.tryAcquireOrRenew());
    expect(outcome).toMatchObject({
      error: { message: expect.stringMatching(/^No answer within 5000 ms\. /) },
    });
    expect(JSON.stringify(outcome)).not.toContain('half');
  });

  it('when the caller aborts it', async () => {
    const { claim, lock } = make('baz');
    lock.fate = () => 'lose';
    expect(await of(claim.tryAcquireOrRenew({ signal: AbortSignal.abort() }))).toMatchObject({
      kind: 'unknown',
    });
  });
});

describe('a call that fails unexpectedly', () => {
  it.each<[string, (lock: SimulatedLeaseLock) => void]>([
    [
      'a lock that returns nothing',
      (lock) => {
        lock.create = () => Promise.resolve(undefined as never);
      },
    ],
    [
      'a lock that returns an unreadable object',
      (lock) => {
        lock.get = () => Promise.resolve({ record: null, resourceVersion: '1', uid: 'u' } as never);
      },
    ],
    [
      'a lock that throws',
      (lock) => {
        lock.get = () => {
          throw new TypeError('planted');
        };
      },
    ],
  ])('%s: the outcome is unknown, and later calls work', async (_, plant) => {
    const { claim, lock } = make('baz');
    const sound = { ...lock };
    plant(lock);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({
      kind: 'unknown',
      error: { code: 'LEADER_UNREACHABLE', cause: expect.any(TypeError) },
    });
    Object.assign(lock, { get: sound.get, create: sound.create });
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held' });
    expect(await of(claim.release())).toMatchObject({ kind: 'notHeld' });
  });
});

describe('released', () => {
  it('and others can acquire it at once', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    expect(await of(claim.release())).toEqual({ kind: 'notHeld', leader: '', expiresAt: undefined });
    expect(claim.remaining()).toBe(0);
    expect(verbs()).toEqual(['get', 'create', 'update']);
    expect(lease.stored?.record).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    expect(await of(make('bing').claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held' });
  });

  it('without being held: nothing is written', async () => {
    lease.edit(recordOf('bing'));
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    expect(await of(claim.release())).toMatchObject({ kind: 'notHeld', leader: 'bing' });
    expect(verbs()).toEqual(['get']);
  });

  it('without confirmation: it is no longer held, and expires', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lock.fate = ({ verb }) => (verb === 'update' ? refused : 'answer');
    expect(await of(claim.release())).toMatchObject({
      kind: 'unknown',
      error: { code: 'LEADER_RELEASE_FAILED', cause: refused },
    });
    expect(claim.remaining()).toBe(0);
  });

  it('and not held while that lasts, even if a read shows that a renewal of unknown outcome succeeded', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lock.fate = () => 'loseReply';
    await of(claim.tryAcquireOrRenew());
    expect(claim.remaining()).toBeGreaterThan(0);
    lock.fate = ({ verb }) => (verb === 'update' ? 'lose' : 'answer');
    const released = claim.release();
    await time.settle();
    expect(claim.remaining()).toBe(0);
    await time.advance(5);
    expect(verbs().at(-1)).toBe('get');
    expect(claim.remaining()).toBe(0);
    lock.fate = () => 'answer';
    expect(await of(released)).toMatchObject({ kind: 'notHeld', leader: '' });
  });

  it('although somebody has edited its labels, and a read fails', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lease.relabel();
    let reads = 0;
    lock.fate = ({ verb }) => (verb === 'get' && reads++ === 0 ? refused : 'answer');
    expect(await of(claim.release())).toMatchObject({ kind: 'notHeld', leader: '' });
    expect(verbs().slice(2)).toEqual(['update', 'get', 'get', 'update']);
  });

  it('as soon as the API server works again, with a pause between the attempts', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    let attempts = 0;
    lock.fate = () => {
      attempts += 1;
      return refused;
    };
    const released = claim.release();
    await time.advance(3_000);
    expect(attempts).toBeLessThanOrEqual(7);
    lock.fate = () => 'answer';
    expect(await of(released, 600)).toMatchObject({ kind: 'notHeld', leader: '' });
  });
});
