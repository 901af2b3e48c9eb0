/** Faults of watches and connections. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeaseApiServer } from '../../../lib/testing/index.js';
import { LeaseClient, type Watch } from './lease-client.js';

let server: LeaseApiServer;
let client: LeaseClient;
let other: LeaseClient;

beforeEach(async () => {
  server = await LeaseApiServer.start();
  client = new LeaseClient(server.url, 'mine');
  other = new LeaseClient(server.url, 'other');
});

afterEach(async () => {
  client.close();
  other.close();
  await server.stop();
});

function hold(holderIdentity: string): string {
  return server.put({ metadata: { name: 'a' }, spec: { holderIdentity } }).metadata.resourceVersion;
}

async function events(watch: Watch, count: number): Promise<(string | undefined)[]> {
  const seen = [];
  for (let each = 0; each < count; each += 1) seen.push(await watch.next());
  return seen;
}

describe('a stalled watch', () => {
  it('is silent, and sends what it has missed when it goes on', async () => {
    const watch = await client.watch();
    hold('a');
    expect(await watch.next()).toBe('ADDED a');
    const stall = server.faults.stallWatches();
    hold('b');
    // Opening another watch lets every watch proceed. The stalled one must stay silent.
    const later = await other.watch();
    server.delete('a');
    hold('c');
    stall.remove();
    expect(await events(watch, 3)).toEqual(['MODIFIED b', 'DELETED b', 'ADDED c']);
    expect(await events(later, 1)).toEqual(['ADDED c']);
  });

  it('leaves the watches of others alone', async () => {
    server.faults.stallWatches({ token: 'mine' });
    const silent = await client.watch();
    const watch = await other.watch();
    hold('a');
    expect(await watch.next()).toBe('ADDED a');
    server.faults.endWatches({ token: 'mine' });
    expect(await silent.next()).toBeUndefined();
  });
});

describe('open watches', () => {
  it('can be ended', async () => {
    hold('a');
    const watch = await client.watch();
    server.faults.endWatches();
    expect(await events(watch, 2)).toEqual(['ADDED a', undefined]);
  });

  it('can be ended with the error of a version that is too old', async () => {
    const watch = await client.watch();
    const untouched = await other.watch();
    server.faults.expireWatches({ user: 'mine' });
    expect(await events(watch, 2)).toEqual(['ERROR 410', undefined]);
    hold('a');
    expect(await untouched.next()).toBe('ADDED a');
  });

  it('are counted', async () => {
    expect(server.openWatches).toBe(0);
    await client.watch();
    expect(server.openWatches).toBe(1);
    const cut = server.nextRequest(({ verb }) => verb === 'get');
    server.faults.cutConnections();
    await other.get();
    await cut;
    expect(server.openWatches).toBe(0);
  });
});

describe('a bookmark', () => {
  it('comes shortly before the end of a watch that wants it', async () => {
    const version = hold('a');
    const watch = await client.watch(`&resourceVersion=${version}&allowWatchBookmarks=true&timeoutSeconds=2`);
    expect(await watch.next()).toBe('BOOKMARK undefined');
  });
});

describe('connections', () => {
  it('can be cut, all of them', async () => {
    const watch = await client.watch();
    server.faults.cutConnections();
    await expect(watch.next()).rejects.toThrow();
  });

  it('can be cut by user', async () => {
    const watch = await client.watch();
    const untouched = await other.watch();
    server.faults.cutConnections({ user: 'mine' });
    await expect(watch.next()).rejects.toThrow();
    hold('a');
    expect(await untouched.next()).toBe('ADDED a');
  });

  it('end with the server, and so do watches', async () => {
    const watch = await client.watch();
    const ended = expect(watch.next().catch(() => undefined)).resolves.toBeUndefined();
    await server.stop();
    await ended;
    await expect(client.get()).rejects.toThrow();
  });
});

describe('old versions', () => {
  it('are forgotten when the changes since then are large', async () => {
    const version = hold('first');
    for (let each = 0; each < 20; each += 1) hold('x'.repeat(1_000_000) + String(each));
    const late = await other.watch(`&resourceVersion=${version}`);
    expect(await events(late, 2)).toEqual(['ERROR 410', undefined]);
  });

  it('can be made too old, as by a restart', async () => {
    const open = await client.watch();
    const version = hold('a');
    server.faults.expireResourceVersions();
    const late = await other.watch(`&resourceVersion=${version}`);
    expect(await events(late, 2)).toEqual(['ERROR 410', undefined]);
    const next = hold('b');
    const watch = await other.watch(`&resourceVersion=${next}`);
    hold('c');
    expect(await watch.next()).toBe('MODIFIED c');
    expect(await events(open, 3)).toEqual(['ADDED a', 'MODIFIED b', 'MODIFIED c']);
  });
});
