/** What a server sends without end, over HTTP/2 and as a proxy: the client gives up, and reads no more than its limits. */
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { routeTo } from '../../lib/kubernetes/access.js';
import { startSending } from '../../lib/kubernetes/exit/send-at-exit.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { tunnelThrough } from '../../lib/kubernetes/proxy-tunnel.js';
import { address, call } from '../kubernetes/lease-fixtures.js';
import { selfSigned } from '../testing/lease-api-server/self-signed.js';
import { outcomeOf } from './promises.js';
import { HEADERS, frame, onFrames } from './targets/http2-frames.js';
import { RawServer } from './targets/raw-server.js';

/** The longest answer that is read, and what may be on its way when the client gives up. */
const MOST_BYTES = 3 * 1024 * 1024 + 8 * 1024 * 1024;
const [DATA, PRIORITY, RESET, SETTINGS, PUSH_PROMISE] = [0, 2, 3, 4, 5];
const [PING, WINDOW_UPDATE, CONTINUATION, UNKNOWN] = [6, 8, 9, 200];
const END_HEADERS = 4;
/** `:status: 200` in HPACK. */
const STATUS = Buffer.from([0x88]);
/** `:status: 103` in HPACK, as a literal. */
const EARLY_HINTS = Buffer.from([0x08, 3, 0x31, 0x30, 0x33]);
/** After how many bytes a caller gives up what has no limit of its own. */
const ENOUGH_BYTES = 1024 * 1024;
/** Nothing was taken for so long. Nothing depends on it. */
const STALLED_MS = 500;
/** How many bytes are written at one time, at least. */
const AT_ONCE = 16_000;

const disposers: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposers.splice(0)) await dispose();
});

/**
 * Sends the same bytes until the connection ends, no faster than they are taken. Counts them.
 *
 * @param enough called when more than {@link ENOUGH_BYTES} have been sent, or when no more are taken: after some errors Node's
 * client reads no more.
 */
function flood(socket: Socket, piece: Buffer, sent: { bytes: number }, enough?: () => void): void {
  let stalled: NodeJS.Timeout | undefined;
  const write = (): void => {
    clearTimeout(stalled);
    if (socket.destroyed) return;
    sent.bytes += piece.length;
    if (sent.bytes > ENOUGH_BYTES) enough?.();
    if (socket.write(piece)) setImmediate(write);
    else {
      socket.once('drain', write);
      if (enough !== undefined) stalled = setTimeout(enough, STALLED_MS);
    }
  };
  write();
}

async function started(certificate?: { readonly key: string; readonly cert: string }): Promise<RawServer> {
  const server = await RawServer.start(certificate && { ...certificate, ALPNProtocols: ['h2'] });
  disposers.push(() => server.stop());
  return server;
}

