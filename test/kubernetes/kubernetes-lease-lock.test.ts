/** What the lock sends, and how it reads each answer. */
import { afterEach, describe, expect, it } from 'vitest';
import type { LeaseSnapshot, MicroTime } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer, type Script } from './scripted-server.js';

const path = '/apis/coordination.k8s.io/v1/namespaces/ours/leases/billing';

let server: ScriptedServer | undefined;
let connection: KubernetesConnection | undefined;

afterEach(async () => {
  connection?.close();
  await server?.stop();
});

async function lockAt(script: Script, labels: Record<string, string> = {}): Promise<KubernetesLeaseLock> {
  server = await ScriptedServer.start(script);
  connection = new KubernetesConnection({ server: server.url, token: 'a-token' });
  return new KubernetesLeaseLock(connection, { ...address, labels });
}

function answering(status: number, body: unknown): Script {
  return (_request, response) => {
    answer(response, status, body);
  };
}

function sent(): { metadata: Record<string, unknown>; spec: Record<string, unknown> } {
  return JSON.parse(server?.requests.at(-1)?.body ?? '') as ReturnType<typeof sent>;
}

const noLease = {
  kind: 'Status',
  status: 'Failure',
  reason: 'NotFound',
  details: { name: 'billing', group: 'coordination.k8s.io', kind: 'leases' },
  code: 404,
};

describe('the age of a record, by the clocks of the API servers', () => {
  const DATE = 'Thu, 01 Jan 2026 00:01:00 GMT';
  const entry = (time: unknown): object => ({ manager: 'x', operation: 'Update', time });
  const MANY = [entry('2026-01-01T00:00:10Z'), entry('2026-01-01T00:00:40Z'), entry('2026-01-01T00:00:30Z')];

  it.each([
    ['the newest time counts, in whole seconds', MANY, DATE, 0, 19_000],
    ['the margin makes it younger', MANY, DATE, 4_000, 15_000],
    ['a clock that is behind', [entry('2026-01-01T00:01:00Z')], DATE, 0, undefined],
    ['no more than the margin', MANY, DATE, 19_001, undefined],
    ['no managedFields', undefined, DATE, 0, undefined],
    ['empty managedFields', [], DATE, 0, undefined],
    ['one time is missing', [...MANY, entry(undefined)], DATE, 0, undefined],
    ['one time is strange', [...MANY, entry(7)], DATE, 0, undefined],
    ['an entry is null', [...MANY, null], DATE, 0, undefined],
    ['a strange Date', MANY, 'yesterday', 0, undefined],
  ] as const)('%s', async (_, managedFields, date, margin, age) => {
    server = await ScriptedServer.start((_request, response) => {
      response.setHeader('date', date);
      answer(response, 200, leaseOf(record, { managedFields }));
    });
    connection = new KubernetesConnection({ server: server.url, token: 'a-token' });
    const lock = new KubernetesLeaseLock(connection, address, margin);
    expect((await lock.get(call()))?.ageMs).toBe(age);
    expect((await new KubernetesLeaseLock(connection, address).get(call()))?.ageMs).toBeUndefined();
  });
});

describe('a read', () => {
  it('asks for one Lease, with the token and the user agent', async () => {
    const lock = await lockAt(answering(200, leaseOf()));
    expect(await lock.get(call())).toMatchObject({ record, uid: 'u1', resourceVersion: '7' });
    expect(server?.requests).toMatchObject([
      { method: 'GET', url: path, headers: { authorization: 'Bearer a-token', accept: 'application/json' } },
    ]);
    expect(server?.requests[0]?.headers['user-agent']).toMatch(/^nestjs-leader/);
  });

  it('returns undefined if there is no Lease', async () => {
    const lock = await lockAt(answering(404, noLease));
    expect(await lock.get(call())).toBeUndefined();
  });

  const nothing = {
    holderIdentity: '',
    leaseDurationSeconds: undefined,
    acquireTime: undefined,
    renewTime: undefined,
    leaseTransitions: undefined,
  };
  it.each([
    ['no spec', undefined, nothing],
    ['an empty spec', {}, nothing],
    ['a holder that is null', { holderIdentity: null }, nothing],
    ['times of another zone and precision', { renewTime: '2026-01-01T01:00:00+01:00' }, 'passed on'],
  ])('accepts %s', async (_name, spec, expected) => {
    const lock = await lockAt(answering(200, { ...leaseOf(), spec }));
    const snapshot = await lock.get(call());
    expect(snapshot?.record).toEqual(
      expected === 'passed on' ? { ...nothing, renewTime: '2026-01-01T01:00:00+01:00' } : expected,
    );
  });

  it('fails for an answer that is not a Lease', async () => {
    for (const body of [
      null,
      5,
      [],
      {},
      { metadata: {} },
      { metadata: { uid: 'u', resourceVersion: 'x' } },
    ]) {
      const lock = await lockAt(answering(200, body));
      await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_SERVER_ERROR' });
      await server?.stop();
    }
  });
});

