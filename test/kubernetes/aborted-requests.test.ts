/** A signal ends a request in every state, even before it has a connection. */
import { afterEach, describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  type KubernetesSource,
} from '../../lib/kubernetes/index.js';
import { ConnectProxy } from './connect-proxy.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';

const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
const timeOut = (maybeCommitted: boolean): object => ({ code: 'LEADER_REQUEST_TIMEOUT', maybeCommitted });

const disposers: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposers.splice(0)) await dispose();
});

function lockFor(source: KubernetesSource): KubernetesLeaseLock {
  const connection = new KubernetesConnection(source);
  disposers.push(() => {
    connection.close();
  });
  return new KubernetesLeaseLock(connection, address);
}

async function silentServer(): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(() => undefined);
  disposers.push(() => server.stop());
  return server;
}

function kubeconfig(cluster: object, user: object = {}): KubernetesSource {
  const folder = new KubeconfigFolder();
  disposers.push(() => {
    folder.remove();
  });
  return { kubeconfigFile: folder.write(cluster, user) };
}

describe('a signal ends a write', () => {
  it('that was sent and may have been carried out', async () => {
    const server = await silentServer();
    const stop = new AbortController();
    const pending = lockFor({ server: server.url }).update(base, record, call({ signal: stop.signal }));
    await server.arrived(1);
    stop.abort();
    await expect(pending).rejects.toMatchObject(timeOut(true));
  });

  it('that was not begun', async () => {
    const server = await silentServer();
    const pending = lockFor({ server: server.url }).update(
      base,
      record,
      call({ signal: AbortSignal.abort() }),
    );
    await expect(pending).rejects.toMatchObject(timeOut(false));
  });

  it('that waits for a connection of the pool; it is not sent later', async () => {
    const hanging: (() => void)[] = [];
    const server = await ScriptedServer.start((_request, response) => {
      hanging.push(() => {
        answer(response, 200, leaseOf());
      });
    });
    disposers.push(() => server.stop());
    const lock = lockFor({ server: server.url });
    const first = [1, 2, 3].map(() => lock.get(call()));
    await server.arrived(3);
    const stop = new AbortController();
    const pending = lock.update(base, record, call({ signal: stop.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(pending).rejects.toMatchObject(timeOut(false));
    for (const reply of hanging) reply();
    await Promise.all(first);
    const last = lock.get(call());
    await server.arrived(4);
    hanging.at(-1)?.();
    await last;
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'GET']);
  });

  it('and a watch that wait for a proxy', async () => {
    const proxy = await ConnectProxy.start('hang');
    disposers.push(() => proxy.stop());
    const lock = lockFor(kubeconfig({ server: 'https://api.test', 'proxy-url': proxy.url }));
    const stop = new AbortController();
    const asked = proxy.nextConnect();
    const pending = lock.update(base, record, call({ signal: stop.signal }));
    await asked;
    // Both wait for the same connection.
    const watch = lock.watch(() => undefined, stop.signal);
    stop.abort();
    await expect(pending).rejects.toMatchObject(timeOut(false));
    await expect(watch).resolves.toBeUndefined();
  });

  it('that waits for a credential plugin', async () => {
    const server = await silentServer();
    // Ends with the test's process: its standard input closes.
    const exec = { command: process.execPath, args: ['-e', 'process.stdin.resume()'] };
    const lock = lockFor(kubeconfig({ server: server.url }, { exec }));
    const stop = new AbortController();
    const reason = new LeaseRequestError('LEADER_STOPPED', 'stopped', { maybeCommitted: false });
    const pending = lock.update(base, record, call({ signal: stop.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort(reason);
    await expect(pending).rejects.toBe(reason);
  });
});
