/** Whatever an answer contains, the lock returns a Lease or undefined, or throws an error of this package. */
import { describe, expect, it } from 'vitest';
import { isLeaderError, type LeaseRequestError } from '../../lib/election/index.js';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  LeaseCandidateKeeper,
  type ApiRequest,
} from '../../lib/kubernetes/index.js';
import { address, call, leaseOf, record } from '../kubernetes/lease-fixtures.js';
import { HandClock } from '../kubernetes/hand-clock.js';
import { ScriptedServer, answer } from '../kubernetes/scripted-server.js';
import { HandConnection, ok, streamOf } from './hand-connection.js';

const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };

/** The errors of each kind of request to a lock whose transport answers like this. */
async function thrownWith(respond: (request: ApiRequest) => unknown): Promise<LeaseRequestError[]> {
  const lock = new KubernetesLeaseLock(new HandConnection(respond), address);
  const requests = [lock.get(call()), lock.create(record, call()), lock.update(base, record, call())];
  return Promise.all(
    requests.map((request) =>
      request.then(
        (value: unknown) => expect.fail(`it was taken: ${JSON.stringify(value)}`),
        (error: unknown) => error as LeaseRequestError,
      ),
    ),
  );
}

describe('a null field counts as missing', () => {
  it.each(['labels', 'annotations', 'ownerReferences', 'managedFields', 'finalizers', 'creationTimestamp'])(
    'metadata.%s',
    async (field) => {
      const stored = leaseOf(record, { [field]: null });
      const connection = new HandConnection(() => ok(stored));
      const lock = new KubernetesLeaseLock(connection, { ...address, labels: { app: 'x' } });
      const read = await lock.get(call());
      const carriedAsItCame = { ...base, carried: stored };
      for (const seen of [read ?? expect.fail(), carriedAsItCame])
        expect(await lock.update(seen, { ...record, wantedBy: 'me' }, call())).toMatchObject({
          kind: 'written',
        });
      expect(connection.requests.at(-1)?.body).toMatchObject({
        metadata: { labels: { app: 'x' }, annotations: { 'nestjs-leader/wanted-by': 'me' }, uid: 'u1' },
      });
    },
  );

  it('spec, and each of its fields', async () => {
    const empty = { holderIdentity: '', leaseDurationSeconds: undefined, leaseTransitions: undefined };
    const fields = [...Object.keys(record), 'preferredHolder', 'strategy'];
    for (const spec of [null, Object.fromEntries(fields.map((field) => [field, null]))]) {
      const lock = new KubernetesLeaseLock(new HandConnection(() => ok({ ...leaseOf(), spec })), address);
      const read = (await lock.get(call())) ?? expect.fail();
      expect(read.record).toMatchObject(empty);
      await expect(lock.update(read, record, call())).resolves.toMatchObject({ kind: 'written' });
    }
  });
});

describe('a field of a wrong type makes an answer unusable, and is named', () => {
  it.each<[string, object]>([
    ['metadata', { ...leaseOf(), metadata: ['x'] }],
    ['metadata.labels', leaseOf(record, { labels: [] })],
    ['metadata.labels', leaseOf(record, { labels: 'x' })],
    ['metadata.annotations', leaseOf(record, { annotations: ['x'] })],
    ['metadata.annotations', leaseOf(record, { annotations: 5 })],
    [
      'metadata.annotations.nestjs-leader/wanted-by',
      leaseOf(record, { annotations: { 'nestjs-leader/wanted-by': {} } }),
    ],
    ['metadata.uid', leaseOf(record, { uid: 7 })],
    ['metadata.resourceVersion', leaseOf(record, { resourceVersion: 7 })],
    ['spec', { ...leaseOf(), spec: [] }],
    ['spec', { ...leaseOf(), spec: 'x' }],
    // Read as "nobody", this would rob the holder.
    ['spec.holderIdentity', leaseOf({ ...record, holderIdentity: 7 })],
    ['spec.holderIdentity', leaseOf({ ...record, holderIdentity: { name: 'x' } })],
    ['spec.renewTime', leaseOf({ ...record, renewTime: 1e12 })],
    ['spec.acquireTime', leaseOf({ ...record, acquireTime: [] })],
    ['spec.leaseDurationSeconds', leaseOf({ ...record, leaseDurationSeconds: '15' })],
    ['spec.leaseDurationSeconds', leaseOf({ ...record, leaseDurationSeconds: -1 })],
    ['spec.leaseDurationSeconds', leaseOf({ ...record, leaseDurationSeconds: 1.5 })],
    ['spec.leaseDurationSeconds', leaseOf({ ...record, leaseDurationSeconds: 2 ** 31 })],
    ['spec.leaseTransitions', leaseOf({ ...record, leaseTransitions: {} })],
  ])('%s (row %#)', async (part, body) => {
    for (const error of await thrownWith(() => ok(body))) {
      expect(error.code).toBe('LEADER_SERVER_ERROR');
      expect(error.message).toContain(part);
    }
  });
});

describe('an answer without a Lease', () => {
  it.each(['', 'null', '7', '"x"', '[]', '[{}]', '{', '<html>', '{"metadata":null}', '{"items":[null,5]}'])(
    '%s is an error of this package',
    async (text) => {
      for (const error of await thrownWith(() => ok(text))) expect(error.code).toBe('LEADER_SERVER_ERROR');
    },
  );

  it.each(['null', '[]', '{"details":7,"code":"x"}', '{"details":{"causes":[null,7,"x"]}}', '{"message":7}'])(
    '%s with the status of a refusal is an error of this package, too',
    async (text) => {
      for (const status of [400, 401, 403, 404, 422, 429, 500])
        for (const error of await thrownWith(() => ok(text, status))) expect(isLeaderError(error)).toBe(true);
    },
  );
});

