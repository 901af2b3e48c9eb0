/** Requests that would cost much time or memory, and requests of web pages. */
import { request as httpRequest } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaseApiServer } from '../../../lib/testing/index.js';
import { LeaseClient } from './lease-client.js';

const COLLECTION = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

let server: LeaseApiServer;

beforeEach(async () => {
  server = await LeaseApiServer.start();
});

afterEach(async () => {
  await server.stop();
});

interface Reply {
  readonly status: number;
  readonly message: string;
  readonly bytes: number;
}

function send(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(server.url + path, { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const { message = '' } = JSON.parse(text) as { message?: string };
        resolve({ status: response.statusCode ?? 0, message, bytes: text.length });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

const patch = (kind: string, body: string): Promise<Reply> =>
  send('PATCH', `${COLLECTION}/a`, { 'content-type': `application/${kind}+json` }, body);

const create = (body: string): Promise<Reply> =>
  send('POST', COLLECTION, { 'content-type': 'application/json' }, body);

function manyNames(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, each) => [`n${String(each)}`, 'v']));
}

describe('a web page', () => {
  it.each(['evil.example', 'evil.example:80', '10.0.0.1', '127.0.0.1.evil.example', '[::2]', 'a b'])(
    'cannot reach the server under another name than a loopback name: Host %j',
    async (host) => {
      server.put({ metadata: { name: 'a' } });
      const read = await send('GET', `${COLLECTION}/a`, { host });
      expect([read.status, read.message]).toEqual([400, expect.stringContaining('loopback')]);
      expect((await send('DELETE', `${COLLECTION}/a`, { host })).status).toBe(400);
      expect(server.leases).toHaveLength(1);
    },
  );

  it.each(['localhost', 'LOCALHOST:1234', 'lease.localhost', '127.0.0.1', '127.1.2.3:99', '[::1]:6443'])(
    'is not assumed for a loopback name: Host %j',
    async (host) => {
      expect((await send('GET', COLLECTION, { host })).status).toBe(200);
    },
  );

  it.each(['https://evil.example', 'http://localhost:1', 'http://127.0.0.1:1', 'null'])(
    'of another origin cannot write, not even without a content type: Origin %j',
    async (origin) => {
      const body = '{"metadata":{"name":"a"},"spec":{"holderIdentity":"page"}}';
      const fault = server.faults.add({ do: { answer: 500 } });
      for (const headers of [{ origin }, { origin, 'content-type': 'text/plain' }]) {
        const answer = await send('POST', COLLECTION, headers, body);
        expect([answer.status, answer.message]).toEqual([403, expect.stringContaining('origin')]);
      }
      expect((await send('GET', COLLECTION, { origin })).status).toBe(403);
      expect([server.leases, fault.happened]).toEqual([[], 0]);
    },
  );

  it.each(['cross-site', 'same-site'])('of another origin cannot load an image: %s', async (site) => {
    expect((await send('GET', COLLECTION, { 'sec-fetch-site': site })).status).toBe(403);
  });

  it('of the server’s own origin can read and write', async () => {
    const ownPage = { origin: server.url, 'sec-fetch-site': 'same-origin' };
    expect((await send('POST', COLLECTION, ownPage, '{"metadata":{"name":"own"}}')).status).toBe(201);
    expect((await send('GET', COLLECTION, { 'sec-fetch-site': 'none' })).status).toBe(200);
    expect((await send('GET', COLLECTION, { origin: server.url })).status).toBe(200);
    const host = `localhost:${new URL(server.url).port}`;
    expect((await send('GET', COLLECTION, { host, origin: `http://${host}` })).status).toBe(200);
  });
});

