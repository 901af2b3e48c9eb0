/** A name is always one segment of a path, whatever it contains, so no request is about a different object. */
import { hostname } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isLeaderError, type LeaderError, type LeadershipTerm } from '../../lib/election/index.js';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  LeaseCandidateKeeper,
  attend,
} from '../../lib/kubernetes/internal.js';
import { PodLabels } from '../../lib/kubernetes/pod-labels.js';
import { LEASES, PODS, pathOf } from '../../lib/kubernetes/resources.js';
import { HandClock } from '../kubernetes/hand-clock.js';
import { address, call, leaseOf } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer } from '../kubernetes/scripted-server.js';
import { HandConnection, ok } from './hand-connection.js';

const hostile: [label: string, name: string][] = [
  ["another kind's path", '../pods/x'],
  ['the folder above', '..'],
  ['the folder itself', '.'],
  ['a slash', 'a/b'],
  ['an encoded slash', 'a%2fb'],
  ['encoded dots', '%2e%2e'],
  ['a query', 'a?watch=true'],
  ['a fragment', 'a#b'],
  ['a space', 'a b'],
  ['a backslash', 'a\\b'],
  ['a line break', 'a\r\nHost: x'],
  ['a capital', 'Upper'],
  ['no ASCII', 'é'],
  ['half a character', '\ud800'],
  ['nothing', ''],
  ['one character too many', 'a'.repeat(254)],
  ['a quarter of a megabyte', `${'a'.repeat(50)}.`.repeat(5_000)],
];

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('a Lease', () => {
  it.each(hostile)('whose name or namespace has %s is refused before any request', (_label, name) => {
    for (const unfit of [
      { ...address, name },
      { ...address, namespace: name },
    ])
      expect(() => new KubernetesLeaseLock(new HandConnection(() => undefined), unfit)).toThrow(
        expect.objectContaining({ code: 'LEADER_INVALID_OPTIONS' }),
      );
  });

  it.each([undefined, null, 7, {}, ['x']])('with the name %j is refused, too', (name) => {
    const unfit = { ...address, name: name as never };
    expect(() => new KubernetesLeaseLock(new HandConnection(() => undefined), unfit)).toThrow(
      /leaseName is .*RFC 1123/,
    );
  });

  it('with any other name is requested by that name', async () => {
    const name = `a.b-c.${'0'.repeat(60)}`;
    const connection = new HandConnection(() => ok(leaseOf({}, { name })));
    await new KubernetesLeaseLock(connection, { ...address, name }).get(call());
    expect(connection.requests[0]?.path).toBe(`/apis/coordination.k8s.io/v1/namespaces/ours/leases/${name}`);
  });
});

describe('a path', () => {
  it.each(hostile)('contains a name with %s as one segment, or is refused', (_label, name) => {
    for (const where of [
      { namespace: name, name: 'x' },
      { namespace: 'x', name },
    ]) {
      let path: string;
      try {
        path = pathOf(PODS, 'v1', where);
      } catch (error) {
        expect(isLeaderError(error, 'LEADER_REQUEST_INVALID')).toBe(true);
        continue;
      }
      const segments = new URL(`https://api${path}`).pathname.split('/');
      expect(segments).toHaveLength('/api/v1/namespaces/x/pods/x'.split('/').length);
      expect(segments.map(decodeURIComponent)).toEqual([
        ...['', 'api', 'v1', 'namespaces', where.namespace, 'pods', where.name],
      ]);
    }
  });

  it('without a name is the path of all objects', () => {
    expect(pathOf(LEASES, 'v1', { namespace: 'ours' })).toBe(
      '/apis/coordination.k8s.io/v1/namespaces/ours/leases',
    );
  });
});

describe('a Pod', () => {
  const parts = (leaderPodLabels: Record<string, string>) => ({
    connection: new KubernetesConnection({ server: 'https://127.0.0.1:1' }),
    leaseNamespace: 'ours',
    locks: new Map(),
    events: false,
    leaderPodLabels,
    preflight: 'off' as const,
    retryPeriod: 2_000,
  });

  it.each(hostile.filter(([, name]) => name !== ''))(
    'named in POD_NAME with %s is refused at boot',
    async (_label, name) => {
      vi.stubEnv('POD_NAME', name);
      await expect(attend(parts({ role: 'leader' }))).rejects.toMatchObject({
        code: 'LEADER_INVALID_OPTIONS',
        message: expect.stringMatching(/POD_NAME is [^\r\n]{1,120}: it must be an RFC 1123 subdomain/),
      });
      // Without labels no request needs the name.
      await expect(attend(parts({}))).resolves.toMatchObject({ guard: undefined });
    },
  );

  it.each(['', 'billing-1', 'a.b'])('named %j in POD_NAME is accepted', async (name) => {
    vi.stubEnv('POD_NAME', name);
    await expect(attend(parts({ role: 'leader' }))).resolves.toHaveProperty('guard');
    expect(hostname()).not.toBe('');
  });

  it('named after an invalid host name is requested by exactly that name, or not at all', async () => {
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 404, { reason: 'NotFound', details: { kind: 'pods' } });
    });
    const connection = new KubernetesConnection({ server: server.url });
    for (const [name, path] of [
      ['My Host/../x', '/api/v1/namespaces/ours/pods/My%20Host%2F..%2Fx'],
      ['..', undefined],
    ] as const) {
      const asked = server.requests.length;
      const pod = { name, namespace: 'ours' };
      const clock = new HandClock();
      const labels = new PodLabels({ connection, pod, labels: { a: 'b' }, retryPeriod: 2_000, clock });
      await expect(labels.atStart({} as LeadershipTerm, call().signal)).rejects.toMatchObject({
        code: 'LEADER_POD_LABEL_FAILED',
        cause: { code: 'LEADER_REQUEST_INVALID' },
      });
      expect(server.requests.slice(asked).map(({ url }) => url)).toEqual(path === undefined ? [] : [path]);
      labels.stop();
    }
    connection.close();
    await server.stop();
  });
});

describe('a LeaseCandidate', () => {
  it.each(['../leases/x', '..', 'a/b', 'a?b'])(
    'with the name %j is requested by exactly that name, or not at all',
    async (name) => {
      const server = await ScriptedServer.start(({ url }, response) => {
        if (url.endsWith('/v1')) answer(response, 200, { resources: [{ name: 'leasecandidates' }] });
        else answer(response, 404, { kind: 'Status', reason: 'NotFound', details: { kind: 'leases' } });
      });
      const connection = new KubernetesConnection({ server: server.url });
      const keeper = new LeaseCandidateKeeper({
        connection,
        lock: new KubernetesLeaseLock(connection, address),
        lease: address,
        identity: name,
        spec: { binaryVersion: '1.0.0', emulationVersion: '1.0.0', strategy: 'OldestEmulationVersion' },
        retryPeriod: 2_000,
        longestWithdrawal: 2_000,
        clock: new HandClock(),
      });
      const told = await new Promise<LeaderError>((resolve) => {
        keeper.observe(() => {
          keeper.stand();
          if (keeper.objection !== undefined) resolve(keeper.objection);
        });
      });
      expect(told.code).toMatch(/^LEADER_(REQUEST_INVALID|SERVER_ERROR)$/);
      const [prefix, candidates] = ['/apis/coordination.k8s.io/v1', '/namespaces/ours/leasecandidates/'];
      for (const { url } of server.requests)
        expect([
          prefix,
          `${prefix}/namespaces/ours/leases/billing`,
          prefix + candidates + encodeURIComponent(name),
        ]).toContain(url);
      await keeper.withdraw();
      connection.close();
      await server.stop();
    },
  );
});
