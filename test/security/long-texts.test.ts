/** Options and kubeconfigs of any length are checked in linear time. */
import { afterAll, expect, it } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  sourceViolations,
} from '../../lib/kubernetes/internal.js';
import { environmentProxy } from '../../lib/kubernetes/environment-proxy.js';
import { KubeconfigFolder } from '../kubernetes/kubeconfig-file.js';
import { address, call, leaseOf } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer } from '../kubernetes/scripted-server.js';

const folder = new KubeconfigFolder();
const LENGTH = 300_000;
const run = (text: string): string => text.repeat(LENGTH);

afterAll(() => {
  folder.remove();
});

/** The steps of a regular expression cannot be counted. A quadratic one would take an hour for this text, so the test would hang. */
it('a server URL of many slashes', async () => {
  const server = `http://127.0.0.1:9/${run('/')}x`;
  expect(sourceViolations({ server })).toEqual([]);
  for (const source of [{ server }, { kubeconfigFile: folder.write({ server }) }]) {
    const connection = new KubernetesConnection(source);
    const lock = new KubernetesLeaseLock(connection, address);
    for (let turn = 0; turn < 20; turn += 1)
      await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_UNREACHABLE' });
    connection.close();
  }
});

it('slashes at the end of a server URL are ignored', async () => {
  const server = await ScriptedServer.start((_request, response) => {
    answer(response, 200, leaseOf());
  });
  for (const end of ['', '/', '///', '/prefix//', ' ']) {
    const connection = new KubernetesConnection({ server: server.url + end });
    await new KubernetesLeaseLock(connection, address).get(call());
    connection.close();
  }
  const rest = '/apis/coordination.k8s.io/v1/namespaces/ours/leases/billing';
  expect(server.requests.map(({ url }) => url)).toEqual([rest, rest, rest, `/prefix${rest}`, rest]);
  await server.stop();
});

it('options of every kind', () => {
  const texts = [
    run('a'),
    run('/'),
    run('.'),
    run('-'),
    run(' '),
    run('-----BEGIN CERTIFICATE-----'),
    run('eyJ.'),
    run(': '),
  ];
  for (const text of texts) {
    expect(sourceViolations({ kubeconfigFile: text, context: text })).toHaveLength(2);
    expect(sourceViolations({ server: text, tokenFile: text, certificateAuthority: text })).toHaveLength(3);
  }
});

it('entries of NO_PROXY', () => {
  const url = new URL('https://api.test');
  for (const entry of [run('1/'), run('['), run(':1'), run('.'), run(',')]) {
    const env = { HTTPS_PROXY: 'http://proxy.test', NO_PROXY: entry };
    expect(environmentProxy(url, env)).toBe('http://proxy.test');
  }
});
