import http2 from 'node:http2';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Transport, type HttpResponse, type HttpStream } from '../../lib/kubernetes/transport.js';
import { Http2Server, keepOpen, reply } from '../kubernetes/http2-server.js';
import { TestAuthority } from '../kubernetes/test-authority.js';
import { StreamProxy } from './stream-proxy.js';

const { NGHTTP2_INTERNAL_ERROR } = http2.constants;
const authority = TestAuthority.make();
afterAll(() => {
  authority?.remove();
});

describe('the stream proxy', () => {
  if (authority === undefined) {
    it('is not tested here: there is no openssl to make certificates with', () => {
      expect(authority).toBeUndefined();
    });
    return;
  }
  const { ca } = authority;
  const certificate = authority.issue('server', 'IP:127.0.0.1');
  const route = { tls: { ca, rejectUnauthorized: true }, proxied: undefined };
  const writes = ({ method }: { readonly method: string }): boolean => method === 'PUT';
  let server: Http2Server;
  let proxy: StreamProxy;
  let transport: Transport;

  beforeEach(async () => {
    server = await Http2Server.start((request) => {
      if (request.path === '/watch') keepOpen(request);
      else reply(request, request.body);
    }, certificate);
    proxy = await StreamProxy.start(server.url, { ...certificate, ca });
    transport = new Transport();
  });
  afterEach(async () => {
    transport.close();
    await proxy.stop();
    await server.stop();
  });

  const common = { headers: {}, signal: new AbortController().signal, newConnection: false } as const;
  const put = (body: string): Promise<HttpResponse> =>
    transport.exchange({ ...common, method: 'PUT', url: new URL(proxy.url), body }, route);
  const watch = (): Promise<HttpStream> =>
    transport.open({ ...common, method: 'GET', url: new URL('/watch', proxy.url) }, route);
  const told = async (stream: HttpStream): Promise<string> => {
    let text = '';
    for await (const chunk of stream) text += chunk.toString('utf8');
    return text;
  };

  it('passes on requests, answers and watches', async () => {
    expect(await put('one')).toMatchObject({ status: 200, text: 'one' });
    const stream = await watch();
    const text = told(stream);
    server.requests.at(-1)?.stream.end('more');
    expect(await text).toBe('opened\nmore');
    expect(server.sessions).toHaveLength(1);
  });

  it('stalls only one stream, after the server has carried out its request', async () => {
    await put('one');
    proxy.stall(writes);
    const struck = proxy.next();
    const stalled = put('two');
    await struck;
    expect(server.requests.map(({ body }) => body)).toEqual(['one', 'two']);
    expect((await watch()).statusCode).toBe(200);
    proxy.heal();
    expect(await stalled).toMatchObject({ text: 'two' });
  });

  it('resets the next stream after the server has carried out its request', async () => {
    proxy.reset(writes, NGHTTP2_INTERNAL_ERROR);
    await expect(put('one')).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR', sent: true });
    expect(await put('two')).toMatchObject({ text: 'two' });
    expect(server.requests.map(({ body }) => body)).toEqual(['one', 'two']);
  });

  it('goes away: new requests use another session', async () => {
    const stream = await watch();
    proxy.goAway();
    expect(await told(stream)).toBe('opened\n');
    await put('one');
    expect(server.sessions).toHaveLength(2);
  });
});
