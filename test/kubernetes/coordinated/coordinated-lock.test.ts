/** How a coordinated Lease looks to the process that it names: for whom that must wait, and how long. */
import { describe, expect, it } from 'vitest';
import {
  LeaseRequestError,
  type LeaseCall,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WatchEvent,
  type WriteOutcome,
} from '../../../lib/election/index.js';
import type { ApiObject, Fields } from '../../../lib/kubernetes/api-object.js';
import {
  CoordinatedLock,
  type LeaseObjectLock,
  type Place,
} from '../../../lib/kubernetes/coordinated/coordinated-lock.js';
import { recordOf } from '../../election/records.js';

const LAST = '2001-02-03T04:05:09.000007Z' as MicroTime;
const HELD_AT = 'nestjs-leader/held-at';
const HELD_FOR = 'nestjs-leader/held-for';

/** A Lease with this record, and with the note of its last holder if there is one. */
function leaseOf(
  record: LeaseRecord,
  { resourceVersion = '7', uid = 'uid', heldAt, heldFor, spec }: LeaseParts = {},
): LeaseSnapshot {
  const annotations = heldAt === undefined ? undefined : { [HELD_AT]: heldAt, [HELD_FOR]: heldFor };
  const object: ApiObject = { metadata: { uid, resourceVersion, annotations }, spec };
  return { record, uid, resourceVersion, carried: object };
}
interface LeaseParts {
  readonly resourceVersion?: string;
  readonly uid?: string;
  readonly heldAt?: unknown;
  readonly heldFor?: unknown;
  readonly spec?: Fields;
}

/** A lock with a given Lease, which keeps what is written. */
class HandLock implements LeaseObjectLock {
  stored: LeaseSnapshot | undefined;
  onEvent: (event: WatchEvent) => void = () => undefined;

  describe(): string {
    return 'default/hand';
  }

  get(_: LeaseCall): Promise<LeaseSnapshot | undefined> {
    return Promise.resolve(this.stored);
  }

  create(
    record: LeaseRecord,
    _: LeaseCall,
    annotations?: Readonly<Record<string, string>>,
  ): Promise<WriteOutcome> {
    const { [HELD_AT]: heldAt, [HELD_FOR]: heldFor } = annotations ?? {};
    this.stored = leaseOf(record, { resourceVersion: '1', heldAt, heldFor });
    return Promise.resolve({ kind: 'written', snapshot: this.stored });
  }

  update(base: LeaseSnapshot, record: LeaseRecord): Promise<WriteOutcome> {
    if (base.resourceVersion !== this.stored?.resourceVersion) return Promise.resolve({ kind: 'conflict' });
    this.stored = { ...base, record, resourceVersion: String(Number(base.resourceVersion) + 1) };
    return Promise.resolve({ kind: 'written', snapshot: this.stored });
  }

  watch(onEvent: (event: WatchEvent) => void): Promise<void> {
    this.onEvent = onEvent;
    return Promise.resolve();
  }
}

interface Rig {
  readonly inner: HandLock;
  readonly lock: CoordinatedLock;
  /** Each change of this process' place. */
  readonly places: Place[];
  readonly read: (stored: LeaseSnapshot | undefined) => Promise<LeaseSnapshot | undefined>;
}

const call = (more: Partial<LeaseCall> = {}): LeaseCall => ({
  signal: new AbortController().signal,
  newConnection: false,
  ...more,
});

function rigOf(withdraw: () => Promise<void> = () => Promise.resolve()): Rig {
  const inner = new HandLock();
  const places: Place[] = [];
  const lock: CoordinatedLock = new CoordinatedLock({
    lock: inner,
    identity: 'me',
    leaseDuration: 15_000,
    withdraw,
    onMoved: () => places.push(lock.place),
  });
  const read = (stored: LeaseSnapshot | undefined): Promise<LeaseSnapshot | undefined> => {
    inner.stored = stored;
    return lock.get(call());
  };
  return { inner, lock, places, read };
}

/** The Lease was given to this process after a holder whose last note was `LAST`. */
const elected = (changes: Partial<LeaseRecord> = {}, parts: LeaseParts = {}): LeaseSnapshot =>
  leaseOf(
    recordOf('me', { acquireTime: undefined, leaseDurationSeconds: 5, leaseTransitions: 3, ...changes }),
    { resourceVersion: '8', heldAt: LAST, ...parts },
  );
