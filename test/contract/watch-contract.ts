/** Watches: what is told, in which order, under which versions, and how they end. */
import { expect, it } from 'vitest';
import type { WatchLine, WatchReader } from './api-connection.js';
import type { ContractServer } from './contract-server.js';
import { unusedName } from './lease-names.js';
import { normalBody, normalise } from './normal-form.js';
import { GROUP_PATH, failureBody, leaseBody, prepare, preparedSpec, type Prepared } from './row.js';

const NAMESPACE = 'contract-watch';
const COLLECTION = `${GROUP_PATH}/namespaces/${NAMESPACE}/leases`;

interface Metadata {
  readonly name: string;
  readonly resourceVersion: string;
  readonly labels?: Readonly<Record<string, string>>;
}

function metadataOf(line: WatchLine | undefined): Metadata {
  return line?.object['metadata'] as Metadata;
}

/** An event in short: its type and the holder. */
function brief(line: WatchLine | undefined): string | undefined {
  if (line === undefined) return undefined;
  return `${line.type} ${String((line.object['spec'] as { holderIdentity?: string }).holderIdentity)}`;
}

function versionOf(text: string): string {
  return (JSON.parse(text) as { metadata: Metadata }).metadata.resourceVersion;
}

/** One Lease and who writes it. */
class Subject {
  readonly #server: ContractServer;
  readonly name: string;

  constructor(server: ContractServer, name: string) {
    this.#server = server;
    this.name = name;
  }

  /** Creates or replaces, unconditionally as far as the test sees. Gives the new version. */
  async write(holderIdentity: string, labels?: Readonly<Record<string, string>>): Promise<string> {
    const path = `${COLLECTION}/${this.name}`;
    const present = await this.#server.api.send({ method: 'GET', path });
    const resourceVersion = present.status === 200 ? versionOf(present.text) : undefined;
    const body = { metadata: { name: this.name, resourceVersion, labels }, spec: { holderIdentity } };
    const answer = await this.#server.api.send({ method: 'PUT', path, body });
    expect(answer.status, answer.text).toBeLessThan(300);
    return versionOf(answer.text);
  }

  async delete(): Promise<void> {
    const answer = await this.#server.api.send({ method: 'DELETE', path: `${COLLECTION}/${this.name}` });
    expect(answer.status).toBe(200);
  }

  watch(query: string): Promise<WatchReader> {
    return this.#server.api.watch(`${COLLECTION}?watch=1&fieldSelector=metadata.name%3D${this.name}${query}`);
  }
}

