/** Bytes that a server sends over HTTP/1.1 instead of an answer, before it closes the connection. */
import { KubernetesConnection, KubernetesLeaseLock } from '../../../lib/kubernetes/index.js';
import { address, call, leaseOf, record } from '../../kubernetes/lease-fixtures.js';
import type { Target } from '../fuzzing.js';
import { TOKEN, checkPrototypes, keepsPromises } from '../promises.js';
import { RawServer } from './raw-server.js';

const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
let server: Promise<RawServer> | undefined;

export const http1: Target = {
  name: 'http1',
  alsoFrom: ['answers'],
  runsPerSecond: 150,
  async run(input) {
    server ??= RawServer.start();
    const hostile = await server;
    hostile.onConnection = (socket) => {
      // Also without a request: a connection that is idle may be written to.
      socket.once('data', () => socket.end(input));
    };
    const connection = new KubernetesConnection({
      server: `http://127.0.0.1:${String(hostile.port)}`,
      token: TOKEN,
    });
    const lock = new KubernetesLeaseLock(connection, address);
    await keepsPromises(() => lock.get(call()));
    await keepsPromises(() => lock.update(base, record, call()));
    await keepsPromises(() => lock.watch(() => undefined, call().signal));
    connection.close();
    hostile.cut();
    checkPrototypes();
  },
  async close() {
    await (await server)?.stop();
    server = undefined;
  },
};
