/** Finding and reading the configuration, and the errors if there is none that can be used. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  isInCluster,
  podNamespace,
} from '../../lib/kubernetes/internal.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { address, call, leaseOf } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';

const folder = new KubeconfigFolder();

beforeEach(() => {
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
  vi.stubEnv('KUBECONFIG', '');
  vi.stubEnv('HOME', join(folder.path, 'nobody'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => {
  folder.remove();
});

describe('without a cluster', () => {
  it('the error says what was looked for, and how to run without a cluster', async () => {
    await expect(new KubernetesConnection().start()).rejects.toMatchObject({
      code: 'LEADER_NO_CLUSTER',
      maybeCommitted: false,
      message: expect.stringMatching(
        /KUBERNETES_SERVICE_HOST.*KUBECONFIG.*\.kube\/config.*enabled: false.*npx nestjs-leader serve/s,
      ),
    });
  });

  it('a connection can be created', () => {
    expect(new KubernetesConnection({ kubeconfigFile: '/nowhere' })).toBeInstanceOf(KubernetesConnection);
  });
});

describe('a kubeconfig is refused', () => {
  const server = { server: 'http://api.test' };
  const rows: [string, () => { kubeconfigFile: string; context?: string }, RegExp][] = [
    ['is missing', () => ({ kubeconfigFile: join(folder.path, 'none') }), /none cannot be read \(ENOENT\)/],
    ['is a folder', () => ({ kubeconfigFile: folder.path }), /cannot be read \(EISDIR\)/],
    ['is not YAML', () => ({ kubeconfigFile: folder.file('yaml', 'a: [do-not-tell') }), /is not valid/],
    ['is empty', () => ({ kubeconfigFile: folder.file('empty', '') }), /is not valid/],
    ['has no server', () => ({ kubeconfigFile: folder.write({}) }), /is not valid/],
    [
      'has a server that is not a URL',
      () => ({ kubeconfigFile: folder.write({ server: 'api.test:6443' }) }),
      /'api\.test:6443'/,
    ],
    [
      'lacks the context',
      () => ({ kubeconfigFile: folder.write(server), context: 'other' }),
      /'other'.*a-context/,
    ],
    [
      'lacks the cluster',
      () => ({ kubeconfigFile: folder.write(server, {}, { clusters: [] }) }),
      /no cluster/,
    ],
    ['lacks the user', () => ({ kubeconfigFile: folder.write(server, {}, { users: [] }) }), /no user/],
  ];

  it.each(rows)('because it %s', async (_name, source, message) => {
    const error: unknown = await new KubernetesConnection(source())
      .start()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'LEADER_KUBECONFIG_INVALID', maybeCommitted: false });
    expect((error as Error).message).toMatch(message);
    expect(`${(error as Error).message}${String((error as Error).cause)}`).not.toContain('do-not-tell');
  });

  it('and read again by the next request', async () => {
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 200, leaseOf());
    });
    const connection = new KubernetesConnection({ kubeconfigFile: join(folder.path, 'later') });
    const lock = new KubernetesLeaseLock(connection, address);
    await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_KUBECONFIG_INVALID' });
    folder.file(
      'later',
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: server.url } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    connection.close();
    await server.stop();
  });
});

describe('a pod', () => {
  const both = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };

  it('is recognised by both variables and both files', () => {
    expect(isInCluster(both, folder.path)).toBe(false);
    folder.file('token', 't');
    expect(isInCluster(both, folder.path)).toBe(false);
    folder.file('ca.crt', 'c');
    expect(isInCluster(both, folder.path)).toBe(true);
    expect(isInCluster({ ...both, KUBERNETES_SERVICE_PORT: '' }, folder.path)).toBe(false);
    expect(isInCluster({}, folder.path)).toBe(false);
  });

  it('knows its namespace', () => {
    expect(podNamespace(join(folder.path, 'nobody'))).toBeUndefined();
    folder.file('namespace', 'ours\n');
    expect(podNamespace(folder.path)).toBe('ours');
    folder.file('namespace', '');
    expect(podNamespace(folder.path)).toBeUndefined();
  });
});