describe('a body', () => {
  it.each([101, 5_000, 1_000_000])('of %d nested lists does not stop the server', async (depth) => {
    const deep = '['.repeat(depth) + ']'.repeat(depth);
    server.put({ metadata: { name: 'a' } });
    const answers = [
      await create(`{"metadata":{"name":"b"},"x":${deep}}`),
      await create(`{"metadata":{"name":"c","managedFields":[{"fieldsV1":${deep}}]}}`),
      await patch('merge-patch', `{"x":${deep}}`),
      await patch('strategic-merge-patch', `{"x":${deep}}`),
      await patch('json-patch', `[{"op":"add","path":"/x","value":${deep}}]`),
      await send('POST', REVIEWS, {}, `{"spec":{"resourceAttributes":{"x":${deep}}}}`),
    ];
    expect(
      answers.map(({ status }) => status).filter((status) => ![200, 201, 400, 422, 500].includes(status)),
    ).toEqual([]);
    expect((await send('GET', `${COLLECTION}/a`)).status).toBe(200);
  });

  it.each(['merge-patch', 'strategic-merge-patch', 'json-patch'])(
    'of very many values is answered: %s',
    async (kind) => {
      server.put({ metadata: { name: 'a' } });
      const spec = manyNames(100_000);
      const body = kind === 'json-patch' ? [{ op: 'add', path: '/x', value: spec }] : { spec };
      expect((await patch(kind, JSON.stringify(body))).status).toBe(200);
    },
  );

  it('with many wrong labels gets a short answer', async () => {
    const labels = Object.fromEntries(
      Array.from({ length: 4_000 }, (_, each) => [`-${String(each)}`, '-'.repeat(500)]),
    );
    const answer = await create(JSON.stringify({ metadata: { name: 'b', labels } }));
    expect(answer.status).toBe(422);
    expect(answer.bytes).toBeLessThan(500_000);
  });

  it('with an unknown field of any name is carried out', async () => {
    for (const name of ['ü😀\u2028\u007f', 'x'.repeat(1_000_000)]) {
      const answer = await create(JSON.stringify({ metadata: { generateName: 'a-' }, [name]: 1 }));
      expect(answer.status).toBe(201);
    }
  });

  it('cannot change Object.prototype', async () => {
    const key = 'x\n__proto__\npolluted';
    await create(JSON.stringify({ metadata: { name: 'b', annotations: { [key]: 'v' } } }));
    await create('{"metadata":{"name":"b","annotations":{"__proto__":"v"}},"__proto__":{"polluted":1}}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe('a JSON patch', () => {
  it('that doubles the Lease sixty times is refused', async () => {
    server.put({ metadata: { name: 'a' }, spec: { holderIdentity: 'me' } });
    const copies = Array.from({ length: 60 }, (_, each) => ({
      op: 'copy',
      from: '/spec',
      path: `/spec/x${String(each)}`,
    }));
    expect((await patch('json-patch', JSON.stringify(copies))).status).toBe(422);
  });

  it('that copies a large value many times is refused', async () => {
    server.put({ metadata: { name: 'a' } });
    const large = [{ op: 'add', path: '/x', value: 'x'.repeat(1_000_000) }];
    const copies = Array.from({ length: 500 }, (_, each) => ({
      op: 'copy',
      from: '/x',
      path: `/y${String(each)}`,
    }));
    expect((await patch('json-patch', JSON.stringify([...large, ...copies]))).status).toBe(422);
  });

  it('with a pointer of a million names is refused', async () => {
    server.put({ metadata: { name: 'a' } });
    const path = '/x'.repeat(1_000_000);
    for (const operation of [
      { op: 'test', path, value: 1 },
      { op: 'copy', from: path, path: '/x' },
    ]) {
      expect((await patch('json-patch', JSON.stringify([operation]))).status).toBe(422);
    }
  });

  it('that copies a value into itself many times does not stop the server', async () => {
    server.put({ metadata: { name: 'a' } });
    const deep = `/x${'/x'.repeat(95)}`;
    const begin = {
      op: 'add',
      path: '/x',
      value: JSON.parse(`${'{"x":'.repeat(95)}{}${'}'.repeat(95)}`) as unknown,
    };
    const copies = Array.from({ length: 1_000 }, () => ({ op: 'copy', from: '/x', path: deep }));
    const { status } = await patch('json-patch', JSON.stringify([begin, ...copies]));
    expect([422, 500]).toContain(status);
    expect((await send('GET', `${COLLECTION}/a`)).status).toBe(200);
  });

  it('of too many operations is refused', async () => {
    server.put({ metadata: { name: 'a' } });
    const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '', value: 1 }));
    expect((await patch('json-patch', JSON.stringify(operations))).status).toBe(413);
  });
});

describe('a number', () => {
  it.each(['2147484', '9223372036854775807'])(
    'of seconds is cut to the longest timer: %s',
    async (seconds) => {
      const timers = vi.spyOn(globalThis, 'setTimeout');
      const client = new LeaseClient(server.url);
      await client.watch(`&allowWatchBookmarks=true&timeoutSeconds=${seconds}`);
      const longest = Math.max(...timers.mock.calls.map(([, delayMs = 0]) => delayMs));
      timers.mockRestore();
      client.close();
      expect(longest).toBe(2 ** 31 - 1); // Node treats a longer delay as 1 ms.
    },
  );

  it('of a million digits is refused as a resourceVersion', async () => {
    server.put({ metadata: { name: 'a' } });
    const long = '9'.repeat(1_000_000);
    const body = (metadata: object): string => JSON.stringify({ metadata: { name: 'a', ...metadata } });
    const put = await send('PUT', `${COLLECTION}/a`, {}, body({ resourceVersion: long }));
    expect([put.status, put.bytes < 20_000]).toEqual([500, true]);
    const list = await send('GET', `${COLLECTION}?resourceVersion=${'9'.repeat(30)}`);
    expect(list.status).toBe(400);
    const number = `{"metadata":{"name":"b"},"spec":{"leaseTransitions":${long}}}`;
    expect((await create(number)).status).toBe(400);
  });
});

describe('a content type', () => {
  it('with many spaces is read in linear time', async () => {
    const type = `application/json${' '.repeat(15_000)}x`;
    expect((await send('POST', COLLECTION, { 'content-type': type }, '{}')).status).toBe(415);
  });
});
