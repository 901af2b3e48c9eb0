/** What the thread sends that releases leases when a process exits. Here the thread that starts it goes on, and is the server. */
import { once } from 'node:events';
import type https from 'node:https';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  systemClock,
  type LeaseRecord,
  type MicroTime,
  type MonotonicMs,
} from '../../../lib/election/internal.js';
import { routeTo, type Access } from '../../../lib/kubernetes/access.js';
import { sendAtExit, startSending, type LastUpdates } from '../../../lib/kubernetes/exit/send-at-exit.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../../lib/kubernetes/index.js';
import { LeaseApiServer } from '../../../lib/testing/index.js';
import { ConnectProxy } from '../connect-proxy.js';
import { call, leaseOf, record } from '../lease-fixtures.js';
import { TestAuthority } from '../test-authority.js';

const BUILT = fileURLToPath(new URL('../../../build/lib/kubernetes/exit/send-at-exit.js', import.meta.url));
const authority = TestAuthority.make();
const disposers: (() => unknown)[] = [];

afterEach(async () => {
  for (const dispose of disposers.splice(0)) await dispose();
});

async function serverOf(tls?: https.ServerOptions & { key: string; cert: string }): Promise<LeaseApiServer> {
  const server = await LeaseApiServer.start({ tls, tokens: { secret: 'me' } });
  disposers.push(() => server.stop());
  return server;
}

/** The lock of one Lease, which `me` holds. */
async function held(server: LeaseApiServer, name = 'billing', ca?: string) {
  const connection = new KubernetesConnection({
    server: server.url,
    token: 'secret',
    certificateAuthority: ca,
  });
  disposers.push(() => {
    connection.close();
  });
  const lock = new KubernetesLeaseLock(connection, { name, namespace: 'ours', labels: {} });
  const outcome = await lock.create(record, call());
  if (outcome.kind === 'conflict') throw new Error('the Lease exists');
  return { lock, base: outcome.snapshot };
}

type Held = Awaited<ReturnType<typeof held>>;

const released: LeaseRecord = { ...record, holderIdentity: '', leaseDurationSeconds: 1 };

function updateOf({ lock, base }: Held): LastUpdates['updates'][number] {
  const { holderIdentity, acquireTime } = record;
  return { ...lock.requestToUpdate(base, released), holder: { holderIdentity, acquireTime } };
}

async function accessTo(server: string, tls: object = {}, proxy?: string): Promise<Access> {
  const route = await routeTo(new URL(server), proxy === undefined ? undefined : new URL(proxy), tls);
  return { server, route, headers: { Authorization: 'Bearer secret' } };
}

/** Sends, and resolves when the thread has ended. */
async function send(all: LastUpdates | LastUpdates[], start = startSending): Promise<void> {
  const done = new Int32Array(new SharedArrayBuffer(4));
  await once(start([all].flat(), done), 'exit');
  expect(done[0]).toBe(1);
}

/** This thread trusts this authority by default. Node has `getCACertificates` since 22.15. */
function trusting(ca: string, kind = 'system'): void {
  const { getCACertificates } = tls as { getCACertificates?: unknown };
  disposers.push(() => Object.assign(tls, { getCACertificates }));
  Object.assign(tls, {
    getCACertificates: (type = 'default') => (type === 'default' || type === kind ? [ca] : []),
  });
}

const holders = (server: LeaseApiServer): unknown[] => server.leases.map(({ spec }) => spec.holderIdentity);