const NEVER_CLAIMED = { acquireTime: undefined, leaseTransitions: undefined };
const fresh = leaseOf(recordOf('me', { ...NEVER_CLAIMED, leaseDurationSeconds: 5 }), {
  resourceVersion: '8',
});
const madeByPlain = leaseOf(recordOf('me', { acquireTime: undefined, leaseDurationSeconds: 5 }), {
  resourceVersion: '8',
});
/** The last record of the holder that was seen. */
const seen = (changes: Partial<LeaseRecord> = {}): LeaseSnapshot =>
  leaseOf(recordOf('holder', { renewTime: LAST, leaseTransitions: 3, ...changes }), { heldAt: LAST });
const released = seen({ holderIdentity: '', leaseDurationSeconds: 1, acquireTime: LAST });
/** A record of a holder that writes neither transitions nor notes. */
const heldByOneWhoCountsNothing = leaseOf(
  recordOf('holder', { renewTime: LAST, leaseTransitions: undefined }),
);
const unclaimed = leaseOf(recordOf('another', NEVER_CLAIMED));

/** A record for which nobody is owed anything; what was before it counts. */
const FREE = { holderIdentity: '', acquireTime: undefined, leaseTransitions: undefined };
const heldFor = (seconds: number): object => ({
  holderIdentity: 'unknown holder',
  leaseDurationSeconds: seconds,
  acquireTime: undefined,
});
/** What was seen before: a Lease, nothing, or that there is no Lease. */
type Before = LeaseSnapshot | 'unseen' | 'absent';

it.each<[string, Before, LeaseSnapshot, object]>([
  ['nothing was seen, and nobody has held it', 'unseen', fresh, FREE],
  ['its holder counted no transitions', heldByOneWhoCountsNothing, fresh, heldFor(15)],
  ['nothing was seen, and somebody has held it', 'unseen', elected(), heldFor(15)],
  ['nothing was seen, and a holder without notes has created it', 'unseen', madeByPlain, heldFor(15)],
  [
    'nothing was seen, and its holder had a longer lease than ours',
    'unseen',
    elected({}, { heldFor: '60' }),
    heldFor(60),
  ],
  [
    'nothing was seen, and its holder had a shorter lease',
    'unseen',
    elected({}, { heldFor: '9' }),
    heldFor(15),
  ],
  [
    'nothing was seen, and the duration of its holder is not a number',
    'unseen',
    elected({}, { heldFor: 'long' }),
    heldFor(15),
  ],
  [
    'nothing was seen, and the duration of its holder is impossible',
    'unseen',
    elected({}, { heldFor: '1e99' }),
    heldFor(15),
  ],
  ['there was no Lease, and nobody has held it', 'absent', fresh, FREE],
  ['there was no Lease, and somebody has held it', 'absent', elected(), heldFor(15)],
  ['the last record was seen', seen(), elected(), seen().record],
  ['the release was seen', released, elected(), released.record],
  ['it was renewed since', seen({ renewTime: undefined }), elected(), heldFor(15)],
  [
    'it was renewed since, by a holder with a longer lease than ours',
    seen({ renewTime: undefined, leaseDurationSeconds: 60 }),
    elected(),
    heldFor(60),
  ],
  ['it has changed hands since', seen(), elected({ leaseTransitions: 4 }), heldFor(15)],
  ['it is another Lease, with a copy of the note', seen(), elected({}, { uid: 'other' }), heldFor(15)],
  ['it was given to another before, and nobody has held it', unclaimed, fresh, unclaimed.record],
  [
    'it was given to another before, and somebody may have held it',
    seen({ acquireTime: undefined }),
    elected(),
    heldFor(15),
  ],
  [
    'another Lease was given to another before, and nobody has held this one',
    unclaimed,
    { ...fresh, uid: 'other' },
    heldFor(15),
  ],
  ['the note is not a string', seen(), elected({}, { heldAt: 7 }), heldFor(15)],
  [
    'neither the last record nor the note has a time',
    seen({ renewTime: undefined }),
    elected({}, { heldAt: undefined }),
    heldFor(15),
  ],
])('the chosen process sees the lease that it must respect: %s', async (_, before, given, shown) => {
  const { read, inner, lock } = rigOf();
  if (before !== 'unseen') await read(before === 'absent' ? undefined : before);
  const found = await read(given);
  expect(found).toMatchObject({ resourceVersion: '8', uid: given.uid, record: shown });
  expect(lock.place).toBe('chosen');
  // Each further look shows the same, so that a wait that has begun goes on.
  expect((await read(given))?.record).toEqual(found?.record);
  await lock.watch?.(() => undefined, call().signal);
  inner.onEvent({ kind: 'seen', snapshot: given });
  expect((await read(given))?.record).toEqual(found?.record);
});

