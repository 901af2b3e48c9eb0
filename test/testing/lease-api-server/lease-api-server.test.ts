/** The parts of a server that a test uses: address, kubeconfig, Leases, log. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig, CoordinationV1Api } from '@kubernetes/client-node';
import { afterEach, describe, expect, it } from 'vitest';
import { LeaseApiServer, type LeaseApiServerOptions } from '../../../lib/testing/index.js';
import { LeaseClient } from './lease-client.js';
import { selfSigned } from './self-signed.js';

const servers: LeaseApiServer[] = [];

async function start(options?: LeaseApiServerOptions): Promise<LeaseApiServer> {
  const server = await LeaseApiServer.start(options);
  servers.push(server);
  return server;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function clientOf(kubeconfig: string): CoordinationV1Api {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  return config.makeApiClient(CoordinationV1Api);
}

describe('the kubeconfig', () => {
  it('works with the Kubernetes client', async () => {
    const server = await start({ tokens: { secret: 'alice' } });
    server.put({ metadata: { name: 'a' }, spec: { holderIdentity: 'me' } });
    const api = clientOf(server.kubeconfig({ token: 'secret', namespace: 'mine' }));
    const lease = await api.readNamespacedLease({ name: 'a', namespace: 'default' });
    expect(lease.spec?.holderIdentity).toBe('me');
    expect(server.requests.at(-1)).toEqual({
      method: 'GET',
      path: '/apis/coordination.k8s.io/v1/namespaces/default/leases/a',
      verb: 'get',
      namespace: 'default',
      name: 'a',
      user: 'alice',
      status: 200,
    });
    await expect(
      clientOf(server.kubeconfig()).readNamespacedLease({ name: 'a', namespace: 'default' }),
    ).rejects.toMatchObject({ code: 403 });
  });

  it('contains the certificate authority', async () => {
    const server = await start({ tls: selfSigned('127.0.0.1') });
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const api = clientOf(server.kubeconfig({ token: 'anybody' }));
    expect((await api.listNamespacedLease({ namespace: 'default' })).items).toEqual([]);
    expect(server.requests.at(-1)?.user).toBe('anybody');
  });

  it('names an anonymous user over TLS, because kubectl would ask for a user name', async () => {
    const server = await start({ tls: selfSigned('127.0.0.1'), tokens: { secret: 'alice' } });
    const { users } = JSON.parse(server.kubeconfig()) as { users: { user: Record<string, string> }[] };
    expect(users[0]?.user['username']).toBeTruthy();
    await expect(
      clientOf(server.kubeconfig()).readNamespacedLease({ name: 'a', namespace: 'default' }),
    ).rejects.toMatchObject({ code: 403 });
    expect(server.requests.at(-1)?.user).toBe('system:anonymous');
    await clientOf(server.kubeconfig({ token: 'secret' })).listNamespacedLease({ namespace: 'default' });
    expect(server.requests.at(-1)?.user).toBe('alice');
  });

  it('can be written to a file that only its owner can read', async () => {
    const server = await start();
    const folder = await mkdtemp(join(tmpdir(), 'lease-api-server-'));
    const path = await server.writeKubeconfig(join(folder, 'config'), { token: 'a' });
    expect(await readFile(path, 'utf8')).toBe(server.kubeconfig({ token: 'a' }));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await rm(folder, { recursive: true });
  });
});

describe('the Leases', () => {
  it('can be read, put and deleted from the test', async () => {
    const server = await start({ namespaces: ['default'] });
    const made = server.put({ metadata: { name: 'b' }, spec: { holderIdentity: 'x' } });
    server.put({ metadata: { name: 'a', labels: { l: 'v' } } });
    const changed = server.put({ metadata: { name: 'b' }, spec: { holderIdentity: 'y' } });
    expect(changed.metadata.uid).toBe(made.metadata.uid);
    expect(server.leases.map(({ metadata, spec }) => [metadata.name, metadata.labels, spec])).toEqual([
      ['a', { l: 'v' }, {}],
      ['b', undefined, { holderIdentity: 'y' }],
    ]);
    expect([server.delete('b'), server.delete('b')]).toEqual([true, false]);
    expect(() => server.put({ metadata: { name: 'Not valid' } })).toThrow(/must consist of/);
    expect(server.leases).toHaveLength(1);
  });
});

describe('the log', () => {
  it('resolves nextRequest() on arrival and on the answer', async () => {
    const server = await start();
    const client = new LeaseClient(server.url, 'me');
    const arrival = server.nextRequest();
    const answered = server.nextRequest(({ status }) => status === 201);
    await client.make('x');
    expect(await arrival).toMatchObject({ verb: 'update', user: 'me', name: 'a' });
    expect(await answered).toMatchObject({ method: 'PUT', status: 201 });
    client.close();
  });

  it('keeps the latest thousand', async () => {
    const server = await start();
    const client = new LeaseClient(server.url);
    for (let each = 0; each < 1_001; each += 1) await client.get(`lease-${String(each)}`);
    expect([server.requests.length, server.requests[0]?.name]).toEqual([1_000, 'lease-1']);
    client.close();
  });
});

describe('a server', () => {
  it('stops once, and frees its port', async () => {
    const server = await start();
    const port = Number(new URL(server.url).port);
    await server.stop();
    await server.stop();
    const again = await start({ port });
    expect(Number(new URL(again.url).port)).toBe(port);
    await expect(start({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each(['//', '*', '/apis/coordination.k8s.io/v1/namespaces/default/leases/%zz', 'http://[/', '/?%'])(
    'survives a request for %s',
    async (path) => {
      const server = await start();
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      let text = '';
      for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString('utf8');
      expect(text).toMatch(/^HTTP\/1\.1 40[04] /);
    },
  );

  it('applies a fault to an unknown token', async () => {
    const server = await start({ tokens: { good: 'alice' } });
    const client = new LeaseClient(server.url, 'bad');
    expect((await client.get()).status).toBe(401);
    server.faults.add({ when: { token: 'bad' }, do: { answer: 503 } });
    expect((await client.get()).status).toBe(503);
    client.close();
  });

  it('ends a watch whose client does not read', async () => {
    const server = await start();
    const client = new LeaseClient(server.url);
    const holder = 'x'.repeat(200_000);
    const watch = await client.watch();
    for (let each = 0; each < 100; each += 1) {
      server.put({ metadata: { name: 'a' }, spec: { holderIdentity: holder + String(each) } });
    }
    let told = 0;
    while ((await watch.next()) !== undefined) told += 1;
    expect(told).toBeLessThan(100);
    client.close();
  });
});