describe('a release at the exit', () => {
  it('is sent over plain http', async () => {
    const server = await serverOf();
    const updates = [updateOf(await held(server))];
    await send({ access: await accessTo(server.url), addresses: [], updates });
    expect(holders(server)).toEqual(['']);
  });

  it('is sent for every lease, by every access', async () => {
    const servers = await Promise.all([serverOf(), serverOf()]);
    const all = servers.map(async (server) => {
      const names = Array.from({ length: 20 }, (_, index) => `lease-${String(index)}`);
      const updates = (await Promise.all(names.map((name) => held(server, name)))).map(updateOf);
      return { access: await accessTo(server.url), addresses: [], updates };
    });
    await send(await Promise.all(all));
    expect(servers.flatMap(holders)).toEqual(Array.from({ length: 40 }, () => ''));
  });

  it('is sent again after a conflict with a renewal of the same claim', async () => {
    const server = await serverOf();
    const lease = await held(server);
    const renewTime = '2026-01-01T00:00:05.000000Z' as MicroTime;
    await lease.lock.update(lease.base, { ...record, renewTime }, call());
    await send({ access: await accessTo(server.url), addresses: [], updates: [updateOf(lease)] });
    expect(server.leases).toMatchObject([{ spec: { ...released } }]);
  });

  it.each([
    ['another holder', { holderIdentity: 'another' }],
    ['a later claim of its name', { acquireTime: '2026-01-01T00:00:09.000000Z' as MicroTime }],
    ['nobody', { holderIdentity: '' }],
  ])('leaves a Lease alone that shows %s', async (_, change) => {
    const server = await serverOf();
    const lease = await held(server);
    await lease.lock.update(lease.base, { ...record, ...change }, call());
    await send({ access: await accessTo(server.url), addresses: [], updates: [updateOf(lease)] });
    expect(server.leases).toMatchObject([{ spec: { ...record, ...change } }]);
  });

  /** As coverage tools do, and bundlers that keep names or write older JavaScript. */
  const calling = {
    name: 'a call in every function',
    transform: (code: string) =>
      `const called = () => (globalThis.calledBy = 1);\n${code.replaceAll(/function \w+\(.*\) \{\n/g, '$&called();\n')}`,
  };

  it.each([
    ['minified', { output: { minify: true } }],
    ['minified, with the names kept', { output: { minify: true, keepNames: true } }],
    ['changed, so that it calls functions of the bundle', { plugins: [calling] }],
  ])('is sent by code that a bundler has %s', async (_, options) => {
    const bundled = await build({ input: BUILT, platform: 'node', write: false, ...options });
    const url = `data:text/javascript,${encodeURIComponent(bundled.output[0].code)}`;
    const { startSending: start } = (await import(/* @vite-ignore */ url)) as {
      startSending: typeof startSending;
    };
    const server = await serverOf();
    const updates = [updateOf(await held(server))];
    await send({ access: await accessTo(server.url), addresses: [], updates }, start);
    expect(holders(server)).toEqual(['']);
  });

  it('uses the addresses that were looked up before, and looks nothing up', async () => {
    const server = await serverOf();
    const updates = [updateOf(await held(server))];
    const named = server.url.replace('127.0.0.1', 'localhost');
    await send({ access: await accessTo(named), addresses: [], updates });
    expect(holders(server)).toEqual(['me']);
    const addresses = [{ address: '127.0.0.1', family: 4 }];
    await send({ access: await accessTo(named), addresses, updates });
    expect(holders(server)).toEqual(['']);
  });

  it('ends when the server cannot be reached, or answers something else', async () => {
    const server = await serverOf();
    const updates = [updateOf(await held(server))];
    const refusing = { ...(await accessTo(server.url)), headers: {} };
    await send({ access: refusing, addresses: [], updates });
    await send({ access: await accessTo('http://127.0.0.1:1'), addresses: [], updates });
    expect(holders(server)).toEqual(['me']);
  });
});

describe('the wait for the answers', () => {
  it.each([
    ['at once', 0, 450],
    ['when terms took long to end', 400, 50],
    ['when they took longer than that', 10_000, 0],
  ])('ends soon enough to end the thread within half a second: %s', async (_, elapsedMs, longestMs) => {
    const server = await serverOf();
    const updates = [updateOf(await held(server))];
    const wait = vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
    const since = (systemClock.now() - elapsedMs) as MonotonicMs;
    sendAtExit([{ access: await accessTo(server.url), addresses: [], updates }], since);
    const [, , , waitMs] = wait.mock.lastCall ?? [];
    wait.mockRestore();
    expect(waitMs).toBeGreaterThanOrEqual(0);
    expect(waitMs).toBeLessThanOrEqual(longestMs);
  });
});