describe('the chosen process', () => {
  it('waits again when it is chosen again, unless nobody has ever claimed the lease', async () => {
    const { read } = rigOf();
    await read(seen());
    await read(elected());
    const again = await read(elected({ renewTime: LAST }, { resourceVersion: '9' }));
    expect(again?.record).toMatchObject({ ...heldFor(15), renewTime: LAST });
    const another = rigOf();
    await another.read(unclaimed);
    await another.read(fresh);
    const { record } = fresh;
    const { renewTime: _, ...sameBut } = record;
    const once = leaseOf({ ...sameBut, renewTime: LAST }, { resourceVersion: '9' });
    expect((await another.read(once))?.record).toEqual(unclaimed.record);
  });

  it('waits for the longest lease that was seen since the last claim, even of a deleted Lease', async () => {
    const { read } = rigOf();
    await read(seen({ leaseDurationSeconds: 60 }));
    await read(undefined);
    const other = { uid: 'other' };
    await read(leaseOf(recordOf('another', NEVER_CLAIMED), { ...other, resourceVersion: '8' }));
    const given = elected({}, { ...other, resourceVersion: '9' });
    expect((await read(given))?.record).toMatchObject(heldFor(60));
    await read(leaseOf(recordOf('another'), { ...other, resourceVersion: '10' }));
    const again = elected({ renewTime: LAST }, { ...other, resourceVersion: '11' });
    expect((await read(again))?.record).toMatchObject(heldFor(15));
  });

  it('waits a whole lease if the API server was restored from a backup', async () => {
    const { read, lock } = rigOf();
    await read(leaseOf(seen().record, { resourceVersion: '100', heldAt: LAST }));
    expect((await read(elected()))?.record).toMatchObject(heldFor(15));
    expect(lock.place).toBe('chosen');
  });

  it('does not see a request to hand over, which is for the holder', async () => {
    const { read } = rigOf();
    await read(seen({ wantedBy: 'they' }));
    expect(await read(elected())).toMatchObject({ record: { holderIdentity: 'holder' } });
    expect((await read(elected()))?.record).not.toHaveProperty('wantedBy');
  });

  it('claims on top of the real record, with a note, and keeps everything else in the Lease', async () => {
    const { read, inner, lock } = rigOf();
    await read(seen());
    const base = (await read(elected({}, { spec: { strategy: 'x' } }))) ?? expect.fail();
    const outcome = await lock.update(base, recordOf('me', { leaseTransitions: 4 }), call());
    const { renewTime } = recordOf('me');
    expect(inner.stored).toMatchObject({
      resourceVersion: '9',
      record: { holderIdentity: 'me', leaseTransitions: 4 },
      carried: {
        metadata: { annotations: { [HELD_AT]: renewTime, [HELD_FOR]: '15' } },
        spec: { strategy: 'x' },
      },
    });
    // It sees its own record unchanged.
    expect(outcome).toMatchObject({ snapshot: { record: recordOf('me', { leaseTransitions: 4 }) } });
  });
});

const unclaimedAfterAnother = leaseOf(
  recordOf('another', { acquireTime: undefined, leaseDurationSeconds: 5, leaseTransitions: 3 }),
  { resourceVersion: '8', heldAt: LAST },
);

it.each<[string, LeaseSnapshot, object]>([
  [
    'the previous holder is respected as long as its lease lasts',
    unclaimedAfterAnother,
    heldBy('another', 60),
  ],
  ['nobody has held it', unclaimed, heldBy('another', 15)],
  ['it is claimed', leaseOf(recordOf('another'), { resourceVersion: '8' }), heldBy('another', 15)],
  ['it is released', leaseOf(recordOf(''), { resourceVersion: '8' }), heldBy('', 15)],
])('a process that is not chosen sees what the Lease says: %s', async (_, given, shown) => {
  const { read, inner } = rigOf();
  if (given !== unclaimed) await read(seen({ leaseDurationSeconds: 60 }));
  expect((await read(given))?.record).toMatchObject(shown);
  expect((await read(given))?.record).toMatchObject(shown);
  expect(inner.stored).toBe(given);
});

function heldBy(holderIdentity: string, leaseDurationSeconds: number): object {
  return { holderIdentity, leaseDurationSeconds };
}

