/** Credentials over plain http stay on this machine, and a redirect does not send them elsewhere. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  sourceViolations,
  type KubernetesSource,
} from '../../lib/kubernetes/internal.js';
import { ConnectProxy } from '../kubernetes/connect-proxy.js';
import { KubeconfigFolder } from '../kubernetes/kubeconfig-file.js';
import { address, call, leaseOf } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer } from '../kubernetes/scripted-server.js';
import { canary } from './canary.js';

const folder = new KubeconfigFolder();
const secret = canary('over-http');

beforeEach(() => {
  for (const name of ['HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy']) vi.stubEnv(name, '');
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => {
  folder.remove();
});

const elsewhere = [
  'http://api.test:8080',
  'http://10.0.0.1',
  'http://0.0.0.0:8080',
  'http://localhost.:8080',
  'http://sub.localhost',
  'http://localhost.evil.test',
  'http://127.0.0.1.evil.test',
  'HTTP://API.TEST',
  'http://[::ffff:10.0.0.1]',
  'http://[2001:db8::1]',
  'http://[::2]',
  'http://126.255.255.255',
  'http://128.0.0.1',
  'http://2147483649',
];
const here = [
  'http://localhost:8080',
  'http://LOCALHOST:8080',
  'http://127.0.0.1',
  'http://127.255.0.3:8080',
  'http://127.1',
  'http://2130706433',
  'http://0x7f000001',
  'http://[::1]:8080',
  'http://[0:0:0:0:0:0:0:1]',
  'http://[::ffff:127.0.0.1]',
  'http://127.0.0.1:8001/prefix',
];

describe('a server by address', () => {
  it.each(elsewhere)('%s gets no token', (server) => {
    for (const source of [
      { server, token: secret },
      { server, tokenFile: '/var/run/token' },
    ]) {
      expect(sourceViolations(source)).toEqual([
        expect.stringMatching(/^kubernetes\.server is an http URL of another machine.*token.*https/),
      ]);
      expect(() => new KubernetesConnection(source)).toThrow(/another machine/);
    }
    expect(sourceViolations({ server })).toEqual([]);
  });

  it.each(here)('%s may get one', (server) => {
    expect(sourceViolations({ server, token: secret })).toEqual([]);
  });
});

describe('the server of a kubeconfig', () => {
  const credentials: [string, object][] = [
    ['a token', { token: secret }],
    [
      'a token in a file',
      { 'auth-provider': { name: 'tokenFile', config: { tokenFile: '/var/run/token' } } },
    ],
    ['a plugin', { exec: { command: 'no-such-plugin' } }],
    ['a provider', { 'auth-provider': { name: 'oidc', config: { 'id-token': secret } } }],
    ['a password', { username: 'me', password: secret }],
  ];
  const refused = async (source: KubernetesSource): Promise<void> => {
    const connection = new KubernetesConnection(source);
    const error: unknown = await new KubernetesLeaseLock(connection, address)
      .get(call())
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      maybeCommitted: false,
      message: expect.stringMatching(/plain http.*https/),
    });
    await expect(connection.start()).rejects.toMatchObject({ code: 'LEADER_KUBECONFIG_INVALID' });
  };

  it.each(credentials)('on another machine is not sent %s over http', async (_, user) => {
    await refused({ kubeconfigFile: folder.write({ server: 'http://api.test:8080' }, user) });
  });

  it.each(elsewhere)('%s gets no token', async (server) => {
    await refused({ kubeconfigFile: folder.write({ server }, { token: secret }) });
  });

  it.each(here)('%s may get one', async (server) => {
    const kubeconfigFile = folder.write({ server }, { token: secret });
    await expect(new KubernetesConnection({ kubeconfigFile }).start()).resolves.toBeUndefined();
  });

  it('is not sent the name and password in its URL, and they are not shown', async () => {
    await refused({ kubeconfigFile: folder.write({ server: `http://me:${secret}@api.test` }) });
    await refused({ kubeconfigFile: folder.write({ server: `http://localhost@api.test` }) });
    await refused({ kubeconfigFile: folder.write({ server: `http://127.0.0.1:80@api.test` }) });
  });

  it('on this machine is not sent a token through a proxy on another machine', async () => {
    for (const proxy of ['http://proxy.test:3128', 'socks5://proxy.test:1080']) {
      const cluster = { server: 'http://127.0.0.1:8080', 'proxy-url': proxy };
      await refused({ kubeconfigFile: folder.write(cluster, { token: secret }) });
    }
    const proxy = await ConnectProxy.start();
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 200, leaseOf());
    });
    const cluster = { server: server.url, 'proxy-url': proxy.url };
    const connection = new KubernetesConnection({ kubeconfigFile: folder.write(cluster, { token: secret }) });
    expect(await new KubernetesLeaseLock(connection, address).get(call())).toMatchObject({ uid: 'u1' });
    connection.close();
    await Promise.all([proxy.stop(), server.stop()]);
  });

  it('may be on another machine if there are no credentials to send', async () => {
    const user = { 'client-certificate-data': 'aGVsbG8=', 'client-key-data': 'aGVsbG8=' };
    for (const nothing of [{}, user]) {
      const kubeconfigFile = folder.write({ server: 'http://api.test:8080' }, nothing);
      await expect(new KubernetesConnection({ kubeconfigFile }).start()).resolves.toBeUndefined();
    }
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])(
    '(%i) is not followed, so it carries no token elsewhere',
    async (status) => {
      const other = await ScriptedServer.start((_request, response) => {
        answer(response, 200, leaseOf());
      });
      const server = await ScriptedServer.start((_request, response) => {
        response.writeHead(status, { location: `${other.url}/elsewhere` }).end();
      });
      const connection = new KubernetesConnection({ server: server.url, token: secret });
      const lock = new KubernetesLeaseLock(connection, address);
      await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_SERVER_ERROR' });
      await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject({
        code: 'LEADER_SERVER_ERROR',
      });
      expect(server.requests).toHaveLength(2);
      expect(other.requests).toEqual([]);
      connection.close();
      await Promise.all([server.stop(), other.stop()]);
    },
  );
});
