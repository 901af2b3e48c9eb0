/** `@kubernetes/client-node`: when it is loaded, and the error if it cannot be. */
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
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

it.each([
  [
    'v20.20.2',
    /cannot be loaded by Node v20\.20\.2 .*Its version 2 needs Node 22\.19: run npm i @kubernetes\/client-node@1 and/,
  ],
  ['v22.18.0', /Its version 2 needs Node 22\.19: run npm i @kubernetes\/client-node@1 and restart/],
  ['v22.19.0', /Run npm i @kubernetes\/client-node and restart/],
  ['v24.0.0', /Run npm i @kubernetes\/client-node and restart/],
])('on Node %s the error says which version to install', async (version, text) => {
  const folder = new KubeconfigFolder();
  const own = Object.getOwnPropertyDescriptor(process, 'version') as PropertyDescriptor;
  Object.defineProperty(process, 'version', { ...own, value: version });
  onTestFinished(() => {
    Object.defineProperty(process, 'version', own);
    folder.remove();
  });
  const kubeconfigFile = folder.write({ server: 'http://api.test' });
  await expect(new kubernetes.KubernetesConnection({ kubeconfigFile }).start()).rejects.toMatchObject({
    message: expect.stringMatching(text),
  });
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