describe.runIf(authority !== undefined)('a release at the exit over TLS', () => {
  const issue = (...names: string[]) => (authority as TestAuthority).issue('api', ...names);
  const ca = authority?.ca ?? '';

  it('trusts the authority of the connection, and no other', async () => {
    const server = await serverOf(issue('IP:127.0.0.1'));
    const updates = [updateOf(await held(server, 'billing', ca))];
    await send({ access: await accessTo(server.url, { rejectUnauthorized: true }), addresses: [], updates });
    expect(holders(server)).toEqual(['me']);
    await send({
      access: await accessTo(server.url, { ca, rejectUnauthorized: true }),
      addresses: [],
      updates,
    });
    expect(holders(server)).toEqual(['']);
  });

  it.each([
    ['is told of authorities that only this thread trusts', 'system', ''],
    ['is not told of those that every thread trusts, and uses its own', 'extra', 'me'],
  ])('%s, if the connection names none', async (_, kind, holder) => {
    const server = await serverOf(issue('IP:127.0.0.1'));
    const updates = [updateOf(await held(server, 'billing', ca))];
    trusting(ca, kind);
    await send({ access: await accessTo(server.url, { rejectUnauthorized: true }), addresses: [], updates });
    expect(holders(server)).toEqual([holder]);
  });

  it('keeps to the versions of TLS that this process has set', async () => {
    const server = await serverOf({ ...issue('IP:127.0.0.1'), maxVersion: 'TLSv1.2' });
    const updates = [updateOf(await held(server, 'billing', ca))];
    const { DEFAULT_MIN_VERSION } = tls;
    disposers.push(() => (tls.DEFAULT_MIN_VERSION = DEFAULT_MIN_VERSION));
    tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
    const access = await accessTo(server.url, { ca, rejectUnauthorized: true });
    await send({ access, addresses: [], updates });
    expect(holders(server)).toEqual(['me']);
  });

  it('shows the client certificate', async () => {
    const mutual = { requestCert: true, rejectUnauthorized: true, ca };
    const server = await serverOf({ ...issue('IP:127.0.0.1'), ...mutual });
    const { lock } = await held(await serverOf());
    const unseen = { record, resourceVersion: '1', uid: 'u', carried: leaseOf() };
    const request = lock.requestToUpdate(unseen, released);
    const holder = { holderIdentity: 'me', acquireTime: undefined };
    const access = await accessTo(server.url, { ca, rejectUnauthorized: true, ...issue() });
    await send({ access, addresses: [], updates: [{ ...request, holder }] });
    expect(server.requests[0]).toMatchObject({ method: 'PUT' });
  });

  it.each([
    ['http', '', 200],
    ['http', 'user:pass', 200],
    ['http', '', 204],
    ['https', 'user:pass', 200],
  ])('goes through an %s proxy (user %o) that answers %i', async (scheme, user, status) => {
    const server = await serverOf(issue('IP:127.0.0.1'));
    const updates = [updateOf(await held(server, 'billing', ca))];
    trusting(ca);
    const secure = scheme === 'https' && { tls: issue('IP:127.0.0.1') };
    const proxy = await ConnectProxy.start('tunnel', { status, ...secure });
    disposers.push(() => proxy.stop());
    const access = await accessTo(server.url, { ca, rejectUnauthorized: true }, proxy.urlFor(user));
    await send({ access, addresses: [], updates });
    expect(holders(server)).toEqual(['']);
    expect(proxy.targets).toEqual([new URL(server.url).host]);
    const expected = user === '' ? undefined : `Basic ${Buffer.from(user).toString('base64')}`;
    expect(proxy.headers[0]?.['proxy-authorization']).toBe(expected);
  });

  it('to a plain http server goes through a proxy, too', async () => {
    const server = await serverOf();
    const updates = [updateOf(await held(server))];
    const proxy = await ConnectProxy.start();
    disposers.push(() => proxy.stop());
    await send({ access: await accessTo(server.url, {}, proxy.url), addresses: [], updates });
    expect(holders(server)).toEqual(['']);
    expect(proxy.targets).toEqual([new URL(server.url).host]);
  });

  it('ends when the proxy refuses', async () => {
    const server = await serverOf(issue('IP:127.0.0.1'));
    const updates = [updateOf(await held(server, 'billing', ca))];
    const proxy = await ConnectProxy.start('refuse');
    disposers.push(() => proxy.stop());
    const access = await accessTo(server.url, { ca, rejectUnauthorized: true }, proxy.url);
    await send({ access, addresses: [], updates });
    expect(holders(server)).toEqual(['me']);
  });
});