describe('a first write', () => {
  it('is a PUT without uid and resourceVersion', async () => {
    const lock = await lockAt(answering(201, leaseOf()), { app: 'x' });
    expect(await lock.create(record, call())).toMatchObject({ kind: 'written', snapshot: { uid: 'u1' } });
    expect(server?.requests).toMatchObject([{ method: 'PUT', url: path }]);
    expect(sent().metadata).toEqual({ name: 'billing', namespace: 'ours', labels: { app: 'x' } });
    expect(sent().spec).toEqual(record);
  });

  it('creates the Lease with the given annotations', async () => {
    const lock = await lockAt(answering(201, leaseOf()));
    await lock.create(record, call(), { note: 'x' });
    expect(sent().metadata).toEqual({ name: 'billing', namespace: 'ours', annotations: { note: 'x' } });
    expect(sent().spec).toEqual(record);
  });

  it.each([
    ['409', 409, { reason: 'Conflict' }],
    ['422 for the missing version', 422, { details: { causes: [{ field: 'metadata.resourceVersion' }] } }],
  ])('is a conflict if the Lease exists: %s', async (_name, status, body) => {
    const lock = await lockAt(answering(status, body));
    expect(await lock.create(record, call())).toEqual({ kind: 'conflict' });
  });

  it('fails for any other 422', async () => {
    const body = { details: { causes: [{ field: 'spec.leaseDurationSeconds' }] } };
    const lock = await lockAt(answering(422, body));
    await expect(lock.create(record, call())).rejects.toMatchObject({
      code: 'LEADER_REQUEST_INVALID',
      maybeCommitted: false,
    });
  });
});

describe('an update', () => {
  const foreign = {
    labels: { team: 'x', app: 'theirs' },
    annotations: { note: 'y' },
    ownerReferences: [{ kind: 'Pod', name: 'p', uid: 'o' }],
    finalizers: ['f/x'],
    managedFields: [{ manager: 'kubectl' }],
  };
  const spec = { ...record, strategy: 'OldestEmulationVersion', ofTheFuture: { a: [1] } };

  it('keeps what others wrote, and carries uid and resourceVersion', async () => {
    const lock = await lockAt(answering(200, leaseOf(spec, foreign)), { app: 'ours' });
    const base = (await lock.get(call())) as LeaseSnapshot;
    await lock.update(base, { ...record, holderIdentity: '' }, call());
    const { managedFields: _, ...kept } = foreign;
    expect(sent()).toEqual({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        ...kept,
        name: 'billing',
        namespace: 'ours',
        uid: 'u1',
        resourceVersion: '7',
        labels: { team: 'x', app: 'ours' },
      },
      spec: { ...spec, holderIdentity: '' },
    });
  });

  it('asks for the lease in an annotation, not in the spec', async () => {
    const lock = await lockAt(answering(200, leaseOf(spec, foreign)));
    const base = (await lock.get(call())) as LeaseSnapshot;
    await lock.update(base, { ...base.record, wantedBy: 'me' }, call());
    expect(sent().metadata['annotations']).toEqual({ note: 'y', 'nestjs-leader/wanted-by': 'me' });
    expect(sent().spec).toEqual(spec);
    await lock.create({ ...record, wantedBy: 'me' }, call());
    expect(sent().spec).toEqual(record);
  });

  const ABOUT = 'nestjs-leader/process';
  const vouched = `${String(record.renewTime)} ${record.holderIdentity} pod=x`;

  it('stores what the holder writes about its process, with the record that it belongs to', async () => {
    const lock = await lockAt(
      answering(200, leaseOf(record, { annotations: { [ABOUT]: vouched, note: 'y' } })),
    );
    const base = (await lock.get(call())) as LeaseSnapshot;
    expect(base.record).toEqual({ ...record, process: 'pod=x' });
    const renewTime = '2026-01-01T00:00:03.000003Z' as MicroTime;
    await lock.update(base, { ...base.record, renewTime }, call());
    expect(sent().metadata['annotations']).toEqual({ note: 'y', [ABOUT]: `${renewTime} me pod=x` });
    expect(sent().spec).toEqual({ ...record, renewTime });
    await lock.update(base, { ...record, holderIdentity: '' }, call());
    expect(sent().metadata['annotations']).toEqual({ note: 'y' });
    await lock.create({ ...record, process: 'pod=x' }, call());
    expect(sent()).toMatchObject({ metadata: { annotations: { [ABOUT]: vouched } }, spec: record });
  });

  it.each([
    [
      'a renewal by a client that keeps the annotation',
      { renewTime: '2026-01-01T00:00:03.000003Z' },
      vouched,
    ],
    ['a take-over by one', { holderIdentity: 'another' }, vouched],
    ['a holder whose name is longer', { holderIdentity: 'me too' }, `${String(record.renewTime)} me pod=x`],
    ['no time', { renewTime: undefined }, 'undefined me pod=x'],
    ['nobody', { holderIdentity: '' }, `${String(record.renewTime)}  pod=x`],
    ['no text', {}, 7],
    ['another text', {}, 'pod=x'],
  ])('after %s nothing is said about the process of the holder', async (_, change, text) => {
    const lock = await lockAt(
      answering(200, leaseOf({ ...record, ...change }, { annotations: { [ABOUT]: text } })),
    );
    expect((await lock.get(call()))?.record).not.toHaveProperty('process');
  });

  it('is a conflict only for 409', async () => {
    const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
    const lock = await lockAt(answering(409, { reason: 'Conflict' }));
    expect(await lock.update(base, record, call())).toEqual({ kind: 'conflict' });
  });

  it('may have been carried out if the answer contains no Lease', async () => {
    const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
    const lock = await lockAt(answering(200, 'a page'));
    await expect(lock.update(base, record, call())).rejects.toMatchObject({
      code: 'LEADER_SERVER_ERROR',
      maybeCommitted: true,
    });
  });
});
