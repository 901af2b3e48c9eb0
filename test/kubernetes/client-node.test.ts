/** `@kubernetes/client-node`: when it is loaded, and the error if it cannot be. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type * as Kubernetes from '../../lib/kubernetes/index.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { address, call } from './lease-fixtures.js';
import { ScriptedServer } from './scripted-server.js';

let imports = 0;
let kubernetes: typeof Kubernetes;

beforeEach(async () => {
  imports = 0;
  vi.resetModules();
  vi.doMock('@kubernetes/client-node', () => {
    imports += 1;
    throw new Error('planted\nwith a second line');
  });
  kubernetes = await import('../../lib/kubernetes/index.js');
});
afterEach(() => {
  vi.doUnmock('@kubernetes/client-node');
});

it('client-node that cannot be loaded is an error, and is not loaded a second time: that would end the process on Node 20', async () => {
  const folder = new KubeconfigFolder();
  const connection = new kubernetes.KubernetesConnection({
    kubeconfigFile: folder.write({ server: 'http://api.test' }),
  });
  for (let attempt = 0; attempt < 3; attempt++) {
    await expect(connection.start()).rejects.toMatchObject({
      code: 'LEADER_CLIENT_UNUSABLE',
      message: expect.stringMatching(/cannot be loaded by Node v\d.*npm i @kubernetes\/client-node/s),
    });
  }
  expect(imports).toBe(1);
  folder.remove();
});

it('client-node is not needed for an address and a token', async () => {
  const server = await ScriptedServer.start((_, response) => {
    response.writeHead(401).end();
  });
  const connection = new kubernetes.KubernetesConnection({ server: server.url, token: 'secret\n' });
  await connection.start();
  const lock = new kubernetes.KubernetesLeaseLock(connection, address);
  await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_UNAUTHORIZED' });
  expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer secret');
  expect(imports).toBe(0);
  connection.close();
  await server.stop();
});

it('an invalid address is refused by the constructor', () => {
  expect(() => new kubernetes.KubernetesConnection({ server: 'foo' })).toThrow(
    /kubernetes\.server is invalid \(its value is not shown\): it must be an http or https URL/,
  );
});
