/** Single attempts, as client-go's and its wrappers' `TryAcquireOrRenew`. */
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

/** What it comes to, when that much simulated time has passed at most. */
async function of<T>(promise: Promise<T>, withinMs = 20_000): Promise<T> {
  let settled = false;
  const noted = promise.finally(() => {
    settled = true;
  });
  await time.advanceUntil(() => settled, withinMs);
  return noted;
}

const verbs = (): string[] => lease.requests.map(({ verb }) => verb);

describe('held', () => {
  it('a Lease that is not there: created, certain from before the write was sent', async () => {
    const { claim } = make('baz');
    const outcome = await of(claim.tryAcquireOrRenew());
    // 2 ms for the read, which do not count, and 2 for the write, which do.
    expect(outcome).toEqual({ kind: 'held', fencingToken: 1n, remaining: 9_998 });
    expect(verbs()).toEqual(['get', 'create']);
    expect(lease.stored?.record).toMatchObject({ holderIdentity: 'baz', leaseTransitions: 0 });
  });

  it('renewed by one write, with the same token', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    await time.advance(5_000);
    expect(claim.remaining()).toBe(4_998);
    expect(await of(claim.tryAcquireOrRenew())).toEqual({ kind: 'held', fencingToken: 1n, remaining: 9_998 });
    expect(verbs()).toEqual(['get', 'create', 'update']);
  });

  it('renewed in spite of an edit of labels: one look, one write more', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lease.relabel();
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held', fencingToken: 1n });
    expect(verbs()).toEqual(['get', 'create', 'update', 'get', 'update']);
  });

  it('not renewed in time it is certain no more; had again, its token is larger', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    await time.advance(10_000);
    expect(claim.remaining()).toBe(0);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held', fencingToken: 2n });
    expect(lease.stored?.record.leaseTransitions).toBe(0);
  });

  it('a wall clock that was set can end it, but not lengthen it', async () => {
    const { claim, clock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    clock.stepWall(-3_600_000);
    expect(claim.remaining()).toBe(9_998);
    clock.stepWall(7_200_000);
    expect(claim.remaining()).toBe(0);
  });

  it('two calls at one time are made one after the other', async () => {
    const { claim } = make('baz');
    const both = await of(Promise.all([claim.tryAcquireOrRenew(), claim.tryAcquireOrRenew()]));
    expect(both).toMatchObject([{ kind: 'held' }, { kind: 'held', fencingToken: 1n }]);
    expect(verbs()).toEqual(['get', 'create', 'update']);
  });
});

describe('not held', () => {
  it("another's, for as long as its record says from the first sight of it, however old it is", async () => {
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

  it('taken from us', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lease.edit(recordOf('bing'));
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'notHeld', leader: 'bing' });
    expect(claim.remaining()).toBe(0);
  });

  it('of two at one time only one has it', async () => {
    const outcomes = await of(
      Promise.all(['baz', 'bing'].map((name) => make(name).claim.tryAcquireOrRenew())),
    );
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['held', 'notHeld']);
  });
});

describe('unknown', () => {
  it('no answer: the next attempt finds out, and what was done counts from its own sending', async () => {
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

  it('an error of the API server; what was certain before still is', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    const error = new LeaseRequestError('LEADER_FORBIDDEN', 'planted', { maybeCommitted: false });
    lock.fate = () => error;
    expect(await of(claim.tryAcquireOrRenew())).toEqual({ kind: 'unknown', error });
    expect(claim.remaining()).toBe(9_996);
  });

  it('no answer in time, in words that hold for whoever asks', async () => {
    const { claim, lock } = make('baz');
    lock.fate = () => 'lose';
    const outcome = await of(claim.tryAcquireOrRenew());
    expect(outcome).toMatchObject({
      error: { message: expect.stringMatching(/^No answer within 5000 ms\. /) },
    });
    expect(JSON.stringify(outcome)).not.toContain('half');
  });

  it('given up by the caller', async () => {
    const { claim, lock } = make('baz');
    lock.fate = () => 'lose';
    expect(await of(claim.tryAcquireOrRenew({ signal: AbortSignal.abort() }))).toMatchObject({
      kind: 'unknown',
    });
  });
});

describe('one call that fails in an unforeseen way', () => {
  it.each<[string, (lock: SimulatedLeaseLock) => void]>([
    [
      'a lock whose answer is none',
      (lock) => {
        lock.create = () => Promise.resolve(undefined as never);
      },
    ],
    [
      'a lock whose answer cannot be read',
      (lock) => {
        lock.get = () => Promise.resolve({ record: null, resourceVersion: 'x', uid: 'u' } as never);
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
  ])('%s: its outcome is unknown, and later calls are made all the same', async (_, plant) => {
    const { claim, lock } = make('baz');
    const sound = { ...lock };
    plant(lock);
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'unknown' });
    Object.assign(lock, { get: sound.get, create: sound.create });
    expect(await of(claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held' });
    expect(await of(claim.release())).toMatchObject({ kind: 'notHeld' });
  });
});

describe('released', () => {
  it('others have it at once', async () => {
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    expect(await of(claim.release())).toEqual({ kind: 'notHeld', leader: '', expiresAt: undefined });
    expect(claim.remaining()).toBe(0);
    expect(lease.stored?.record).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    expect(await of(make('bing').claim.tryAcquireOrRenew())).toMatchObject({ kind: 'held' });
  });

  it('what is not held is not touched', async () => {
    lease.edit(recordOf('bing'));
    const { claim } = make('baz');
    await of(claim.tryAcquireOrRenew());
    expect(await of(claim.release())).toMatchObject({ kind: 'notHeld', leader: 'bing' });
    expect(verbs()).toEqual(['get']);
  });

  it('what could not be made sure of runs out, and is held no more', async () => {
    const { claim, lock } = make('baz');
    await of(claim.tryAcquireOrRenew());
    lock.fate = () => 'lose';
    expect(await of(claim.release())).toMatchObject({
      kind: 'unknown',
      error: { code: 'LEADER_RELEASE_FAILED' },
    });
    expect(claim.remaining()).toBe(0);
  });
});
