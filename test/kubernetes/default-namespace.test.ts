/** The namespace of a lease if no option names one. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaderElectionModule, type LeaderElectionModuleOptions } from '../../lib/index.js';
import { defaultNamespace, podNamespace } from '../../lib/kubernetes/internal.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { ScriptedServer, answer } from './scripted-server.js';

const folder = new KubeconfigFolder();
const pod = join(folder.path, 'pod');
const nowhere = join(folder.path, 'nowhere');
mkdirSync(pod);
folder.file('pod/namespace', 'of-the-pod\n');

const context = (namespace?: string): object => ({
  contexts: [
    { name: 'a-context', context: { cluster: 'a-cluster', user: 'a-user', namespace } },
    { name: 'other', context: { cluster: 'a-cluster', user: 'a-user', namespace: 'of-other' } },
  ],
});
const kubeconfig = (namespace?: string, server = 'https://api.test'): string =>
  folder.write({ server }, {}, context(namespace));
const withNamespace = kubeconfig('of-the-context');
const withoutNamespace = kubeconfig();

beforeEach(() => {
  vi.stubEnv('POD_NAMESPACE', '');
  vi.stubEnv('KUBECONFIG', '');
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
  vi.stubEnv('HOME', nowhere);
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => {
  folder.remove();
});

describe('the default namespace', () => {
  const explicit = { kubeconfigFile: withNamespace };
  const byAddress = { server: 'https://api.test' };
  it.each<[string, object, NodeJS.ProcessEnv, string, string | undefined]>([
    ['POD_NAMESPACE before all else', explicit, { POD_NAMESPACE: 'named' }, pod, 'named'],
    ['POD_NAMESPACE for an address, too', byAddress, { POD_NAMESPACE: ' named\n' }, nowhere, 'named'],
    ["the pod's own", {}, { KUBECONFIG: withNamespace }, pod, 'of-the-pod'],
    ["the pod's own by address", byAddress, {}, pod, 'of-the-pod'],
    ['that of the current context', {}, { KUBECONFIG: withNamespace }, nowhere, 'of-the-context'],
    ['that of the context of a given file, in a pod, too', explicit, {}, pod, 'of-the-context'],
    ['that of the given context', { ...explicit, context: 'other' }, {}, pod, 'of-other'],
    ["the pod's own when that context has none", { kubeconfigFile: withoutNamespace }, {}, pod, 'of-the-pod'],
    ['none', { kubeconfigFile: withoutNamespace }, {}, nowhere, undefined],
    ['none for an address', byAddress, { KUBECONFIG: withNamespace }, nowhere, undefined],
  ])('is %s', async (_name, source, env, podFolder, expected) => {
    vi.stubEnv('KUBECONFIG', env['KUBECONFIG'] ?? '');
    expect(await defaultNamespace(source, podFolder, env)).toEqual({
      namespace: expected,
      problem: undefined,
    });
  });

  it('is unknown if the kubeconfig cannot be used, whose error is the reason', async () => {
    expect(await defaultNamespace({ kubeconfigFile: nowhere }, nowhere, {})).toMatchObject({
      namespace: undefined,
      problem: { code: 'LEADER_KUBECONFIG_INVALID' },
    });
    expect(await defaultNamespace({}, nowhere, {})).toMatchObject({ problem: { code: 'LEADER_NO_CLUSTER' } });
  });

  it('of a pod comes from POD_NAMESPACE, else from its service account', () => {
    expect(podNamespace(pod, { POD_NAMESPACE: 'named' })).toBe('named');
    expect(podNamespace(pod, { POD_NAMESPACE: '' })).toBe('of-the-pod');
    expect(podNamespace(pod, {})).toBe('of-the-pod');
  });

  it.each(['Not A Namespace', 'a.b', 'x'.repeat(64), '../kube-system'])(
    'POD_NAMESPACE %j is refused',
    (name) => {
      expect(() => podNamespace(pod, { POD_NAMESPACE: name })).toThrow(/POD_NAMESPACE is .*RFC 1123 label/);
    },
  );
});

describe('an election without leaseNamespace', () => {
  const boot = (options: Partial<LeaderElectionModuleOptions>) =>
    Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'billing', preflight: 'off', ...options })],
    }).compile();

  it.each([
    ['that of its kubeconfig', '', 'of-the-context'],
    ['POD_NAMESPACE', 'named', 'named'],
  ])('keeps its lease in %s', async (_name, variable, expected) => {
    vi.stubEnv('POD_NAMESPACE', variable);
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 503, {});
    });
    const module = await boot({ kubernetes: { kubeconfigFile: kubeconfig('of-the-context', server.url) } });
    const app = module.createNestApplication({ logger: false });
    await app.init();
    await server.arrived(1);
    expect(server.requests[0]?.url).toContain(`/namespaces/${expected}/leases`);
    await app.close();
    await server.stop();
  });

  it('is refused with all the places where a namespace was looked for, and the error of the kubeconfig', async () => {
    const refused = (pattern: RegExp): object => ({
      code: 'LEADER_NO_NAMESPACE',
      message: expect.stringMatching(pattern) as string,
    });
    const all = /POD_NAMESPACE.*service account.*context.*Set leaseNamespace/s;
    await expect(boot({ kubernetes: { kubeconfigFile: withoutNamespace } })).rejects.toMatchObject(
      refused(all),
    );
    await expect(boot({})).rejects.toMatchObject(refused(all));
    await expect(boot({ kubernetes: { kubeconfigFile: nowhere } })).rejects.toMatchObject({
      ...refused(/cannot be read \(ENOENT\)/),
      cause: { code: 'LEADER_KUBECONFIG_INVALID' },
    });
    await expect(boot({ kubernetes: { server: 'https://api.test' } })).rejects.toMatchObject(refused(all));
  });

  it('is refused for invalid options first', async () => {
    const kubernetes = { kubeconfigFile: '' };
    await expect(boot({ kubernetes })).rejects.toMatchObject({ code: 'LEADER_INVALID_OPTIONS' });
    vi.stubEnv('POD_NAMESPACE', 'Not A Namespace');
    await expect(boot({})).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringContaining('POD_NAMESPACE is'),
    });
  });
});
