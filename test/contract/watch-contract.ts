/** Watches: their events, the order and the versions of these, and their end. */
import { expect, it } from 'vitest';
import type { WatchLine, WatchReader } from './api-connection.js';
import type { ContractServer } from './contract-server.js';
import { unusedName } from './lease-names.js';
import { normalBody, normalise } from './normal-form.js';
import { BAD_REQUEST, GROUP_PATH, failureBody, invalidOptionsBody, leaseBody } from './row.js';

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

/** An event in short: its type and its holder. */
function brief(line: WatchLine | undefined): string | undefined {
  if (line === undefined) return undefined;
  return `${line.type} ${String((line.object['spec'] as { holderIdentity?: string }).holderIdentity)}`;
}

function versionOf(text: string): string {
  return (JSON.parse(text) as { metadata: Metadata }).metadata.resourceVersion;
}

/** One Lease, and the functions that write and watch it. */
class Subject {
  readonly #server: ContractServer;
  readonly name: string;

  constructor(server: ContractServer, name: string) {
    this.#server = server;
    this.name = name;
  }

  /** Creates or replaces the Lease. Returns the new version. */
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

  it.each(['', '&resourceVersion=0'])(
    'begins with the Leases that exist, then sends changes: %s',
    async (query) => {
      const lease = subject();
      const first = await lease.write('a');
      const watch = await lease.watch(query);
      expect({
        status: watch.status,
        type: watch.headers['content-type'],
        encoding: watch.headers['transfer-encoding'],
      }).toEqual({
        status: 200,
        type: 'application/json',
        encoding: 'chunked',
      });
      const added = await watch.next();
      expect(normalise(added?.object, undefined)).toEqual(
        leaseBody(NAMESPACE, lease.name, { holderIdentity: 'a' }),
      );
      expect([brief(added), metadataOf(added).resourceVersion]).toEqual(['ADDED a', first]);
      const second = await lease.write('b');
      const modified = await watch.next();
      expect([brief(modified), metadataOf(modified).resourceVersion]).toEqual(['MODIFIED b', second]);
      watch.close();
    },
  );

  it('sends only the changes after the version it begins with', async () => {
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

  it('sends a deletion with the last state and a version of its own, before the next creation', async () => {
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

  it('sends no event for a write that changes nothing', async () => {
    const lease = subject();
    const first = await lease.write('a');
    const watch = await lease.watch(`&resourceVersion=${first}`);
    expect(await lease.write('a')).toBe(first);
    await lease.write('b');
    expect(brief(await watch.next())).toBe('MODIFIED b');
    watch.close();
  });

  it('sends DELETED when a Lease leaves the label selector, and ADDED when it returns', async () => {
    const lease = subject();
    const first = await lease.write('a', { in: 'yes' });
    const watch = await lease.watch(`&labelSelector=in%3Dyes&resourceVersion=${first}`);
    const second = await lease.write('b');
    await lease.write('c', { in: 'yes' });
    await lease.write('d', { in: 'yes' });
    const left = await watch.next();
    expect([brief(left), metadataOf(left)]).toMatchObject([
      'DELETED a',
      { labels: { in: 'yes' }, resourceVersion: second },
    ]);
    expect([brief(await watch.next()), brief(await watch.next())]).toEqual(['ADDED c', 'MODIFIED d']);
    watch.close();
  });

  it('sends no event up to a future version', async () => {
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

  it('ends without an event at its time-out', async () => {
    const lease = subject();
    await lease.write('a');
    const watch = await lease.watch('&timeoutSeconds=1');
    expect((await watch.rest()).map(brief)).toEqual(['ADDED a']);
  });

  it('sends an ERROR event for a version that is too old, such as one from before a restart', async () => {
    const lease = subject();
    const first = await lease.write('a');
    await lease.write('b');
    await server().restart();
    const watch = await lease.watch(`&resourceVersion=${first}`);
    expect(watch.status).toBe(200);
    const events = await watch.rest();
    const shown = events.map((event) => normalise(event, undefined));
    expect(shown).toEqual([{ type: 'ERROR', object: failureBody(410, 'Expired') }]);
  });

  it.each([
    '&allowWatchBookmarks=true',
    '&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
  ])('sends the initial events and their end: %s', async (query) => {
    const lease = subject();
    await lease.write('a');
    const watch = await lease.watch(query);
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

  it.each<[query: string, status: number, body: object]>([
    ['&resourceVersion=abc', 500, failureBody(500, undefined)],
    ['&labelSelector=a%20b', 400, BAD_REQUEST],
    [
      '&sendInitialEvents=true',
      422,
      invalidOptionsBody('ListOptions', { reason: 'FieldValueForbidden', field: 'resourceVersionMatch' }),
    ],
  ])('answers %s with a Status and no watch', async (query, status, body) => {
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