describe('the place of a process', () => {
  it('follows from what was seen last, and each change is reported', async () => {
    const { read, lock, places } = rigOf();
    expect(lock.place).toBe('unseen');
    await read(undefined);
    await read(elected());
    await read(elected({}, { resourceVersion: '9', spec: { preferredHolder: 'you' } }));
    await read(elected({}, { resourceVersion: '10', spec: { preferredHolder: 'me' } }));
    await read(elected({}, { resourceVersion: '11', spec: { preferredHolder: 5 } }));
    await read(leaseOf(recordOf('you'), { resourceVersion: '12' }));
    expect(places).toEqual(['passedOver', 'chosen', 'outvoted', 'chosen', 'passedOver']);
  });

  it('is not changed by an old event, nor by an event about another Lease', async () => {
    const { read, inner, lock, places } = rigOf();
    await lock.watch?.(() => undefined, call().signal);
    await read(leaseOf(recordOf('me')));
    const others = recordOf('you');
    inner.onEvent({ kind: 'opened' });
    inner.onEvent({ kind: 'seen', snapshot: leaseOf(others, { resourceVersion: '6' }) });
    inner.onEvent({ kind: 'seen', snapshot: leaseOf(others, { resourceVersion: '8', uid: 'other' }) });
    inner.onEvent({ kind: 'deleted', resourceVersion: '6' });
    expect([lock.place, places]).toEqual(['chosen', ['chosen']]);
    inner.onEvent({ kind: 'deleted', resourceVersion: '8' });
    expect(lock.place).toBe('passedOver');
  });

  it('is not changed by a reply that was overtaken', async () => {
    const { inner, lock } = rigOf();
    await lock.watch?.(() => undefined, call().signal);
    const overtaken = lock.get(call());
    inner.onEvent({ kind: 'seen', snapshot: leaseOf(recordOf('me')) });
    await overtaken;
    expect(lock.place).toBe('chosen');
    inner.stored = leaseOf(recordOf('you'), { resourceVersion: '6' });
    const old = lock.get(call());
    inner.onEvent({ kind: 'seen', snapshot: leaseOf(recordOf('me'), { resourceVersion: '9' }) });
    await old;
    expect(lock.place).toBe('chosen');
  });
});

describe('a release', () => {
  const mine = leaseOf(recordOf('me'));

  it('is sent when the candidate is withdrawn, and meanwhile names what it waits for', async () => {
    let withdrawn: () => void = () => undefined;
    const { read, inner, lock } = rigOf(() => new Promise((resolve) => (withdrawn = resolve)));
    const base = (await read(mine)) ?? expect.fail();
    const waitsFor: (string | undefined)[] = [];
    const preparing = (what: string | undefined): unknown => waitsFor.push(what);
    const released = lock.update(base, recordOf(''), call({ preparing }));
    expect([inner.stored?.record.holderIdentity, waitsFor]).toEqual([
      'me',
      ['the candidate of this process to be withdrawn'],
    ]);
    withdrawn();
    expect(await released).toMatchObject({ kind: 'written' });
    expect([inner.stored?.record.holderIdentity, waitsFor.at(-1)]).toEqual(['', undefined]);
  });

  it('is not sent if it was given up before that', async () => {
    const { read, inner, lock } = rigOf(() => new Promise(() => undefined));
    const base = (await read(mine)) ?? expect.fail();
    const controller = new AbortController();
    const released = lock.update(base, recordOf(''), call({ signal: controller.signal }));
    const reason = new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'Too late.', { maybeCommitted: false });
    controller.abort(reason);
    await expect(released).rejects.toBe(reason);
    expect(inner.stored).toBe(mine);
  });

  it('is the only write that waits for the withdrawal', async () => {
    const { read, lock } = rigOf(() => new Promise(() => undefined));
    const base = (await read(mine)) ?? expect.fail();
    expect(await lock.update(base, recordOf('me'), call())).toMatchObject({ kind: 'written' });
    expect(await lock.update(base, recordOf('me'), call())).toEqual({ kind: 'conflict' });
    expect(lock.describe()).toBe('default/hand');
  });
});

it('a lock without watch gives a coordinated lock without watch', async () => {
  const inner = new HandLock();
  const { watch: _, ...unwatched } = {
    describe: () => inner.describe(),
    get: (each: LeaseCall) => inner.get(each),
    create: inner.create.bind(inner),
    update: (base: LeaseSnapshot, record: LeaseRecord) => inner.update(base, record),
    watch: undefined,
  };
  const lock = new CoordinatedLock({
    lock: unwatched,
    identity: 'me',
    leaseDuration: 15_000,
    withdraw: () => Promise.resolve(),
    onMoved: () => undefined,
  });
  expect(lock.watch).toBeUndefined();
  expect(await lock.create(recordOf('me'), call())).toMatchObject({ kind: 'written' });
  expect(lock.place).toBe('chosen');
  expect(inner.stored?.carried).toMatchObject({
    metadata: { annotations: { [HELD_AT]: recordOf('me').renewTime, [HELD_FOR]: '15' } },
  });
});
