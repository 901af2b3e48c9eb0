/** What is released when the process exits, and by which route. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ElectionEvent, LeadershipTerm, LeaseUpdate } from '../../../lib/election/index.js';
import { routeTo, type Access } from '../../../lib/kubernetes/access.js';
import { ReleaseAtExit } from '../../../lib/kubernetes/exit/release-at-exit.js';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  type ApiConnection,
} from '../../../lib/kubernetes/index.js';
import { address, leaseOf, record } from '../lease-fixtures.js';

const found = vi.hoisted(() => ({ lookup: vi.fn<(host: string) => Promise<object[]>>() }));
vi.mock('node:dns/promises', () => found);

const ADDRESSES = [{ address: '10.0.0.1', family: 4 }];
const started: ElectionEvent = { type: 'startedLeading', term: {} as LeadershipTerm };
const running: ReleaseAtExit[] = [];

afterEach(() => {
  found.lookup.mockReset();
  for (const each of running.splice(0)) each.stop();
});

/** An election that leads, with this access. */
async function leading(access: Access | undefined, lock?: LeaseUpdate['lock']) {
  const lease = lock ?? new KubernetesLeaseLock({} as ApiConnection, address);
  const base = { record, resourceVersion: '7', uid: 'u1', carried: leaseOf() };
  const endAtExit = vi.fn(() => [{ lock: lease, base, record: { ...record, holderIdentity: '' } }]);
  const release = new ReleaseAtExit({ endAtExit }, { lastAccess: access } as KubernetesConnection);
  running.push(release);
  release.start();
  release.onEvent(started);
  await Promise.resolve();
  await Promise.resolve();
  return { release, endAtExit };
}

async function accessTo(server: string, proxy?: string): Promise<Access> {
  const route = await routeTo(new URL(server), proxy === undefined ? undefined : new URL(proxy), {});
  return { server, route, headers: {} };
}

describe('a release at the exit', () => {
  it('names the Lease, its new content, and the holder that it must still have', async () => {
    const access = await accessTo('https://127.0.0.1:6443');
    const { release } = await leading(access);
    const { holderIdentity, acquireTime } = record;
    expect(release.end()).toMatchObject({
      access,
      addresses: [],
      updates: [
        {
          path: '/apis/coordination.k8s.io/v1/namespaces/ours/leases/billing',
          body: { metadata: { uid: 'u1', resourceVersion: '7' }, spec: { holderIdentity: '' } },
          holder: { holderIdentity, acquireTime },
        },
      ],
    });
    expect(found.lookup).not.toHaveBeenCalled();
  });

  it.each([
    ['the server', undefined, 'api.test'],
    ['the proxy', 'http://proxy.test:3128', 'proxy.test'],
  ])('goes to the address that %s had when the term began', async (_, proxy, host) => {
    found.lookup.mockResolvedValue(ADDRESSES);
    const { release } = await leading(await accessTo('https://api.test', proxy));
    expect(found.lookup.mock.calls).toEqual([[host, { all: true }]]);
    expect(release.end()).toMatchObject({ addresses: ADDRESSES });
  });

  it.each<[string, () => Promise<Access | undefined>]>([
    ['before any request', () => Promise.resolve(undefined)],
    ['to a host whose address is not known', () => accessTo('https://api.test')],
    ['through SOCKS', () => accessTo('https://127.0.0.1', 'socks5://127.0.0.1:1080')],
  ])('is not sent %s, but the term ends', async (_, access) => {
    found.lookup.mockRejectedValue(new Error('not found'));
    const { release, endAtExit } = await leading(await access());
    expect(release.end()).toBeUndefined();
    expect(endAtExit).toHaveBeenCalledOnce();
  });

  it('is not sent for a lock of another kind, but the term ends', async () => {
    const other = { describe: () => 'other' } as LeaseUpdate['lock'];
    const { release, endAtExit } = await leading(await accessTo('https://127.0.0.1'), other);
    expect(release.end()).toBeUndefined();
    expect(endAtExit).toHaveBeenCalledOnce();
  });

  it('needs one listener for all elections, and none when they have ended', async () => {
    const before = process.listenerCount('exit');
    const access = await accessTo('https://127.0.0.1');
    await Promise.all([leading(access), leading(access), leading(access)]);
    expect(process.listenerCount('exit')).toBe(before + 1);
    for (const each of running.splice(0)) each.stop();
    expect(process.listenerCount('exit')).toBe(before);
  });
});

describe('the access that was used last', () => {
  it('is known from the first request on', async () => {
    const connection = new KubernetesConnection({ server: 'http://127.0.0.1:1', token: 'secret' });
    expect(connection.lastAccess).toBeUndefined();
    await connection.start();
    expect(connection.lastAccess).toMatchObject({
      server: 'http://127.0.0.1:1',
      headers: { Authorization: 'Bearer secret' },
    });
    connection.close();
  });
});