export function describeWatches(server: () => ContractServer): void {
  const subject = (): Subject => new Subject(server(), unusedName());

  it.each(['', '&resourceVersion=0'])('begins with what is there, then tells changes: %s', async (query) => {
    const lease = subject();
    const first = await lease.write('a');
    const watch = await lease.watch(query);
    expect({ status: watch.status, type: watch.headers['content-type'], encoding: watch.headers['transfer-encoding'] }).toEqual({
      status: 200,
      type: 'application/json',
      encoding: 'chunked',
    });
    const added = await watch.next();
    expect(JSON.stringify(normalise(added?.object, undefined))).toBe(
      JSON.stringify(leaseBody(NAMESPACE, lease.name, { holderIdentity: 'a' })),
    );
    expect([brief(added), metadataOf(added).resourceVersion]).toEqual(['ADDED a', first]);
    const second = await lease.write('b');
    const modified = await watch.next();
    expect([brief(modified), metadataOf(modified).resourceVersion]).toEqual(['MODIFIED b', second]);
    watch.close();
  });

  it('tells only what changed after the version it begins with', async () => {
    const lease = subject();
    const first = await lease.write('a');
    await lease.write('b');
    await lease.write('c');
    const watch = await lease.watch(`&resourceVersion=${first}`);
    expect([brief(await watch.next()), brief(await watch.next())]).toEqual(['MODIFIED b', 'MODIFIED c']);
    await lease.write('d');
    expect(brief(await watch.next())).toBe('MODIFIED d');
    watch.close();
  });

  it('tells a deletion with the last state under a version of its own, and a new Lease after it', async () => {
    const lease = subject();
    const first = await lease.write('a');
    const watch = await lease.watch(`&resourceVersion=${first}`);
    await lease.delete();
    const second = await lease.write('b');
    const deleted = await watch.next();
    const added = await watch.next();
    expect([brief(deleted), brief(added)]).toEqual(['DELETED a', 'ADDED b']);
    const versions = [first, metadataOf(deleted).resourceVersion, second].map(BigInt);
    expect(versions[1]).toBeGreaterThan(versions[0] as bigint);
    expect(versions[2]).toBeGreaterThan(versions[1] as bigint);
    watch.close();
  });

  it('tells nothing of a write that changes nothing', async () => {
    const lease = subject();
    const first = await lease.write('a');
    const watch = await lease.watch(`&resourceVersion=${first}`);
    expect(await lease.write('a')).toBe(first);
    await lease.write('b');
    expect(brief(await watch.next())).toBe('MODIFIED b');
    watch.close();
  });

  it('tells leaving a label selector as a deletion, and coming back as a creation', async () => {
    const lease = subject();
    const first = await lease.write('a', { in: 'yes' });
    const watch = await lease.watch(`&labelSelector=in%3Dyes&resourceVersion=${first}`);
    const second = await lease.write('b');
    await lease.write('c', { in: 'yes' });
    await lease.write('d', { in: 'yes' });
    const left = await watch.next();
    expect([brief(left), metadataOf(left)]).toMatchObject(['DELETED a', { labels: { in: 'yes' }, resourceVersion: second }]);
    expect([brief(await watch.next()), brief(await watch.next())]).toEqual(['ADDED c', 'MODIFIED d']);
    watch.close();
  });

  it('says nothing about a version that is still to come, until it has come', async () => {
    const lease = subject();
    const first = await lease.write('a');
    const future = (BigInt(first) + 3n).toString();
    const watch = await lease.watch(`&resourceVersion=${future}`);
    expect(watch.status).toBe(200);
    for (const holder of 'bcdefgh') await lease.write(holder);
    const event = await watch.next();
    expect(BigInt(metadataOf(event).resourceVersion)).toBeGreaterThan(BigInt(future));
    watch.close();
  });

  it('ends without a word when its time is over', async () => {
    const lease = subject();
    await lease.write('a');
    const watch = await lease.watch('&timeoutSeconds=1');
    expect((await watch.rest()).map(brief)).toEqual(['ADDED a']);
  });

  it('tells that its version is too old by an event', async () => {
    const watch = await subject().watch('&resourceVersion=1');
    expect(watch.status).toBe(200);
    const events = await watch.rest();
    const message = String(events[0]?.object['message']);
    expect(message).toMatch(/^too old resource version: 1 \(\d+\)$/);
    expect(events).toEqual([{ type: 'ERROR', object: failureBody(410, 'Expired', message) }]);
  });

  it('sends the initial events and their end when asked to', async () => {
    const lease = subject();
    await lease.write('a');
    const watch = await lease.watch('&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    expect(brief(await watch.next())).toBe('ADDED a');
    const end = await watch.next();
    expect({ ...end, object: normalise(end?.object, undefined) }).toEqual({
      type: 'BOOKMARK',
      object: {
        kind: 'Lease',
        apiVersion: 'coordination.k8s.io/v1',
        metadata: { resourceVersion: '<version>', annotations: { 'k8s.io/initial-events-end': 'true' } },
        spec: {},
      },
    });
    await lease.write('b');
    expect(brief(await watch.next())).toBe('MODIFIED b');
    watch.close();
  });

  it('sends a bookmark before its time is over', async () => {
    const lease = subject();
    await lease.write('a');
    const watch = await lease.watch('&allowWatchBookmarks=true&timeoutSeconds=3');
    expect(brief(await watch.next())).toBe('ADDED a');
    const bookmark = await watch.next();
    expect({ ...bookmark, object: normalise(bookmark?.object, undefined) }).toEqual({
      type: 'BOOKMARK',
      object: { kind: 'Lease', apiVersion: 'coordination.k8s.io/v1', metadata: { resourceVersion: '<version>' }, spec: {} },
    });
    watch.close();
  });

  it.each<[query: string, status: number, body: object]>([
    ['&resourceVersion=abc', 500, failureBody(500, undefined, 'strconv.ParseUint: parsing "abc": invalid syntax')],
    [
      '&labelSelector=a%20b',
      400,
      failureBody(400, 'BadRequest', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ],
    [
      '&sendInitialEvents=true',
      422,
      failureBody(
        422,
        'Invalid',
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
        {
          group: 'meta.k8s.io',
          kind: 'ListOptions',
          causes: [
            {
              reason: 'FieldValueForbidden',
              message: 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
              field: 'resourceVersionMatch',
            },
          ],
        },
      ),
    ],
  ])('refuses %s by a plain answer', async (query, status, body) => {
    const answer = await server().api.send({ method: 'GET', path: `${COLLECTION}?watch=true${query}` });
    expect({ status: answer.status, body: normalBody(answer.text) }).toEqual({ status, body });
  });

  it('watches across namespaces', async () => {
    const lease = subject();
    const first = await lease.write('a');
    const watch = await server().api.watch(`${GROUP_PATH}/leases?watch=true&resourceVersion=${first}`);
    await lease.write('b');
    expect([brief(await watch.next())]).toEqual(['MODIFIED b']);
    watch.close();
  });
}

/** What is left of the facts: versions, races, finalizers, managers. */
export function describeWrites(server: () => ContractServer): void {
  const send = async (method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> =>
    server().api.send({ method, path, body });
  const put = (lease: Prepared, holderIdentity: string, resourceVersion = lease.version) =>
    send('PUT', lease.item, { metadata: { name: lease.name, resourceVersion }, spec: { ...preparedSpec, holderIdentity } });

  it('lets one of several conditional writes through', async () => {
    const lease = await prepare(server(), 'contract');
    const answers = await Promise.all([1, 2, 3, 4, 5].map((each) => put(lease, String(each))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
  });

  it('lets one of several creations through', async () => {
    const lease = await prepare(server(), 'contract');
    const body = (holderIdentity: string): object => ({ metadata: { name: lease.free }, spec: { holderIdentity } });
    const answers = await Promise.all([1, 2, 3, 4, 5].map((each) => send('POST', lease.collection, body(String(each)))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
    const free = unusedName();
    const puts = await Promise.all(
      [1, 2, 3, 4, 5].map((each) =>
        send('PUT', `${lease.collection}/${free}`, { metadata: { name: free }, spec: { holderIdentity: String(each) } }),
      ),
    );
    expect(puts.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422, 422]);
  });

  it('gives versions that grow over all Leases, and none for a write that changes nothing', async () => {
    const a = await prepare(server(), 'contract');
    const b = await prepare(server(), 'contract');
    expect(BigInt(b.version)).toBeGreaterThan(BigInt(a.version));
    const changed = versionOf((await put(a, 'x')).text);
    expect(BigInt(changed)).toBeGreaterThan(BigInt(b.version));
    expect(versionOf((await put(a, 'x', changed)).text)).toBe(changed);
  });

  it('makes a new uid for a Lease that was deleted', async () => {
    const lease = await prepare(server(), 'contract');
    await send('DELETE', lease.item);
    const again = await put(lease, 'x');
    expect(again.status).toBe(201);
    expect((JSON.parse(again.text) as { metadata: { uid: string } }).metadata.uid).not.toBe(lease.uid);
  });

  it('generates a name', async () => {
    const { collection } = await prepare(server(), 'contract');
    const answer = await send('POST', collection, { metadata: { generateName: `${'a'.repeat(60)}-` } });
    expect(answer.status).toBe(201);
    expect((JSON.parse(answer.text) as { metadata: { name: string } }).metadata.name).toMatch(/^a{58}[a-z0-9]{5}$/);
  });

  it('keeps a Lease with finalizers until the last is removed', async () => {
    const lease = await prepare(server(), 'contract', { finalizers: ['example.com/a'] });
    const deleted = await send('DELETE', lease.item);
    expect(normalBody(deleted.text)).toEqual(
      leaseBody('contract', lease.name, preparedSpec, {
        deletionTimestamp: '<time>',
        deletionGracePeriodSeconds: 0,
        finalizers: ['example.com/a'],
      }),
    );
    const again = await send('POST', lease.collection, { metadata: { name: lease.name } });
    expect((JSON.parse(again.text) as { message: string }).message).toBe(
      `object is being deleted: leases.coordination.k8s.io "${lease.name}" already exists`,
    );
    expect((await put(lease, 'x', versionOf(deleted.text))).status).toBe(200);
    expect((await send('GET', lease.item)).status).toBe(404);
  });

  it('records who wrote what, until a client clears it', async () => {
    const lease = await prepare(server(), 'contract');
    const fields = (text: string): unknown =>
      (JSON.parse(text) as { metadata: { managedFields?: { time: string }[] } }).metadata.managedFields?.map(
        ({ time: _time, ...entry }) => entry,
      );
    const entry = { operation: 'Update', apiVersion: 'coordination.k8s.io/v1', fieldsType: 'FieldsV1' };
    const { holderIdentity: _first, ...others } = Object.fromEntries(Object.keys(preparedSpec).map((name) => [`f:${name}`, {}]));
    const changed = await send('PUT', `${lease.item}?fieldManager=me`, {
      metadata: { name: lease.name, resourceVersion: lease.version, labels: { a: 'b' } },
      spec: { ...preparedSpec, holderIdentity: 'second' },
    });
    expect(fields(changed.text)).toEqual([
      { manager: 'contract', ...entry, fieldsV1: { 'f:spec': others } },
      {
        manager: 'me',
        ...entry,
        fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } }, 'f:spec': { 'f:holderIdentity': {} } },
      },
    ]);
    const cleared = await send('PUT', lease.item, {
      metadata: { name: lease.name, resourceVersion: versionOf(changed.text), managedFields: [{}] },
    });
    expect([cleared.status, fields(cleared.text)]).toEqual([200, undefined]);
    const after = await put(lease, 'x', versionOf(cleared.text));
    expect([after.status, fields(after.text)]).toEqual([200, undefined]);
  });
}
