/** Answers and events about a different object than the requested one are refused where they are parsed. */
import { describe, expect, it } from 'vitest';
import {
  LeaseElector,
  LeaseRequestError,
  resolveElectionOptions,
  type ElectionEvent,
  type WatchEvent,
  type LeaderError,
  type LeadershipTerm,
} from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { LeaseCandidates } from '../../lib/kubernetes/coordinated/lease-candidates.js';
import { EventRecorder } from '../../lib/kubernetes/event-recorder.js';
import { PodLabels } from '../../lib/kubernetes/pod-labels.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { HandClock } from '../kubernetes/hand-clock.js';
import { address, call, leaseOf, record } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer } from '../kubernetes/scripted-server.js';
import { HandConnection, KeptLease, ok } from './hand-connection.js';

const anothers: [string, object][] = [
  ['name', leaseOf(record, { name: 'shipping' })],
  ['namespace', leaseOf(record, { namespace: 'theirs' })],
  ['kind', { ...leaseOf(), kind: 'LeaseCandidate' }],
];
const nameless: [string, object][] = [
  ['no name', leaseOf(record, { name: undefined })],
  ['no namespace', leaseOf(record, { namespace: null })],
  ['an empty uid, which would revive a deleted Lease', leaseOf(record, { uid: '' })],
  ['no version', leaseOf(record, { resourceVersion: '0' })],
];

