/** Requests of other clients, and what this server does not serve. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeaseApiServer } from '../../../lib/testing/index.js';

const COLLECTION = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

let server: LeaseApiServer;

beforeEach(async () => {
  server = await LeaseApiServer.start();
  server.put({ metadata: { name: 'a' }, spec: { holderIdentity: 'me' } });
});

afterEach(async () => {
  await server.stop();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request. The text is the whole answer, or the first chunk of a watch. */
function send(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<Answer> {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const options = { method, headers: { ...headers, ...length } };
    const request = httpRequest(server.url + path, options, (response) => {
      const { statusCode: status, headers: received } = response;
      const settle = (text: string): void => {
        resolve({ status, headers: received, text });
        request.destroy();
      };
      response.once('data', (chunk: Buffer) => {
        settle(chunk.toString('utf8'));
      });
      response.once('end', () => {
        settle('');
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe('a watch over WebSocket', () => {
  const websocket = {
    connection: 'Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
  };

  it.each(['websocket', 'WebSocket'])(
    'ends at once with an empty 200, so fabric8 falls back to plain HTTP: Upgrade %s',
    async (upgrade) => {
      const answer = await send('GET', `${COLLECTION}?watch=true`, { ...websocket, upgrade });
      expect([answer.status, answer.headers['content-length'], answer.text]).toEqual([200, '0', '']);
      expect([server.openWatches, server.requests.at(-1)?.status]).toEqual([0, 200]);
    },
  );

  it('is refused if the user may not watch', async () => {
    const strict = await LeaseApiServer.start({ tokens: {} });
    const { port } = new URL(strict.url);
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { ...websocket, upgrade: 'websocket' };
      httpRequest({ host: '127.0.0.1', port, path: `${COLLECTION}?watch=1`, headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    await strict.stop();
    expect(answer).toBe(403);
  });

  it('affects no other request and no other upgrade', async () => {
    const get = await send('GET', `${COLLECTION}/a`, { ...websocket, upgrade: 'websocket' });
    expect(get.text).toContain('"holderIdentity":"me"');
    const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': '' };
    expect((await send('GET', `${COLLECTION}?watch=1`, h2c)).text).toContain('"holderIdentity":"me"');
  });
});

describe('a client that speaks protobuf', () => {
  const review = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

  it.each([
    ['POST', COLLECTION],
    ['PUT', `${COLLECTION}/a`],
    ['DELETE', `${COLLECTION}/a`],
    ['POST', review],
  ])('gets 415, and reads that JSON is accepted: %s %s', async (method, path) => {
    const { status, text } = await send(method, path, { 'content-type': PROTOBUF }, 'k8s\0');
    expect(status).toBe(415);
    expect(JSON.parse(text)).toMatchObject({
      reason: 'UnsupportedMediaType',
      message: expect.stringMatching(/accepted media types include: application\/json$/) as string,
    });
  });

  it('gets 406 unless it also accepts JSON', async () => {
    const { status, text } = await send('GET', `${COLLECTION}/a`, { accept: PROTOBUF });
    expect(status).toBe(406);
    expect(JSON.parse(text)).toMatchObject({
      message: expect.stringMatching(/Available representations: application\/json$/) as string,
    });
    const both = await send('GET', `${COLLECTION}/a`, { accept: `${PROTOBUF},application/json` });
    expect(both.text).toContain('"holderIdentity":"me"');
  });
});

describe('the server', () => {
  it('has no server-side apply: 415', async () => {
    const type = { 'content-type': 'application/apply-patch+yaml' };
    for (const name of ['a', 'missing'])
      expect((await send('PATCH', `${COLLECTION}/${name}`, type, '{}')).status).toBe(415);
  });

  it('has no schema of its objects: /openapi/v2 is 404', async () => {
    expect((await send('GET', '/openapi/v2', {})).status).toBe(404);
  });

  it('refuses the directives of a strategic merge patch', async () => {
    const type = { 'content-type': 'application/strategic-merge-patch+json' };
    const body = '{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/a"]}}';
    expect((await send('PATCH', `${COLLECTION}/a`, type, body)).status).toBe(400);
  });

  it('lists in one page, whatever the limit', async () => {
    server.put({ metadata: { name: 'b' } });
    const { text } = await send('GET', `${COLLECTION}?limit=1`, {});
    expect((JSON.parse(text) as { items: unknown[] }).items).toHaveLength(2);
  });

  it.each(['Foreground', 'Orphan'])(
    'deletes at once, because no object depends on a Lease: %s',
    async (policy) => {
      const path = `${COLLECTION}/a?propagationPolicy=${policy}`;
      expect(JSON.parse((await send('DELETE', path, {})).text)).toMatchObject({ status: 'Success' });
      expect(server.leases).toEqual([]);
    },
  );

  it('does not list at an older version: 410', async () => {
    const { resourceVersion } = server.put({ metadata: { name: 'b' } }).metadata;
    const exact = `${COLLECTION}?resourceVersionMatch=Exact&resourceVersion=${resourceVersion}`;
    expect((await send('GET', exact, {})).status).toBe(200);
    server.delete('b');
    expect((await send('GET', exact, {})).status).toBe(410);
  });
});
