/** How HTTP/1.1 connections are used, and how a request without an answer ends. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer, type Script } from './scripted-server.js';

const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
const leased: Script = (_request, response) => {
  answer(response, 200, leaseOf());
};

let server: ScriptedServer;
let connection: KubernetesConnection;

afterEach(async () => {
  connection.close();
  await server.stop();
});

async function lockAt(script: Script): Promise<KubernetesLeaseLock> {
  server = await ScriptedServer.start(script);
  connection = new KubernetesConnection({ server: server.url });
  return new KubernetesLeaseLock(connection, address);
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', resolve);
  });
}

describe('the pool', () => {
  it('serves two hundred locks over three connections', async () => {
    await lockAt(leased);
    const locks = Array.from({ length: 200 }, () => new KubernetesLeaseLock(connection, address));
    await Promise.all(locks.map((lock) => lock.get(call())));
    await Promise.all(locks.map((lock) => lock.update(base, record, call())));
    expect(server.requests).toHaveLength(400);
    expect(server.connections.length).toBeLessThanOrEqual(3);
  });

  it('uses one connection for successive requests', async () => {
    const lock = await lockAt(leased);
    for (let turn = 0; turn < 5; turn += 1) await lock.get(call());
    expect(server.connections).toHaveLength(1);
  });

  it('is not used by a request for a new connection, which ends with the request', async () => {
    const lock = await lockAt((_request, response) => {
      if (server.requests.length > 3) answer(response, 200, leaseOf());
    });
    const stop = new AbortController();
    const hanging = [1, 2, 3].map(() => lock.get(call({ signal: stop.signal })).catch(() => 'given up'));
    await server.arrived(3);
    expect(await lock.get(call({ newConnection: true }))).toMatchObject({ uid: 'u1' });
    expect(server.connections).toHaveLength(4);
    await closed(server.connections[3] as Socket);
    stop.abort();
    expect(await Promise.all(hanging)).toEqual(['given up', 'given up', 'given up']);
  });

  it('is empty after close, and opens connections again', async () => {
    const lock = await lockAt(leased);
    await lock.get(call());
    connection.close();
    await closed(server.connections[0] as Socket);
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(server.connections).toHaveLength(2);
  });
});

describe('an idle connection that the server closes at its next use', () => {
  /** Cuts the connection of every second request. */
  const cutting: Script = (_request, response, socket) => {
    if (server.requests.length === 2) socket.destroy();
    else answer(response, 200, leaseOf());
  };

  it('costs a read nothing', async () => {
    const lock = await lockAt(cutting);
    await lock.get(call());
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(server.requests.map(({ connection: of }) => of)).toEqual([1, 1, 2]);
  });

  it('fails a write, which is never sent twice', async () => {
    const lock = await lockAt(cutting);
    await lock.get(call());
    await expect(lock.update(base, record, call())).rejects.toMatchObject({
      code: 'LEADER_UNREACHABLE',
      maybeCommitted: true,
    });
    expect(server.requests).toHaveLength(2);
  });
});

describe('a request without an answer', () => {
  const tooLate = new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'too late', { maybeCommitted: true });

  it.each([
    ['before any answer', (): void => undefined],
    [
      'within the answer',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"kind":');
      },
    ],
  ] as [string, Script][])('ends with its signal %s, and so does its connection', async (_name, script) => {
    const lock = await lockAt(script);
    const deadline = new AbortController();
    const pending = lock.update(base, record, call({ signal: deadline.signal }));
    await server.arrived(1);
    deadline.abort(tooLate);
    await expect(pending).rejects.toBe(tooLate);
    await closed(server.connections[0] as Socket);
  });

  it('does not begin when its signal has fired', async () => {
    const lock = await lockAt(leased);
    const pending = lock.update(base, record, call({ signal: AbortSignal.abort(tooLate) }));
    await expect(pending).rejects.toBe(tooLate);
    expect(server.requests).toEqual([]);
  });

  it('was not sent if nobody listens', async () => {
    const lock = await lockAt(leased);
    await server.stop();
    await expect(lock.update(base, record, call())).rejects.toMatchObject({
      code: 'LEADER_UNREACHABLE',
      maybeCommitted: false,
    });
  });

  it('may have been carried out if the connection breaks, even within the answer', async () => {
    for (const begun of [false, true]) {
      const lock = await lockAt((_request, response, socket) => {
        if (!begun) socket.destroy();
        else response.writeHead(200, { 'content-length': '1000' }).write('{', () => socket.destroy());
      });
      await expect(lock.update(base, record, call())).rejects.toMatchObject({
        code: 'LEADER_UNREACHABLE',
        maybeCommitted: true,
      });
      await server.stop();
    }
  });

  it('is given up when the answer is longer than any Lease', async () => {
    // A valid Lease, except for its length.
    const tooLong = leaseOf(record, { annotations: { a: 'x'.repeat(4 * 1024 * 1024) } });
    const lock = await lockAt((_request, response) => {
      answer(
        response.on('error', () => undefined),
        200,
        tooLong,
      );
    });
    await expect(lock.update(base, record, call())).rejects.toMatchObject({ maybeCommitted: true });
  });
});
