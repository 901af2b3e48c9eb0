/** How HTTP/2 sessions are shared, doubted and replaced, and what happens to their requests. */
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Http2Session } from '../../lib/kubernetes/http2-session.js';
import { connectTls } from '../../lib/kubernetes/tls-connection.js';
import {
  ABORTED,
  TOO_LONG,
  Transport,
  TransportError,
  type HttpRequest,
  type HttpResponse,
  type HttpStream,
  type Route,
} from '../../lib/kubernetes/transport.js';
import { FaultProxy } from '../rig/fault-proxy.js';
import { canary } from '../security/canary.js';
import { ConnectProxy } from './connect-proxy.js';
import { FrameServer, type FrameStream } from './frame-server.js';
import { HandClock } from './hand-clock.js';
import { Http2Server, keepOpen, reply, type SeenStream, type StreamScript } from './http2-server.js';
import { ScriptedServer } from './scripted-server.js';
import { TestAuthority } from './test-authority.js';

const {
  NGHTTP2_CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = http2.constants;

const made = TestAuthority.make();
afterAll(() => {
  made?.remove();
});

if (made === undefined) {
  it('is not tested here: there is no openssl to make certificates with', () => {
    expect(made).toBeUndefined();
  });
} else {
  testsWith(made);
}

function testsWith(authority: TestAuthority): void {
  const certificate = authority.issue('server', 'IP:127.0.0.1', 'DNS:api.test');
  const route: Route = { tls: { ca: authority.ca, rejectUnauthorized: true }, proxied: undefined };

  const disposers: (() => unknown)[] = [];
  let clock: HandClock;
  let transport: Transport;
  let server: Http2Server;

  beforeEach(() => {
    clock = new HandClock();
    transport = new Transport(clock);
  });
  afterEach(async () => {
    transport.close();
    for (const dispose of disposers.splice(0).reverse()) await dispose();
  });

  const start = async (
    script: StreamScript = watchable,
    options: http2.SecureServerOptions = {},
    port = 0,
  ): Promise<Http2Server> => {
    server = await Http2Server.start(script, { ...certificate, ...options }, port);
    const started = server;
    disposers.push(() => started.stop());
    return server;
  };
  const limited = (maxConcurrentStreams: number): http2.SecureServerOptions => ({
    settings: { maxConcurrentStreams },
  });

  const requestOf = (parts: Partial<HttpRequest>, path: string): HttpRequest => ({
    method: 'GET',
    url: parts.url ?? new URL(server.url + path),
    headers: { Accept: 'application/json' },
    signal: new AbortController().signal,
    newConnection: false,
    ...parts,
  });
  const ask = (parts: Partial<HttpRequest> = {}, by = route): Promise<HttpResponse> =>
    transport.exchange(requestOf(parts, '/request'), by);
  const put = (parts: Partial<HttpRequest> = {}): Promise<HttpResponse> =>
    ask({ method: 'PUT', body: '{}', ...parts });
  const watch = (parts: Partial<HttpRequest> = {}, by = route): Promise<HttpStream> =>
    transport.open(requestOf({ newConnection: true, ...parts }, '/watch'), by);
  /** Everything that a watch receives until it ends. */
  const told = async (stream: HttpStream): Promise<string> => {
    let text = '';
    for await (const chunk of stream) text += chunk.toString('utf8');
    return text;
  };
  const frames = async (onRequest: (stream: FrameStream) => void): Promise<URL> => {
    const started = await FrameServer.start(certificate, onRequest);
    disposers.push(() => {
      started.stop();
    });
    return new URL(started.url);
  };
  /** A proxy in front of the server, whose connections can go silent. */
  const faultProxy = async (): Promise<FaultProxy> => {
    const proxy = await FaultProxy.start(server.url);
    disposers.push(() => proxy.stop());
    return proxy;
  };
  const sessionsOf = (requests: readonly SeenStream[]): number[] => requests.map(({ session }) => session);

  describe('sessions', () => {
    it('one serves watches and requests, even those made before it is connected', async () => {
      await start();
      const watches = Promise.all([watch(), watch(), watch()]);
      const answers = Promise.all(Array.from({ length: 20 }, () => ask()));
      expect((await answers).map(({ status, text }) => [status, text])).toEqual(
        Array.from({ length: 20 }, () => [200, 'done']),
      );
      for (const { statusCode, headers } of await watches)
        expect([statusCode, headers['x-kind']]).toEqual([200, 'watch']);
      expect(await put()).toMatchObject({ status: 200, text: 'done' });
      expect(server.connections).toHaveLength(1);
      expect(server.pings).toEqual([]);
    });

    it('send method, path with query, host, headers and body as given', async () => {
      await start();
      await ask({
        method: 'PATCH',
        url: new URL(`${server.url}/a/b?c=d%20e`),
        headers: { Authorization: 'Bearer t', 'Content-Type': 'x/y' },
        body: 'ü',
      });
      const [{ method, path, headers, body } = {}] = server.requests as [SeenStream?];
      expect([method, path, body]).toEqual(['PATCH', '/a/b?c=d%20e', 'ü']);
      expect(headers).toMatchObject({
        authorization: 'Bearer t',
        'content-type': 'x/y',
        ':authority': new URL(server.url).host,
        ':scheme': 'https',
      });
    });

    it('leave room for requests beside watches; requests are spread over sessions', async () => {
      await start(watchable, limited(10));
      const first = await watch();
      for (let count = 1; count < 8; count += 1) await watch();
      expect(server.sessions).toHaveLength(1);
      await watch();
      expect(server.sessions).toHaveLength(2);
      await ask();
      expect(sessionsOf(server.requests)).toEqual([...Array.from({ length: 8 }, () => 1), 2, 2]);
      first.destroy();
      await server.until(() => server.requests[0]?.stream.destroyed === true);
      // The watches fit into the first session.
      await watch();
      expect(server.requests.at(-1)?.session).toBe(1);
    });

    it('take one watch each if the server allows one stream, and requests use another session', async () => {
      await start(watchable, limited(1));
      await watch();
      await watch();
      expect(await Promise.all([ask(), ask(), ask()])).toHaveLength(3);
      expect(server.sessions).toHaveLength(3);
    });

    it('let requests wait for their turn if there are more requests than streams', async () => {
      const open: SeenStream[] = [];
      await start((request) => open.push(request), limited(5));
      const pending = Promise.all(Array.from({ length: 12 }, () => ask()));
      for (let count = 1; count <= 12; count += 1) {
        await server.arrived(count);
        expect(open.length).toBeLessThanOrEqual(5);
        reply(open.shift() as SeenStream);
      }
      expect(await pending).toHaveLength(12);
      expect(server.sessions).toHaveLength(1);
    });

    it('are at most sixteen for a thousand watches and a thousand requests at once', async () => {
      await start(watchable, limited(100));
      const watches = Promise.all(Array.from({ length: 1_000 }, () => watch()));
      const answers = Promise.all(Array.from({ length: 1_000 }, () => put()));
      expect(await watches).toHaveLength(1_000);
      expect(await answers).toHaveLength(1_000);
      expect(server.connections.length).toBeLessThanOrEqual(16);
      await Promise.all(Array.from({ length: 1_000 }, () => put()));
      expect(server.connections.length).toBeLessThanOrEqual(16);
      expect(server.open).toBe(server.connections.length);
    });

    it('do not keep the process alive when no stream is open', async () => {
      await start();
      // Connections of other tests.
      await until(() => connections() === 0);
      await ask();
      expect(connections()).toBe(0);
      const stop = new AbortController();
      const stream = await watch({ signal: stop.signal });
      expect(connections()).toBe(1);
      stop.abort();
      await expect(told(stream)).rejects.toMatchObject({ code: ABORTED });
      expect(connections()).toBe(0);
    });

    it('do not keep the process alive before their first stream', async () => {
      await start();
      await until(() => connections() === 0);
      const url = new URL(server.url);
      const { signal } = new AbortController();
      const listener = { onRoom: () => undefined, onUnusable: () => undefined };
      const socket = await connectTls(url, route, signal);
      expect(connections()).toBe(1);
      const session = await Http2Session.begin(socket, url, signal, clock, listener);
      expect(connections()).toBe(0);
      session.end();
    });
  });

  describe('ALPN', () => {
    const plain = async (script = http1): Promise<ScriptedServer> => {
      const started = await ScriptedServer.start(script, certificate);
      disposers.push(() => started.stop());
      return started;
    };

    it('chooses HTTP/1.1 if the server offers nothing else: one pool, and a connection for each watch', async () => {
      const old = await plain();
      const url = new URL(`${old.url}/x`);
      await Promise.all(Array.from({ length: 20 }, () => ask({ url })));
      expect(old.connections.length).toBeLessThanOrEqual(3);
      const pooled = old.connections.length;
      const first = await watch({ url: new URL(`${old.url}/watch`) });
      await watch({ url: new URL(`${old.url}/watch`) });
      expect([first.statusCode, old.connections.length]).toEqual([200, pooled + 2]);
      await ask({ url });
      expect(old.connections).toHaveLength(pooled + 2);
    });

    it('uses the connection on which the server chose', async () => {
      const old = await plain();
      for (let turn = 0; turn < 3; turn += 1) await ask({ url: new URL(old.url) });
      expect(old.connections).toHaveLength(1);
    });

    it('is negotiated again when the connections are closed, and may choose differently', async () => {
      const old = await plain();
      const { port } = old;
      const url = new URL(old.url);
      await ask({ url });
      const closed = new Promise((resolve) => old.connections[0]?.once('close', resolve));
      await old.stop();
      await closed;
      await start(watchable, {}, port);
      // The client may not have noticed yet, so a read is repeated.
      expect(await ask({ url })).toMatchObject({ text: 'done' });
      await ask({ url });
      expect(server.sessions.length).toBeLessThanOrEqual(1);
    });

    it('is negotiated again when the server has closed the only connection', async () => {
      const old = await plain((_request, response) => {
        response.writeHead(200, { connection: 'close' }).end('done');
      });
      const { port, url } = old;
      await ask({ url: new URL(url) });
      // Closed at both ends.
      await until(() => connections() === 0);
      await old.stop();
      await start(watchable, {}, port);
      expect(await put()).toMatchObject({ text: 'done' });
      expect(server.sessions).toHaveLength(1);
    });

    it('may choose HTTP/1.1 for a later connection, as behind a load balancer', async () => {
      await start(watchable);
      const { port } = server;
      await ask();
      const session = server.sessions[0];
      const closed = new Promise((resolve) => session?.once('close', resolve));
      session?.close();
      await closed;
      await server.stop();
      const older = await ScriptedServer.start(http1, certificate, port);
      disposers.push(() => older.stop());
      expect(await Promise.all([ask(), put()])).toMatchObject([{ text: 'done' }, { text: 'done' }]);
      expect((await watch()).statusCode).toBe(200);
    });
  });

  describe('GOAWAY', () => {
    it('lets requests in flight end, ends watches without an error, and sends new requests over another session', async () => {
      const open: SeenStream[] = [];
      await start((request) => {
        if (request.path === '/slow') open.push(request);
        else watchable(request);
      });
      const stream = await watch();
      const slow = put({ url: new URL(`${server.url}/slow`) });
      await server.arrived(2);
      server.sessions[0]?.goaway(NGHTTP2_NO_ERROR, 2 ** 31 - 1);
      expect(await told(stream)).toBe('opened\n');
      expect(await put()).toMatchObject({ text: 'done' });
      await watch();
      expect(sessionsOf(server.requests)).toEqual([1, 1, 2, 2]);
      reply(open[0] as SeenStream, 'late');
      expect(await slow).toMatchObject({ text: 'late' });
      await server.until(() => server.open === 1);
    });

    it.each([
      ['without an error', NGHTTP2_NO_ERROR],
      ['with an error', NGHTTP2_ENHANCE_YOUR_CALM],
    ])('%s: a write that the server did not process is sent once more', async (_name, code) => {
      await start((request) => {
        if (request.path === '/late' && request.session === 1) {
          // As if the request had come after the server decided to go away.
          request.stream.session?.goaway(code, 1);
        } else {
          reply(request);
        }
      });
      await ask();
      const { text } = await put({ url: new URL(`${server.url}/late`) });
      expect([text, sessionsOf(server.requests)]).toEqual(['done', [1, 1, 2]]);
    });

    it('with an error: a write that the server processed is not sent again', async () => {
      await start((request) => {
        if (request.path === '/late') request.stream.session?.goaway(NGHTTP2_ENHANCE_YOUR_CALM, 99);
        else reply(request);
      });
      await ask();
      await expect(put({ url: new URL(`${server.url}/late`) })).rejects.toMatchObject({
        code: 'ERR_HTTP2_SESSION_ERROR',
        sent: true,
      });
      expect(server.requests).toHaveLength(2);
    });

    it('ends a watch that is accepted after it', async () => {
      let stillOpen: Promise<string> | undefined;
      const url = await frames((stream) => {
        stream.goAway();
        void stream.ping().then(() => {
          stream.respond('opened\n');
          stillOpen = stream.ping().then(() => 'still open');
        });
      });
      const stream = await watch({ url });
      expect(await Promise.race([told(stream), stillOpen])).toBe('');
    });
  });

  describe('a stream', () => {
    it('that the server refuses is begun once more on another session, even for a write or a watch', async () => {
      await start((request) => {
        if (request.session === 1) request.stream.close(NGHTTP2_REFUSED_STREAM);
        else watchable(request);
      });
      expect(await put()).toMatchObject({ text: 'done' });
      expect((await watch()).statusCode).toBe(200);
      expect(sessionsOf(server.requests)).toEqual(expect.arrayContaining([1, 2]));
    });

    it('that is refused twice is an error that says it was not sent', async () => {
      await start(({ stream }) => {
        stream.close(NGHTTP2_REFUSED_STREAM);
      });
      await expect(put()).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR', sent: false });
      expect(server.requests).toHaveLength(2);
    });

    it.each([
      ['before an answer', NGHTTP2_INTERNAL_ERROR],
      ['before an answer, with CANCEL', NGHTTP2_CANCEL],
      ['before an answer, without an error', NGHTTP2_NO_ERROR],
      ['within an answer', undefined],
    ])(
      'that the server resets %s is an error that says the request may have been carried out',
      async (_name, code) => {
        await start((request) => {
          if (request.path !== '/reset') reply(request);
          else if (code !== undefined) request.stream.close(code);
          else {
            request.stream.respond({ ':status': 200 });
            request.stream.write('{"kind":', () => request.stream.destroy(new Error('reset')));
          }
        });
        await expect(put({ url: new URL(`${server.url}/reset`) })).rejects.toMatchObject({
          code: 'ERR_HTTP2_STREAM_ERROR',
          sent: true,
          cause: { message: expect.stringMatching(/stream/i) },
        });
        // The session is kept.
        await put();
        expect(sessionsOf(server.requests)).toEqual([1, 1]);
      },
    );

    it('whose connection is reset within its answer, after GOAWAY, is an error', async () => {
      await start((request) => {
        request.stream.session?.goaway(NGHTTP2_NO_ERROR, 2 ** 31 - 1);
        keepOpen(request, '{"kind":');
        setImmediate(() => server.resetAll());
      });
      await expect(put()).rejects.toMatchObject({ code: 'ECONNRESET', sent: true });
    });

    it('that is reset within an answer by CANCEL is an error', async () => {
      const url = await frames((stream) => {
        stream.respond('{"kind":');
        stream.reset(NGHTTP2_CANCEL);
      });
      const failure = { code: 'ERR_HTTP2_STREAM_ERROR', sent: true };
      await expect(put({ url })).rejects.toMatchObject(failure);
      await expect(watch({ url }).then(told)).rejects.toMatchObject(failure);
    });

    it.each([
      ['reset without an error ends', NGHTTP2_NO_ERROR, 'ended'],
      ['reset with CANCEL fails', NGHTTP2_CANCEL, 'ERR_HTTP2_STREAM_ERROR'],
    ])('of a watch that is %s', async (_name, code, expected) => {
      const streams: FrameStream[] = [];
      const url = await frames((stream) => {
        streams.push(stream);
        stream.respond('opened\n');
      });
      const events = (await watch({ url }))[Symbol.asyncIterator]();
      await events.next();
      const next = events.next();
      streams[0]?.reset(code);
      const outcome = next.then(
        ({ done }) => (done === true ? 'ended' : 'another event'),
        (error: unknown) => (error as TransportError).code,
      );
      expect(await outcome).toBe(expected);
    });

    it('of a watch fails if the server resets it, and not if the server ends it', async () => {
      await start((request) => {
        keepOpen(request);
        if (request.path === '/end') request.stream.end('last\n');
        else setImmediate(() => request.stream.destroy(new Error('reset')));
      });
      await expect(watch().then(told)).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
      expect(await told(await watch({ url: new URL(`${server.url}/end`) }))).toBe('opened\nlast\n');
    });

    it('is cancelled at once by its signal, for a request and a watch', async () => {
      await start((request) => {
        if (request.path === '/watch') keepOpen(request);
      });
      const stop = new AbortController();
      const reason = new Error('stopped');
      const pending = put({ signal: stop.signal });
      const stream = await watch({ signal: stop.signal });
      const ended = told(stream);
      await server.arrived(2);
      stop.abort(reason);
      const expected = { code: ABORTED, sent: true, cause: reason };
      await expect(pending).rejects.toMatchObject(expected);
      await expect(ended).rejects.toMatchObject(expected);
      await server.until(() => server.requests.every(({ stream: seen }) => seen.destroyed));
      expect(server.requests.map(({ stream: seen }) => seen.rstCode)).toEqual([
        NGHTTP2_CANCEL,
        NGHTTP2_CANCEL,
      ]);
      expect(server.open).toBe(1);
    });

    it('is cancelled when its reader stops or destroys it', async () => {
      await start(keepOpen);
      for await (const _chunk of await watch()) break;
      (await watch()).destroy();
      await server.until(
        () => server.requests.length === 2 && server.requests.every(({ stream }) => stream.destroyed),
      );
      expect(server.requests.map(({ stream }) => stream.rstCode)).toEqual([NGHTTP2_CANCEL, NGHTTP2_CANCEL]);
    });

    it('is not begun when its signal has fired', async () => {
      await start();
      const signal = AbortSignal.abort('now');
      await expect(put({ signal })).rejects.toMatchObject({ code: ABORTED, sent: false, cause: 'now' });
      expect(server.connections).toEqual([]);
    });

    it('is given up when the answer is longer than any object', async () => {
      await start((request) => {
        reply(request, 'x'.repeat(4 * 1024 * 1024));
      });
      await expect(put()).rejects.toMatchObject({ code: TOO_LONG, sent: true });
    });
  });

  describe('a session that is lost', () => {
    /** Cuts the connection of the second request. */
    const cutting: StreamScript = (request) => {
      if (server.requests.length === 2) server.connections[0]?.destroy();
      else watchable(request);
    };

    it('on its next use costs a read nothing', async () => {
      await start(cutting);
      await ask();
      expect(await ask()).toMatchObject({ text: 'done' });
      expect(sessionsOf(server.requests)).toEqual([1, 1, 2]);
    });

    it('on its next use costs a watch nothing', async () => {
      await start(cutting);
      await ask();
      expect((await watch()).statusCode).toBe(200);
    });

    it('fails a write, which is never sent twice', async () => {
      await start(cutting);
      await ask();
      await expect(put()).rejects.toMatchObject({ code: 'ECONNRESET', sent: true });
      expect(server.requests).toHaveLength(2);
    });

    it('ends its watches with an error', async () => {
      await start();
      const stream = await watch();
      server.connections[0]?.destroy();
      await expect(told(stream)).rejects.toMatchObject({ code: 'ECONNRESET', name: 'TransportError' });
      await ask();
    });
  });

  describe('doubt', () => {
    /** Answers only watches and requests for /ok. */
    const stalling: StreamScript = (request) => {
      if (request.path === '/request') return;
      watchable(request);
    };
    const ok = (parts: Partial<HttpRequest> = {}): Promise<HttpResponse> =>
      put({ url: new URL(`${server.url}/ok`), ...parts });

    it('does not arise from a request that was given up early', async () => {
      await start(stalling);
      const stop = new AbortController();
      const pending = put({ signal: stop.signal }).catch(() => 'given up');
      await server.arrived(1);
      clock.pass(999);
      stop.abort();
      expect(await pending).toBe('given up');
      await ok();
      await ok({ newConnection: true });
      expect([server.sessions.length, server.pings]).toEqual([1, []]);
    });

    it('ends when the PING is answered: a stalled stream does not end the session', async () => {
      await start(stalling);
      const stream = await watch();
      const stop = new AbortController();
      const pending = put({ signal: stop.signal }).catch(() => 'given up');
      await server.arrived(2);
      clock.pass(1_000);
      stop.abort();
      expect(await pending).toBe('given up');
      await server.until(() => server.pings.length > 0);
      // The answer to the PING comes before the answer to this request.
      await ok();
      await until(() => clock.delays.length === 0);
      await ok();
      expect(server.pings).toEqual([1]);
      expect(server.requests.at(-1)?.session).toBe(1);
      stream.destroy();
    });

    it('ends a session that does not answer the PING, with its watches', async () => {
      await start(stalling);
      const proxy = await faultProxy();
      const at = (path: string): { url: URL } => ({ url: new URL(path, proxy.url) });
      const stream = await watch(at('/watch'));
      const ended = told(stream);
      proxy.halfOpen();
      const stop = new AbortController();
      const pending = put({ ...at('/ok'), signal: stop.signal }).catch(() => 'given up');
      clock.pass(1_000);
      stop.abort();
      expect(await pending).toBe('given up');
      expect(clock.delays).toEqual([2_000]);
      // In doubt, new requests use another session.
      await ok(at('/ok'));
      expect(server.sessions).toHaveLength(2);
      await clock.ring(2_000);
      await clock.ring(0);
      await expect(ended).rejects.toMatchObject({ code: 'ETIMEDOUT' });
      await ok(at('/ok'));
      expect([server.sessions.length, server.pings, clock.delays]).toEqual([2, [], []]);
    });

    it('arises from a request for a new connection while another request is overdue; it uses another session', async () => {
      await start(stalling);
      const proxy = await faultProxy();
      const at = (path: string): { url: URL } => ({ url: new URL(path, proxy.url) });
      const ended = told(await watch(at('/watch')));
      proxy.halfOpen();
      const first = put(at('/ok')).catch((error: unknown) => error);
      clock.pass(1_000);
      expect(await ok({ ...at('/ok'), newConnection: true })).toMatchObject({ text: 'done' });
      await clock.ring(2_000);
      await clock.ring(0);
      await expect(ended).rejects.toMatchObject({ code: 'ETIMEDOUT' });
      expect(await first).toMatchObject({ code: 'ETIMEDOUT', sent: true });
      expect(sessionsOf(server.requests)).toEqual([1, 2]);
    });

    it('makes many requests that are resent at the same time open only one session', async () => {
      await start(stalling);
      const stop = new AbortController();
      setMaxListeners(0, stop.signal);
      const first = Array.from({ length: 20 }, () => put({ signal: stop.signal }).catch(() => 'given up'));
      await server.arrived(20);
      clock.pass(1_000);
      await Promise.all(Array.from({ length: 20 }, () => ok({ newConnection: true })));
      expect(server.sessions).toHaveLength(2);
      expect(server.pings).toEqual([1]);
      // The healthy session with the stalled streams still takes other requests.
      await Promise.all(Array.from({ length: 20 }, () => ok()));
      stop.abort();
      await Promise.all(first);
      expect(server.sessions).toHaveLength(2);
    });

    it('does not arise again with every request while a session has just proved to be alive', async () => {
      await start(stalling);
      const stop = new AbortController();
      const first = put({ signal: stop.signal }).catch(() => 'given up');
      await server.arrived(1);
      clock.pass(1_000);
      await ok({ newConnection: true });
      await until(() => clock.delays.length === 0);
      for (let turn = 0; turn < 5; turn += 1) await ok({ newConnection: true });
      expect(server.pings).toEqual([1]);
      expect(server.requests.slice(1).every(({ session }) => session === 2)).toBe(true);
      stop.abort();
      await first;
    });

    it('allows for a stalled event loop: an answer that has arrived counts', async () => {
      await start(stalling);
      const proxy = await faultProxy();
      const at = (path: string): { url: URL } => ({ url: new URL(path, proxy.url) });
      const stream = await watch(at('/watch'));
      proxy.stall('replies');
      const stop = new AbortController();
      const pending = put({ ...at('/ok'), signal: stop.signal }).catch(() => 'given up');
      await server.arrived(2);
      clock.pass(1_000);
      stop.abort();
      await pending;
      await server.until(() => server.pings.length === 1);
      await clock.ring(2_000);
      proxy.heal();
      await until(() => clock.delays.length === 0);
      await ok(at('/ok'));
      expect([server.sessions.length, server.open]).toEqual([1, 1]);
      stream.destroy();
    });
  });

  describe('a connection that is being opened', () => {
    /** Accepts connections and sends nothing. */
    const mute = async (): Promise<{
      server: Server;
      url: URL;
      sockets: Socket[];
      next: () => Promise<void>;
    }> => {
      const sockets: Socket[] = [];
      const waiting: (() => void)[] = [];
      const listener = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined);
        for (const resolve of waiting.splice(0)) resolve();
      });
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
      disposers.push(() => {
        for (const socket of sockets) socket.destroy();
        listener.close();
      });
      const url = new URL(`https://127.0.0.1:${String((listener.address() as AddressInfo).port)}`);
      const next = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
      return { server: listener, url, sockets, next };
    };

    it('fails all requests that wait for it when it is refused, and nothing was sent', async () => {
      await start();
      await server.stop();
      const all = await Promise.allSettled([put(), ask(), watch()]);
      for (const each of all)
        expect(each).toMatchObject({ status: 'rejected', reason: { code: 'ECONNREFUSED', sent: false } });
    });

    it('is given up when the last request that waits for it is', async () => {
      const { url, sockets, next } = await mute();
      const [one, other] = [new AbortController(), new AbortController()];
      const accepted = next();
      const pending = [put({ url, signal: one.signal }), put({ url, signal: other.signal })];
      await accepted;
      const closed = new Promise((resolve) => sockets[0]?.resume().once('close', resolve));
      one.abort();
      await expect(pending[0]).rejects.toMatchObject({ code: ABORTED, sent: false });
      expect(clock.delays).toEqual([10_000]);
      other.abort();
      await expect(pending[1]).rejects.toMatchObject({ code: ABORTED, sent: false });
      await closed;
      expect(sockets).toHaveLength(1);
      await until(() => clock.delays.length === 0);
    });

    it('does not delay a request that is resent after a second, and ends after ten seconds', async () => {
      const { url, sockets, next } = await mute();
      const accepted = next();
      const first = put({ url });
      await accepted;
      const early = put({ url, newConnection: true });
      clock.pass(1_000);
      const again = next();
      const late = put({ url, newConnection: true });
      const all = Promise.allSettled([first, early, late]);
      await again;
      expect(sockets).toHaveLength(2);
      await clock.ring(10_000);
      await clock.ring(10_000);
      for (const each of await all)
        expect(each).toMatchObject({ reason: { code: 'ETIMEDOUT', sent: false } });
    });

    it('that ends before it can be used fails the requests that wait for it', async () => {
      const { url, server: listener } = await mute();
      listener.on('connection', (socket) => socket.destroy());
      await expect(put({ url })).rejects.toMatchObject({ sent: false });
    });
  });

  describe('the end', () => {
    it('of a route, after certificates were renewed, closes idle sessions now and used ones after their last stream', async () => {
      const open: SeenStream[] = [];
      await start((request) => {
        if (request.path === '/slow') open.push(request);
        else reply(request);
      });
      await ask();
      const renewed: Route = { ...route, tls: { ...route.tls, passphrase: 'renewed' } };
      const slow = ask({ url: new URL(`${server.url}/slow`) }, renewed);
      await server.arrived(2);
      await server.until(() => server.open === 1);
      await ask();
      reply(open[0] as SeenStream, 'late');
      expect(await slow).toMatchObject({ text: 'late' });
      await server.until(() => server.open === 1);
      expect(sessionsOf(server.requests)).toEqual([1, 2, 3]);
    });

    it('of a route that is replaced while it connects comes after the requests that wait for it', async () => {
      await start();
      const renewed: Route = { ...route, tls: { ...route.tls, passphrase: 'renewed' } };
      expect(await Promise.all([put(), ask({}, renewed)])).toMatchObject([
        { text: 'done' },
        { text: 'done' },
      ]);
      expect(server.connections).toHaveLength(2);
      await server.until(() => server.open === 1);
    });

    it('of the transport gives up requests that wait for a stream', async () => {
      await start(() => undefined, limited(1));
      const all = Promise.allSettled([put(), put()]);
      await server.arrived(1);
      transport.close();
      expect(await all).toMatchObject([
        { reason: { sent: true } },
        { reason: { code: 'ECONNRESET', sent: false } },
      ]);
      expect(server.connections).toHaveLength(1);
    });

    it('of the transport closes everything, and the next request opens a connection again', async () => {
      await start((request) => {
        if (request.path === '/watch') keepOpen(request);
        else if (server.requests.length > 2) reply(request);
      });
      const stream = await watch();
      const ended = told(stream);
      const pending = put();
      await server.arrived(2);
      transport.close();
      await expect(ended).rejects.toMatchObject({ code: 'ECONNRESET' });
      await expect(pending).rejects.toMatchObject({ code: 'ECONNRESET', sent: true });
      const connecting = put();
      transport.close();
      await expect(connecting).rejects.toMatchObject({ code: 'ECONNRESET', sent: false });
      expect(await put()).toMatchObject({ text: 'done' });
      await server.until(() => server.open === 1);
    });
  });

  describe('TLS', () => {
    it('verifies the server against the given authority and name', async () => {
      const other = TestAuthority.make() as TestAuthority;
      disposers.push(() => {
        other.remove();
      });
      await start(watchable, other.issue('api', 'DNS:api.test'));
      const by = (material: object): Promise<HttpResponse> =>
        ask({}, { tls: { rejectUnauthorized: true, ...material }, proxied: undefined });
      await expect(by({ ca: authority.ca })).rejects.toMatchObject({
        sent: false,
        code: expect.stringMatching(/VERIFY|CERT/),
      });
      await expect(by({ ca: other.ca })).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      expect(await by({ ca: other.ca, servername: 'api.test' })).toMatchObject({ text: 'done' });
      expect(server.requests).toHaveLength(1);
      expect(server.connections.at(-1)?.servername).toBe('api.test');
    });

    it('sends the name of the server', async () => {
      await start(watchable, authority.issue('api', 'DNS:localhost'));
      expect(await ask({ url: new URL(`https://localhost:${String(server.port)}`) })).toMatchObject({
        status: 200,
      });
      expect(server.connections[0]?.servername).toBe('localhost');
    });

    it('sends the client certificate', async () => {
      await start(watchable, { requestCert: true, rejectUnauthorized: true, ca: authority.ca });
      const client = authority.issue('me');
      const own: Route = { ...route, tls: { ...route.tls, ...client } };
      expect(await ask({}, own)).toMatchObject({ text: 'done' });
      expect(server.connections[0]?.getPeerCertificate().subject.CN).toBe('me');
    });

    it('reports an unusable key without showing it', async () => {
      await start();
      const key = canary('no-key');
      const token = canary('over-http2');
      const failed: unknown = await ask(
        { headers: { Authorization: `Bearer ${token}` } },
        { ...route, tls: { ...route.tls, cert: certificate.cert, key } },
      ).catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(TransportError);
      expect(failed).toMatchObject({ sent: false });
      expect(inspect(failed, { depth: 9, showHidden: true })).not.toMatch(new RegExp(`${key}|${token}`));
    });

    it('shows no header in an error of a stream or session', async () => {
      await start(({ stream, path }) => {
        if (path === '/reset') stream.close(NGHTTP2_INTERNAL_ERROR);
        else stream.session?.destroy();
      });
      const token = canary('in-a-header');
      for (const path of ['/reset', '/cut']) {
        const headers = { Authorization: `Bearer ${token}` };
        const failed: unknown = await put({ url: new URL(server.url + path), headers }).catch(
          (error: unknown) => error,
        );
        expect(failed).toBeInstanceOf(TransportError);
        expect(inspect(failed, { depth: 9, showHidden: true })).not.toContain(token);
      }
    });
  });

  describe('a tunnel', () => {
    const through = (proxy: string): Route => ({
      ...route,
      tunnel: ({ host, port }, signal) =>
        new Promise((resolve, reject) => {
          const { hostname, port: by } = new URL(proxy);
          const path = `${host}:${String(port)}`;
          const asking = http.request({ hostname, port: by, method: 'CONNECT', path, signal });
          asking.on('connect', (_response, socket: Socket) => {
            resolve(socket);
          });
          asking.on('error', reject);
          asking.end();
        }),
    });
    const proxied = async (...args: Parameters<typeof ConnectProxy.start>): Promise<ConnectProxy> => {
      const proxy = await ConnectProxy.start(...args);
      disposers.push(() => proxy.stop());
      return proxy;
    };

    it('carries one session', async () => {
      await start();
      const proxy = await proxied();
      const by = through(proxy.url);
      await Promise.all([ask({}, by), ask({}, by), watch({}, by)]);
      await ask({}, by);
      expect(proxy.targets).toEqual([`127.0.0.1:${String(server.port)}`]);
      expect(server.sessions).toHaveLength(1);
    });

    it('carries HTTP/1.1 if the server offers nothing else', async () => {
      const old = await ScriptedServer.start(http1, certificate);
      disposers.push(() => old.stop());
      const proxy = await proxied();
      const by = through(proxy.url);
      const url = new URL(`${old.url}/watch`);
      expect((await watch({ url }, by)).statusCode).toBe(200);
      expect(await ask({ url: new URL(old.url) }, by)).toMatchObject({ text: 'done' });
      // By now it is known that the server speaks HTTP/1.1.
      expect((await watch({ url }, by)).statusCode).toBe(200);
      expect(proxy.targets).toEqual(Array.from({ length: 3 }, () => `127.0.0.1:${String(old.port)}`));
    });

    it('that hangs is given up together with the request', async () => {
      await start();
      const proxy = await proxied('hang');
      const stop = new AbortController();
      const asked = proxy.nextConnect();
      const pending = ask({ signal: stop.signal }, through(proxy.url));
      await asked;
      stop.abort();
      await expect(pending).rejects.toMatchObject({ code: ABORTED, sent: false });
    });
  });

  describe('an idle session', () => {
    it('may be ended by the server; the next request opens another', async () => {
      await start();
      await ask();
      server.sessions[0]?.close();
      await server.until(() => server.open === 0);
      expect(await put()).toMatchObject({ text: 'done' });
      expect(sessionsOf(server.requests)).toEqual([1, 2]);
    });
  });
}

/** Opens a watch for /watch, and answers other requests. */
function watchable(request: SeenStream): void {
  if (request.path !== '/watch') {
    reply(request);
    return;
  }
  request.stream.respond({ ':status': 200, 'x-kind': 'watch' });
  request.stream.write('opened\n');
}

/** The same over HTTP/1.1. */
const http1: Parameters<typeof ScriptedServer.start>[0] = ({ url }, response) => {
  if (url === '/watch') response.writeHead(200).write('opened\n');
  else response.end('done');
};

/** How many connections keep this process alive. */
function connections(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

/** Turns the event loop until the condition holds. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
