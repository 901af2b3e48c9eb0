/** What a server sends without end, over HTTP/2 and as a proxy: the client gives up, and reads no more than its limits. */
import { gzipSync } from 'node:zlib';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { tunnelThrough } from '../../lib/kubernetes/proxy-tunnel.js';
import { address, call } from '../kubernetes/lease-fixtures.js';
import { selfSigned } from '../testing/lease-api-server/self-signed.js';
import { frame } from './targets/http2-frames.js';
import { RawServer } from './targets/raw-server.js';

/** The longest answer that is read, and what may be on its way when the client gives up. */
const MOST_BYTES = 3 * 1024 * 1024 + 8 * 1024 * 1024;
const [DATA, HEADERS, SETTINGS, CONTINUATION] = [0, 1, 4, 9];
const END_HEADERS = 4;
/** `:status: 200` in HPACK. */
const STATUS = Buffer.from([0x88]);

const disposers: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposers.splice(0)) await dispose();
});

/** Sends the same bytes until the connection ends, no faster than they are taken. @returns how many were sent. */
function flood(socket: Socket, piece: Buffer, sent: { bytes: number }): void {
  const write = (): void => {
    if (socket.destroyed) return;
    sent.bytes += piece.length;
    if (socket.write(piece)) setImmediate(write);
    else socket.once('drain', write);
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

  it.each<[string, (stream: number) => Buffer, Buffer]>([
    ['a body', (id) => frame(HEADERS, END_HEADERS, id, STATUS), frame(DATA, 0, 1, Buffer.alloc(16_000, ' '))],
    ['headers', (id) => frame(HEADERS, 0, id, STATUS), frame(CONTINUATION, 0, 1, header)],
    ['empty headers', (id) => frame(HEADERS, 0, id, STATUS), frame(CONTINUATION, 0, 1, Buffer.alloc(0))],
  ])('%s without end are given up', async (_name, first, piece) => {
    const certificate = selfSigned('127.0.0.1');
    const server = await started(certificate);
    const sent = { bytes: 0 };
    server.onConnection = (socket) => {
      socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
      let seen = Buffer.alloc(0);
      let hasBegun = false;
      socket.on('data', (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        // The headers of the only request: a frame of type 1 on stream 1.
        if (hasBegun || !seen.includes(Buffer.from([1, 5, 0, 0, 0, 1]))) return;
        hasBegun = true;
        socket.write(first(1));
        flood(socket, piece, sent);
      });
    };
    const connection = new KubernetesConnection({
      server: `https://127.0.0.1:${String(server.port)}`,
      certificateAuthority: certificate.cert,
    });
    disposers.push(() => {
      connection.close();
    });
    const stop = new AbortController();
    // After some errors Node's client reads no more; then the caller gives up, here when nothing more is taken.
    const watching = setInterval(
      (before = { bytes: -1 }) => {
        if (sent.bytes > 0 && before.bytes === sent.bytes) stop.abort();
        before.bytes = sent.bytes;
      },
      500,
      { bytes: -1 },
    );
    disposers.push(() => {
      clearInterval(watching);
    });
    const lock = new KubernetesLeaseLock(connection, address);
    await expect(lock.get(call({ signal: stop.signal }))).rejects.toMatchObject({
      code: expect.stringMatching(/^LEADER_(?:SERVER_ERROR|UNREACHABLE|REQUEST_TIMEOUT)$/),
    });
    expect(sent.bytes).toBeLessThan(MOST_BYTES);
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
