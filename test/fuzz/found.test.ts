/** What the fuzzing has found, each fault by itself. */
import { afterEach, describe, expect, it } from 'vitest';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { LeaseObserver } from '../../lib/kubernetes/lease-observer.js';
import { runCommand } from '../cli/script-terminal.js';
import { HandClock } from '../kubernetes/hand-clock.js';
import { KubeconfigFolder } from '../kubernetes/kubeconfig-file.js';
import { address, call, leaseOf, record } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, type Script } from '../kubernetes/scripted-server.js';
import { HandConnection, ok } from '../security/hand-connection.js';
import { selfSigned } from '../testing/lease-api-server/self-signed.js';
import { frame } from './targets/http2-frames.js';
import { RawServer } from './targets/raw-server.js';

const disposers: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposers.splice(0)) await dispose();
});

function lockAt(server: string, certificateAuthority?: string): KubernetesLeaseLock {
  const connection = new KubernetesConnection({ server, certificateAuthority });
  disposers.push(() => {
    connection.close();
  });
  return new KubernetesLeaseLock(connection, address);
}

async function rawServer(certificate?: { readonly key: string; readonly cert: string }): Promise<RawServer> {
  const server = await RawServer.start(certificate && { ...certificate, ALPNProtocols: ['h2'] });
  disposers.push(() => server.stop());
  return server;
}

describe('over HTTP/1.1', () => {
  it('a server that switches to another protocol has not answered', async () => {
    const server = await rawServer();
    server.onConnection = (socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      );
    };
    const lock = lockAt(`http://127.0.0.1:${String(server.port)}`);
    const unreachable = { code: 'LEADER_UNREACHABLE' };
    await expect(lock.get(call())).rejects.toMatchObject({ ...unreachable, maybeCommitted: false });
    await expect(lock.create(record, call())).rejects.toMatchObject({ ...unreachable, maybeCommitted: true });
    await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject(unreachable);
  });

  it('a signal that fires with the last event of a watch ends nothing but the watch', async () => {
    const server = await ScriptedServer.start((_request, response) => {
      response.end(`${JSON.stringify({ type: 'ADDED', object: leaseOf() })}\n`);
    });
    disposers.push(() => server.stop());
    const stop = new AbortController();
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => {
      uncaught.push(error);
    };
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', note);
    try {
      await lockAt(server.url).watch(({ kind }) => {
        if (kind === 'seen') stop.abort();
      }, stop.signal);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.removeListener('uncaughtException', note);
      for (const listener of before) process.on('uncaughtException', listener);
    }
    expect([stop.signal.aborted, uncaught]).toEqual([true, []]);
  });
});

describe('over HTTP/2', () => {
  it.each<[string, Buffer]>([
    ['allows no stream', frame(4, 0, 0, Buffer.from([0, 3, 0, 0, 0, 0]))],
    [
      'says that it goes away',
      Buffer.concat([frame(4, 0, 0, Buffer.alloc(0)), frame(7, 0, 0, Buffer.alloc(8))]),
    ],
  ])('a server that %s and ends each connection is not connected to in a loop', async (_name, frames) => {
    const certificate = selfSigned('127.0.0.1');
    const server = await rawServer(certificate);
    server.onConnection = (socket) => socket.end(frames);
    const lock = lockAt(`https://127.0.0.1:${String(server.port)}`, certificate.cert);
    await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_UNREACHABLE' });
    await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject({
      code: 'LEADER_UNREACHABLE',
    });
    expect(server.connections).toBeLessThanOrEqual(20);
  });
});

describe('an answer', () => {
  const lockWith = (body: unknown, headers = {}, status = 200): KubernetesLeaseLock =>
    new KubernetesLeaseLock(new HandConnection(() => ({ ...ok(body, status), headers })), address, 1_000);

  it('with a very long list of managed fields is read', async () => {
    const managedFields = Array.from({ length: 500_000 }, () => null);
    const lease = await lockWith(leaseOf(record, { managedFields })).get(call());
    expect(lease).toMatchObject({ record });
  });

  it.each([
    '1e308',
    '1e400',
    '-1',
    '0',
    '0x10',
    ' ',
    '1.5',
    '1, 2',
    'Fri, 31 Dec 9999 23:59:59 GMT',
    '9'.repeat(400),
  ])('that asks to come back after %j asks for no delay', async (retryAfter) => {
    const lock = lockWith('', { 'retry-after': retryAfter }, 503);
    await expect(lock.get(call())).rejects.toMatchObject({
      code: 'LEADER_SERVER_ERROR',
      retryAfterMs: undefined,
    });
  });

  it('that asks to come back after a second does', async () => {
    await expect(lockWith('', { 'retry-after': '1' }, 429).get(call())).rejects.toMatchObject({
      retryAfterMs: 1_000,
    });
  });

  it('whose holder has an endless priority shows none', async () => {
    const text = `${record.renewTime ?? ''} me {"priority":1e999,"address":"10.0.0.1"}`;
    const lease = await lockWith(leaseOf(record, { annotations: { 'nestjs-leader/holder': text } })).get(
      call(),
    );
    expect(lease?.record.note).toEqual({ address: '10.0.0.1' });
  });
});

describe('a list of Leases', () => {
  const observerWith = (body: object, headers = {}): LeaseObserver => {
    const connection = new HandConnection(() => ({ ...ok(body), headers }));
    return new LeaseObserver(connection, { namespace: 'ours' }, 1_000, new HandClock());
  };

  it('that goes on for ever is given up', async () => {
    const observer = observerWith({ metadata: { resourceVersion: '1', continue: 'on' }, items: [] });
    await expect(observer.read(call().signal)).rejects.toMatchObject({
      code: 'LEADER_SERVER_ERROR',
      message: expect.stringContaining('more than 1000 pages'),
    });
  });

  it('that was sent after the year 9999 has no time', async () => {
    const last = { date: 'Sat, 13 Sep 275760 00:00:00 GMT' };
    const seen = await observerWith({ metadata: { resourceVersion: '1' } }, last).read(call().signal);
    expect(seen.serverTime).toBeUndefined();
  });
});

describe('the doctor', () => {
  const secret = 'marzipan-in-an-answer';

  it.each(['null', '7', '{}', '{"metadata":null}', `{"metadata":"${secret}"}`, secret, '{"spec":null}'])(
    'says what is wrong with answers such as %s, and quotes none',
    async (text) => {
      const folder = new KubeconfigFolder();
      const script: Script = (request, response) => {
        const mayAll = '{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}';
        response.end(request.url.endsWith('accessreviews') ? mayAll : text);
      };
      const server = await ScriptedServer.start(script);
      disposers.push(
        () => server.stop(),
        () => {
          folder.remove();
        },
      );
      const kubeconfig = folder.write({ server: server.url });
      const command = ['doctor', 'billing', '--pod', 'billing-1', '--kubeconfig', kubeconfig];
      const { out, err } = await runCommand(command);
      expect(out + err).not.toMatch(/Error\b|Unexpected|Cannot|undefined|NaN|marzipan/);
    },
  );
});
