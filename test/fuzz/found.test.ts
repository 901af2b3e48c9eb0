/** What the fuzzing has found, each fault by itself. */
import type { TlsOptions } from 'node:tls';
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
import { HEADERS, frame, onFrames } from './targets/http2-frames.js';
import { RawServer } from './targets/raw-server.js';

/** How many connections two requests may open. */
const MOST_CONNECTIONS = 20;

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

async function rawServer(options?: TlsOptions): Promise<RawServer> {
  const server = await RawServer.start(options && { ...options, ALPNProtocols: ['h2'] });
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
  const settings = frame(4, 0, 0, Buffer.alloc(0));
  const noStream = frame(4, 0, 0, Buffer.from([0, 3, 0, 0, 0, 0]));
  const goaway = (code: number): Buffer => frame(7, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, code]));
  const reset = (stream: number, code: number): Buffer => frame(3, 0, stream, Buffer.from([0, 0, 0, code]));
  const certificate = selfSigned('127.0.0.1');
  /** What a server sends at once, and when a request has come. */
  const servers: [string, Buffer, (stream: number) => Buffer][] = [
    ['allows no stream', noStream, () => noStream],
    ['goes away', Buffer.concat([settings, goaway(0)]), () => goaway(0)],
    ['goes away because of an error', Buffer.concat([settings, goaway(11)]), () => goaway(11)],
    ['goes away before it allows streams', Buffer.concat([goaway(0), settings]), () => goaway(0)],
    ['goes away when a request has come', settings, () => goaway(0)],
    ['refuses each stream', settings, (stream) => reset(stream, 7)],
    ['resets each stream', settings, (stream) => reset(stream, 2)],
  ];

  it.each([
    ...servers.flatMap(([name, ...sent]) => [
      [name, 'closes', ...sent] as const,
      [name, 'keeps', ...sent] as const,
    ]),
    // A request that Node holds back, because it has read the settings before us, is its caller's to give up.
    ['allows streams, and then none', 'closes', Buffer.concat([settings, noStream]), () => noStream] as const,
    [
      'refuses a stream, and then all',
      'closes',
      settings,
      (id: number) => Buffer.concat([reset(id, 7), noStream]),
    ] as const,
  ])(
    'a server that %s, and %s its connections, is not connected to in a loop',
    async (_name, end, first, answer) => {
      const server = await rawServer({ ...certificate, allowHalfOpen: end === 'keeps' });
      const stop = new AbortController();
      server.onConnection = (socket) => {
        if (server.connections > MOST_CONNECTIONS) stop.abort();
        socket.write(first);
        onFrames(socket, ({ type, stream }) => {
          if (type === HEADERS) socket.write(answer(stream));
        });
        if (end === 'closes') setImmediate(() => socket.end());
      };
      const lock = lockAt(`https://127.0.0.1:${String(server.port)}`, certificate.cert);
      const unreachable = { code: 'LEADER_UNREACHABLE', maybeCommitted: false };
      await expect(lock.get(call({ signal: stop.signal }))).rejects.toMatchObject(unreachable);
      await expect(lock.watch(() => undefined, stop.signal)).rejects.toMatchObject(unreachable);
      expect(server.connections).toBeLessThanOrEqual(MOST_CONNECTIONS);
    },
  );

  it('the connection of a server that goes away, and does not close it, is closed', async () => {
    const server = await rawServer({ ...certificate, allowHalfOpen: true });
    const closed = new Promise<void>((resolve) => {
      server.onConnection = (socket) => {
        socket.write(settings);
        onFrames(socket, ({ type, stream }) => {
          if (type === HEADERS) socket.write(Buffer.concat([reset(stream, 2), goaway(0)]));
        });
        // A client that has only ended its side would go on reading.
        const write = (): void => {
          if (socket.writable) socket.write(settings, () => setImmediate(write));
        };
        socket.on('end', write);
        socket.on('close', () => {
          resolve();
        });
      };
    });
    const lock = lockAt(`https://127.0.0.1:${String(server.port)}`, certificate.cert);
    await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_UNREACHABLE' });
    await closed;
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
    const connection = new HandConnection(() => {
      if (connection.requests.length > 2_000) throw new Error('It asks for ever.');
      return { ...ok(body), headers };
    });
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

  it.each(
    ['null', secret].flatMap(
      (text) =>
        [
          ['the creation of a Lease', text, []],
          ['a read for a dry run', text, ['--no-probe']],
          ['a read of the pod', text, ['--no-probe']],
        ] as const,
    ),
  )('says what is wrong if the answer to %s is %s, and does not quote it', async (asked, text, flags) => {
    const folder = new KubeconfigFolder();
    let reads = 0;
    const script: Script = ({ method, url, body }, response) => {
      const mayAll = '{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}';
      const isPod = url.includes('/pods/');
      const isLease = method === 'GET' && url.endsWith('/leases/billing');
      // The doctor reads the Lease twice before it measures.
      if (isLease) reads += 1;
      const isAsked = {
        'the creation of a Lease': method === 'PUT',
        'a read for a dry run': isLease && reads > 2,
        'a read of the pod': isPod,
      }[asked];
      if (url.endsWith('accessreviews')) response.end(mayAll);
      else if (isAsked) response.end(text);
      else if (isPod) response.end('{"metadata":{},"spec":{}}');
      else if (url.includes('watch=')) response.end();
      else if (method === 'PUT') response.end(body);
      else response.end(JSON.stringify(leaseOf(record, { namespace: 'default' })));
    };
    const server = await ScriptedServer.start(script);
    disposers.push(
      () => server.stop(),
      () => {
        folder.remove();
      },
    );
    const kubeconfig = folder.write({ server: server.url });
    const command = [
      'doctor',
      'billing',
      '--pod',
      'billing-1',
      '--kubeconfig',
      kubeconfig,
      '--observe',
      '1ms',
      ...flags,
    ];
    const { out, err } = await runCommand(command);
    expect(out + err).not.toMatch(/Error\b|Unexpected|Cannot|undefined|NaN|marzipan/);
  });
});