describe("a user's transport with an invalid answer", () => {
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a text', JSON.stringify(leaseOf())],
    ['a Lease', leaseOf()],
    ['no status', { headers: {}, text: '{}' }],
    ['a status that is a text', { status: '200', headers: {}, text: '{}' }],
    ['no headers', { status: 500, text: '{}' }],
    ['no text', { status: 200, headers: {} }],
    ['a body that is parsed', { status: 200, headers: {}, text: leaseOf() }],
  ])('(%s) gives an error that says what is expected', async (_name, response) => {
    const [read, ...writes] = await thrownWith(() => response);
    expect(read).toMatchObject({ code: 'LEADER_SERVER_ERROR', maybeCommitted: false });
    for (const write of writes)
      expect(write).toMatchObject({ code: 'LEADER_SERVER_ERROR', maybeCommitted: true });
    expect(read?.message).toContain('{ status: number, headers: object, text: string }');
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a text', 'x'],
    ['nothing to iterate', { statusCode: 200, headers: {} }],
    ['no headers', { ...streamOf([]), headers: undefined }],
  ])('for a watch (%s) gives an error of this package', async (_name, stream) => {
    const connection = new HandConnection(() => undefined);
    connection.stream = () => Promise.resolve(stream as never);
    const lock = new KubernetesLeaseLock(connection, address);
    await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject({
      code: 'LEADER_SERVER_ERROR',
    });
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['objects', {}],
    ['numbers', 7],
  ])('for a watch whose pieces are %s gives an error of this package', async (_name, piece) => {
    const connection = new HandConnection(() => undefined);
    connection.stream = () => Promise.resolve(streamOf([piece]));
    const lock = new KubernetesLeaseLock(connection, address);
    await expect(lock.watch(() => undefined, call().signal)).rejects.toSatisfy((error) =>
      isLeaderError(error),
    );
  });

  it('that throws synchronously gives an error of this package', async () => {
    for (const error of await thrownWith(() => {
      throw new TypeError('x');
    }))
      expect(isLeaderError(error)).toBe(true);
  });
});

describe('the list of resources of an API server', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['a page', undefined],
    ['resources that are null', { resources: null }],
    ['resources that are a map', { resources: { name: 'leasecandidates' } }],
  ])('that is invalid (%s) does not mean that there are no LeaseCandidates', async (_name, body) => {
    const server = await ScriptedServer.start((_request, response) => {
      if (body === undefined) response.writeHead(200).end('<h1>Welcome</h1>');
      else answer(response, 200, body);
    });
    const connection = new KubernetesConnection({ server: server.url });
    const keeper = new LeaseCandidateKeeper({
      connection,
      lock: new KubernetesLeaseLock(connection, address),
      lease: address,
      identity: 'me',
      spec: { binaryVersion: '1.0.0', emulationVersion: '1.0.0', strategy: 'OldestEmulationVersion' },
      retryPeriod: 2_000,
      longestWithdrawal: 2_000,
      clock: new HandClock(),
    });
    const stop = await new Promise<() => void>((resolve) => {
      const disregard = keeper.observe(() => {
        resolve(() => {
          disregard();
        });
      });
    });
    expect([keeper.elects, keeper.objection?.code]).toEqual([undefined, 'LEADER_SERVER_ERROR']);
    stop();
    connection.close();
    await server.stop();
  });

  it('may contain invalid items, which are ignored', async () => {
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 200, { resources: [null, 7, 'x', { name: 'leasecandidates' }] });
    });
    const connection = new KubernetesConnection({ server: server.url });
    const { findCandidatesApi } = await import('../../lib/kubernetes/coordinated/lease-candidates.js');
    expect(await findCandidatesApi(connection, { name: 'me', namespace: 'ours' }, call())).toBe('v1');
    connection.close();
    await server.stop();
  });
});

describe('keys such as __proto__', () => {
  it('are written back unchanged, and affect nothing else', async () => {
    const text = JSON.stringify(leaseOf(record, { labels: {}, annotations: {} }))
      .replace('"labels":{}', '"labels":{"__proto__":"a","constructor":"b"}')
      .replace(
        '"annotations":{}',
        '"__proto__":{"polluted":1},"annotations":{"__proto__":{"nestjs-leader/wanted-by":"they"}}',
      )
      .replace('"spec":{', '"__proto__":{"polluted":1},"spec":{"__proto__":{"preferredHolder":"they"},');
    const connection = new HandConnection(() => ok(text));
    const lock = new KubernetesLeaseLock(connection, { ...address, labels: { app: 'x' } });
    const read = (await lock.get(call())) ?? expect.fail();
    expect(read.record).toEqual(record);
    await lock.update(read, record, call());
    const written = JSON.stringify(connection.requests.at(-1)?.body);
    expect(written).toContain('"labels":{"__proto__":"a","constructor":"b","app":"x"}');
    expect(written).toContain('"annotations":{"__proto__":{"nestjs-leader/wanted-by":"they"}}');
    expect(written).toContain('"spec":{"__proto__":{"preferredHolder":"they"}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.prototype).not.toHaveProperty('preferredHolder');
  });
});