async function thrownBy(promise: Promise<unknown>): Promise<LeaseRequestError> {
  const thrown = await promise.then(
    (value: unknown) => expect.fail(`it was taken: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(LeaseRequestError);
  return thrown as LeaseRequestError;
}

describe('a reply', () => {
  it.each([...anothers, ...nameless])('with a different Lease (%s) is refused', async (_name, body) => {
    const lock = new KubernetesLeaseLock(new HandConnection(() => ok(body)), address);
    const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
    const read = await thrownBy(lock.get(call()));
    expect(read).toMatchObject({ code: 'LEADER_SERVER_ERROR', maybeCommitted: false });
    expect(read.message).not.toMatch(/shipping|theirs/);
    const writes = [lock.create(record, call()), lock.update(base, record, call())];
    for (const error of await Promise.all(writes.map(thrownBy)))
      expect(error).toMatchObject({ code: 'LEADER_SERVER_ERROR', maybeCommitted: true });
  });

  it('to an update with a different uid is refused', async () => {
    const lock = new KubernetesLeaseLock(
      new HandConnection(() => ok(leaseOf(record, { uid: 'u2' }))),
      address,
    );
    const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
    expect((await thrownBy(lock.update(base, record, call()))).message).toContain('metadata.uid');
    await expect(lock.get(call())).resolves.toMatchObject({ uid: 'u2' });
  });

  it('about a different Lease cannot be the base of an update', async () => {
    const connection = new HandConnection(() => ok(leaseOf()));
    const lock = new KubernetesLeaseLock(connection, address);
    for (const carried of [leaseOf(record, { name: 'shipping' }), undefined, null, []]) {
      const base = { record, uid: 'u1', resourceVersion: '7', carried };
      expect(await thrownBy(lock.update(base, record, call()))).toMatchObject({
        code: 'LEADER_REQUEST_INVALID',
        maybeCommitted: false,
      });
    }
    expect(connection.requests).toEqual([]);
  });
});

describe('a watch', () => {
  /** What a watch reported for these events, and the error that ended it. */
  async function watched(
    ...told: readonly [type: string, object: unknown][]
  ): Promise<{ events: WatchEvent[]; error: LeaseRequestError }> {
    const connection = new HandConnection(() => ok(leaseOf()));
    const lock = new KubernetesLeaseLock(connection, address);
    const events: WatchEvent[] = [];
    const end = lock.watch((event) => events.push(event), call().signal);
    for (const [type, object] of told) connection.tell(type, object);
    return { error: await thrownBy(end), events };
  }

  it.each([...anothers, ...nameless])(
    'with an event about a different Lease (%s) ends',
    async (_name, object) => {
      for (const type of ['ADDED', 'MODIFIED', 'DELETED']) {
        const { events, error } = await watched(['ADDED', leaseOf()], [type, object]);
        expect(error).toMatchObject({ code: 'LEADER_SERVER_ERROR', maybeCommitted: false });
        expect(events.map(({ kind }) => kind)).toEqual(['opened', 'seen']);
      }
    },
  );

  it.each(['ADDED', 'MODIFIED', 'DELETED'])(
    'with an event (%s) of a uid that a read does not confirm ends',
    async (type) => {
      const { events } = await watched(['ADDED', leaseOf()], [type, leaseOf(record, { uid: 'u2' })]);
      expect(events.map(({ kind }) => kind)).toEqual(['opened', 'seen']);
    },
  );

  it('that begins with a new uid is believed if a read confirms it', async () => {
    let uid = 'u1';
    const connection = new HandConnection(() => ok(leaseOf(record, { uid })));
    const lock = new KubernetesLeaseLock(connection, address);
    await lock.get(call());
    for (const [now, expected] of [
      ['u1', ['opened']],
      ['u2', ['opened', 'seen']],
    ] as const) {
      uid = now;
      const events: WatchEvent[] = [];
      const end = thrownBy(lock.watch((event) => events.push(event), call().signal));
      connection.tell('ADDED', leaseOf(record, { uid: 'u2' }));
      connection.tell('ADDED', leaseOf(record, { name: 'shipping' }));
      expect((await end).code).toBe('LEADER_SERVER_ERROR');
      expect(events.map(({ kind }) => kind)).toEqual(expected);
    }
    // A known uid needs no read.
    expect(connection.requests).toHaveLength(1 + 2);
  });

  it('reports a Lease that was deleted and created again', async () => {
    const again = leaseOf(record, { uid: 'u2', resourceVersion: '9' });
    const { events } = await watched(
      ['ADDED', leaseOf()],
      ['DELETED', leaseOf(record, { resourceVersion: '8' })],
      ['ADDED', again],
      ['ADDED', leaseOf(record, { name: 'shipping' })],
    );
    expect(events.map(({ kind }) => kind)).toEqual(['opened', 'seen', 'deleted', 'seen']);
  });

  const events: [string, unknown][] = [
    ['no object', null],
    ['a number', 7],
    ['a list', [leaseOf()]],
    ['metadata that is null', { metadata: null }],
  ];
  it.each(events)('with an event of %s ends', async (_name, object) => {
    expect((await watched(['MODIFIED', object])).error.code).toBe('LEADER_SERVER_ERROR');
  });

  it('with an event of an unknown type ends', async () => {
    expect((await watched(['MOVED', leaseOf()])).error.code).toBe('LEADER_SERVER_ERROR');
  });

  it.each(['410', null, { a: 1 }, 410.5, Infinity, undefined])(
    'ends with an ERROR event of the code %j',
    async (code) => {
      const { error } = await watched(['ERROR', { kind: 'Status', code }]);
      expect(error.code).toBe('LEADER_SERVER_ERROR');
      expect(error.message).toContain('without a status');
    },
  );

  it.each([[null], ['x'], [[]], [7]])('ends with an ERROR event whose object is %j', async (object) => {
    expect((await watched(['ERROR', object])).error.code).toBe('LEADER_SERVER_ERROR');
  });
});

it('a leader keeps leading when its watch shows a different Lease, reports it, and opens the watch again after a pause', async () => {
  const time = new SimulatedTime();
  const lease = new KeptLease();
  const connection = new HandConnection(lease.respond);
  const events: ElectionEvent[] = [];
  const elector = new LeaseElector({
    lock: new KubernetesLeaseLock(connection, address),
    clock: time.clock(),
    options: resolveElectionOptions({ leaseName: 'billing' }, { leaseNamespace: 'ours', identity: 'me' }),
  });
  const stop = new AbortController();
  const run = elector.run(stop.signal, (event) => events.push(event));
  await time.advance(100);
  expect(elector.state.kind).toBe('leading');
  const theirs = { ...record, holderIdentity: 'they' };
  for (const foreign of [{ uid: 'u9' }, { name: 'shipping' }, { namespace: 'theirs' }, { uid: 'u9' }]) {
    const opened = connection.watches.length;
    connection.tell('MODIFIED', leaseOf(theirs, { resourceVersion: '99', ...foreign }));
    await time.advance(0);
    expect(elector.state.kind).toBe('leading');
    await time.advanceUntil(() => connection.watches.length > opened, 4_000);
  }
  await time.advance(30_000);
  expect(elector.state.kind).toBe('leading');
  expect(events.filter(({ type }) => type === 'stoppedLeading')).toEqual([]);
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'error',
      error: expect.objectContaining({ code: 'LEADER_SERVER_ERROR' }),
    }),
  );
  // Every write went to its own path, and contained its own Lease.
  for (const { method, path, body } of connection.requests) {
    expect(path).toBe('/apis/coordination.k8s.io/v1/namespaces/ours/leases/billing');
    if (method === 'PUT') expect(body).toMatchObject({ metadata: { name: 'billing', namespace: 'ours' } });
  }
  stop.abort();
  await time.advance(1_000);
  await run;
});

describe('a LeaseCandidate', () => {
  const candidate = (metadata: object = {}, spec: object | null = { leaseName: 'billing' }): object => ({
    kind: 'LeaseCandidate',
    metadata: { name: 'me', namespace: 'ours', uid: 'c1', resourceVersion: '7', ...metadata },
    spec,
  });
  const unfit: [string, object][] = [
    ['name', candidate({ name: 'they' })],
    ['namespace', candidate({ namespace: 'theirs' })],
    ['kind', { ...candidate(), kind: 'Lease' }],
    ['spec', candidate({}, null)],
    ['lease', candidate({}, { leaseName: 7 })],
    ['ping', candidate({}, { leaseName: 'billing', pingTime: {} })],
    ['labels', candidate({ labels: ['x'] })],
    ['metadata', { kind: 'LeaseCandidate', metadata: null }],
  ];

  async function candidatesOf(
    body: unknown,
  ): Promise<{ candidates: LeaseCandidates; close: () => Promise<void> }> {
    const server = await ScriptedServer.start(({ url }, response) => {
      if (!url.includes('watch=')) answer(response, 200, body);
      else response.writeHead(200).end(`${JSON.stringify({ type: 'ADDED', object: body })}\n`);
    });
    const connection = new KubernetesConnection({ server: server.url });
    const close = async (): Promise<void> => {
      connection.close();
      await server.stop();
    };
    return { candidates: new LeaseCandidates(connection, 'v1beta1', 'me', address), close };
  }

  it.each(unfit)(
    'with a different or invalid %s is refused, in replies and in watches',
    async (_name, body) => {
      const { candidates, close } = await candidatesOf(body);
      const spec = { binaryVersion: '1.0.0', emulationVersion: '1.0.0', strategy: 'OldestEmulationVersion' };
      const seen: unknown[] = [];
      const watch = candidates.watch((event) => {
        if (event.kind !== 'opened') seen.push(event);
      }, call().signal);
      const requests = [candidates.get(call()), candidates.put(spec, 0, undefined, call()), watch];
      for (const error of await Promise.all(requests.map(thrownBy)))
        expect(error.code).toBe('LEADER_SERVER_ERROR');
      expect(seen).toEqual([]);
      await close();
    },
  );
});

describe('a request besides the election', () => {
  it.each([
    [
      'of another name',
      { kind: 'Pod', metadata: { name: 'they', namespace: 'ours', labels: { role: 'leader' } } },
    ],
    ['of another namespace', { metadata: { name: 'me', namespace: 'theirs', labels: { role: 'leader' } } }],
    ['of another kind', { kind: 'Service', metadata: { name: 'me', namespace: 'ours' } }],
    ['without the label', { kind: 'Pod', metadata: { name: 'me', namespace: 'ours', labels: null } }],
    ['that is null', null],
    ['that is a list', []],
  ])('fails if the answer to labels is a Pod %s', async (_name, body) => {
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 200, body);
    });
    const connection = new KubernetesConnection({ server: server.url });
    const clock = new HandClock();
    const pod = { name: 'me', namespace: 'ours' };
    const labels = new PodLabels({ connection, pod, labels: { role: 'leader' }, retryPeriod: 2_000, clock });
    const patience = new AbortController();
    const started = labels.atStart({} as LeadershipTerm, patience.signal);
    await server.arrived(2 - 1);
    void clock.ring(500);
    await server.arrived(2);
    patience.abort();
    await expect(started).rejects.toMatchObject({
      code: 'LEADER_POD_LABEL_FAILED',
      cause: { code: 'LEADER_SERVER_ERROR' },
    });
    labels.stop();
    connection.close();
    await server.stop();
  });

  it.each([
    ['of another namespace', { kind: 'Event', metadata: { name: 'billing.1', namespace: 'theirs' } }],
    ['of another kind', { kind: 'Lease', metadata: { name: 'billing', namespace: 'ours' } }],
    ['that is a text', 'done'],
  ])('fails if the answer to an Event is an Event %s', async (_name, body) => {
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 201, body);
    });
    const connection = new KubernetesConnection({ server: server.url });
    const lock = new KubernetesLeaseLock(connection, address);
    const recorder = new EventRecorder(connection, () => lock.reference);
    const told: LeaderError[] = [];
    recorder.start((error) => told.push(error));
    recorder.onEvent({
      type: 'startedLeading',
      term: { leaseName: 'billing', identity: 'me' } as LeadershipTerm,
    });
    await recorder.stop();
    expect(told).toMatchObject([{ code: 'LEADER_EVENT_FAILED', cause: { code: 'LEADER_SERVER_ERROR' } }]);
    connection.close();
    await server.stop();
  });
});