describe('over HTTP/2', () => {
  /** A header of 4 KiB, as a literal that is not indexed. */
  const header = Buffer.concat([Buffer.from([0, 1, 0x61, 0x7f, 0x81, 0x1f]), Buffer.alloc(4_096, 'x')]);

  /** Asks for a Lease. The server answers with frames, and then with the same frame without end. */
  async function flooded(first: Buffer, piece: Buffer): Promise<{ error: unknown; sent: number }> {
    const certificate = selfSigned('127.0.0.1');
    const server = await started(certificate);
    const stop = new AbortController();
    const many = Buffer.concat(Array.from({ length: Math.ceil(AT_ONCE / piece.length) }, () => piece));
    const sent = { bytes: 0 };
    server.onConnection = (socket) => {
      socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
      onFrames(socket, ({ type }) => {
        if (type !== HEADERS) return;
        socket.write(first);
        flood(socket, many, sent, () => {
          stop.abort();
        });
      });
    };
    const connection = new KubernetesConnection({
      server: `https://127.0.0.1:${String(server.port)}`,
      certificateAuthority: certificate.cert,
    });
    disposers.push(() => {
      connection.close();
    });
    const lock = new KubernetesLeaseLock(connection, address);
    const { error } = (await outcomeOf(() => lock.get(call({ signal: stop.signal })))) as { error: unknown };
    return { error, sent: sent.bytes };
  }

  it.each<[string, Buffer, Buffer]>([
    ['a body', frame(HEADERS, END_HEADERS, 1, STATUS), frame(DATA, 0, 1, Buffer.alloc(16_000, ' '))],
    ['headers', frame(HEADERS, 0, 1, STATUS), frame(CONTINUATION, 0, 1, header)],
    ['empty headers', frame(HEADERS, 0, 1, STATUS), frame(CONTINUATION, 0, 1, Buffer.alloc(0))],
    ['settings', Buffer.alloc(0), frame(SETTINGS, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]))],
    ['pushed streams', Buffer.alloc(0), frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.from([0, 0, 0, 2, 0x88]))],
    ['resets of streams that nobody began', Buffer.alloc(0), frame(RESET, 0, 1_001, Buffer.alloc(4))],
  ])('%s without end are given up', async (_name, first, piece) => {
    const { error, sent } = await flooded(first, piece);
    expect(error).toMatchObject({ code: expect.stringMatching(/^LEADER_(?:SERVER_ERROR|UNREACHABLE)$/) });
    expect(sent).toBeLessThan(MOST_BYTES);
  });

  /** Node has no limit for these, and reads them for as long as they come. */
  it.each<[string, Buffer]>([
    ['pings', frame(PING, 0, 0, Buffer.alloc(8))],
    ['early hints', frame(HEADERS, END_HEADERS, 1, EARLY_HINTS)],
    ['window updates', frame(WINDOW_UPDATE, 0, 1, Buffer.from([0, 0, 0, 1]))],
    ['priorities', frame(PRIORITY, 0, 1_001, Buffer.from([0, 0, 0, 3, 1]))],
    ['unknown frames', frame(UNKNOWN, 0, 0, Buffer.alloc(8))],
  ])('%s without end end with the patience of the caller', async (_name, piece) => {
    const { error, sent } = await flooded(Buffer.alloc(0), piece);
    expect(error).toMatchObject({ code: 'LEADER_REQUEST_TIMEOUT' });
    expect(sent).toBeGreaterThan(ENOUGH_BYTES);
  });
});

it('headers of a proxy without end are given up', async () => {
  const proxy = await started();
  const sent = { bytes: 0 };
  proxy.onConnection = (socket) =>
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n');
      flood(socket, Buffer.from(`x: ${'y'.repeat(1_000)}\r\n`), sent);
    });
  const tunnel = tunnelThrough(new URL(`http://127.0.0.1:${String(proxy.port)}`));
  await expect(tunnel({ host: 'api.invalid', port: 443 }, call().signal)).rejects.toMatchObject({
    code: 'HPE_HEADER_OVERFLOW',
  });
  expect(sent.bytes).toBeLessThan(MOST_BYTES);
});

it('what is compressed is not unpacked', async () => {
  const server = await started();
  const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024, ' '));
  server.onConnection = (socket) =>
    socket.once('data', (request: Buffer) => {
      expect(request.toString()).not.toMatch(/accept-encoding/i);
      const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${String(bomb.length)}\r\n\r\n`;
      socket.end(Buffer.concat([Buffer.from(head), bomb]));
    });
  const connection = new KubernetesConnection({ server: `http://127.0.0.1:${String(server.port)}` });
  disposers.push(() => {
    connection.close();
  });
  await expect(new KubernetesLeaseLock(connection, address).get(call())).rejects.toMatchObject({
    code: 'LEADER_SERVER_ERROR',
  });
});

it('the answer to the last update of a process is given up, too', async () => {
  const server = await started();
  const sent = { bytes: 0 };
  server.onConnection = (socket) =>
    socket.on('data', (request: Buffer) => {
      if (request.includes('PUT ')) socket.write('HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n');
      if (!request.includes('GET ')) return;
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      flood(socket, Buffer.alloc(16_000, ' '), sent);
    });
  const url = `http://127.0.0.1:${String(server.port)}`;
  const access = { server: url, headers: {}, route: await routeTo(new URL(url), undefined, {}) };
  const holder = { holderIdentity: 'me', acquireTime: undefined };
  const updates = [{ path: '/lease', body: { spec: {} }, holder }];
  const done = new Int32Array(new SharedArrayBuffer(4));
  await once(startSending([{ access, addresses: [], updates }], done), 'exit');
  expect(done[0]).toBe(1);
  expect(sent.bytes).toBeGreaterThan(0);
  expect(sent.bytes).toBeLessThan(MOST_BYTES);
});
