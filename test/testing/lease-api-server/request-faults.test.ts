/** Faults of single requests. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeaseApiServer, type FaultAction, type FaultAnswer } from '../../../lib/testing/index.js';
import { LeaseClient } from './lease-client.js';

let server: LeaseApiServer;
let client: LeaseClient;

beforeEach(async () => {
  server = await LeaseApiServer.start();
  client = new LeaseClient(server.url);
});

afterEach(async () => {
  client.close();
  await server.stop();
});

function holders(): (string | undefined)[] {
  return server.leases.map(({ spec }) => spec.holderIdentity);
}

describe('a lost request', () => {
  it('is not carried out', async () => {
    server.faults.add({ when: { verb: 'update' }, times: 1, do: 'dropRequest' });
    await expect(client.make('a')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(holders()).toEqual([]);
    expect((await client.make('b')).status).toBe(201);
  });
});

describe('a lost reply', () => {
  it('belongs to a request that was carried out', async () => {
    const fault = server.faults.add({ when: { verb: 'update' }, times: 1, do: 'dropReply' });
    await expect(client.make('a')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect([fault.happened, holders()]).toEqual([1, ['a']]);
  });

  it('does not keep the event from watches', async () => {
    const watch = await client.watch();
    server.faults.add({ when: { verb: 'update' }, do: 'dropReply' });
    await expect(client.make('a')).rejects.toThrow();
    expect(await watch.next()).toBe('ADDED a');
  });
});

describe('a hanging request', () => {
  it('is neither carried out nor answered', async () => {
    const fault = server.faults.add({ when: { verb: 'update' }, do: 'hangRequest' });
    const given = new AbortController();
    const answer = client.make('a', 'a', given.signal);
    await fault.whenHappened();
    expect(holders()).toEqual([]);
    expect(server.requests.map(({ verb, status }) => [verb, status])).toEqual([['update', undefined]]);
    given.abort();
    await expect(answer).rejects.toThrow();
  });

  it('can be carried out and never be answered', async () => {
    const fault = server.faults.add({ when: { verb: 'update' }, do: 'hangReply' });
    const given = new AbortController();
    const answer = client.make('a', 'a', given.signal);
    await fault.whenHappened();
    expect(holders()).toEqual(['a']);
    given.abort();
    await expect(answer).rejects.toThrow();
  });

  it('does not keep the server from stopping', async () => {
    const fault = server.faults.add({ do: 'hangRequest' });
    const answer = client.get();
    const refused = expect(answer).rejects.toThrow();
    await fault.whenHappened();
    await server.stop();
    await refused;
  });
});

describe('a delay', () => {
  it('of the request carries it out later, also if the client has given up', async () => {
    server.put({ metadata: { name: 'b' } });
    const fault = server.faults.add({ when: { verb: 'update' }, times: 1, do: { delayRequestMs: 50 } });
    const given = new AbortController();
    const watch = await client.watch('');
    expect(await watch.next()).toBe('ADDED undefined');
    const answer = client.make('late', 'a', given.signal);
    await fault.whenHappened();
    expect(server.leases).toHaveLength(1);
    given.abort();
    await expect(answer).rejects.toThrow();
    expect(await watch.next()).toBe('ADDED late');
  });

  it('of the reply carries it out at once', async () => {
    const fault = server.faults.add({ when: { verb: 'update' }, do: { delayReplyMs: 50 } });
    const answer = client.make('a');
    await fault.whenHappened();
    expect(holders()).toEqual(['a']);
    expect(server.requests.at(-1)?.status).toBeUndefined();
    expect((await answer).status).toBe(201);
  });

  it('ends with the server', async () => {
    const fault = server.faults.add({ do: { delayReplyMs: 3_600_000 } });
    const refused = expect(client.get()).rejects.toThrow();
    await fault.whenHappened();
    await server.stop();
    await refused;
  });
});

describe('a wrong answer', () => {
  it.each<[FaultAnswer['answer'], reason: string, retryAfter: string | undefined]>([
    [401, 'Unauthorized', undefined],
    [403, 'Forbidden', undefined],
    [409, 'Conflict', undefined],
    [410, 'Expired', undefined],
    [500, 'InternalError', undefined],
    [503, 'ServiceUnavailable', '1'],
    [504, 'Timeout', undefined],
  ])('%d is a Status', async (answer, reason, retryAfter) => {
    server.faults.add({ do: { answer } });
    const { status, text, headers } = await client.make('a');
    expect([status, headers['retry-after']]).toEqual([answer, retryAfter]);
    expect(JSON.parse(text)).toMatchObject({ kind: 'Status', code: answer, reason });
    expect(holders()).toEqual([]);
  });

  it('429 is plain text', async () => {
    server.faults.add({ do: { answer: 429, retryAfterSeconds: 2 } });
    const { status, text, headers } = await client.get();
    expect([status, headers['content-type'], headers['retry-after'], text]).toEqual([
      429,
      'text/plain; charset=utf-8',
      '2',
      'Too many requests, please try again later.\n',
    ]);
  });

  it('410 to a watch is an event', async () => {
    server.faults.add({ when: { verb: 'watch' }, times: 1, do: { answer: 410 } });
    const watch = await client.watch();
    expect([await watch.next(), await watch.next()]).toEqual(['ERROR 410', undefined]);
  });
});

describe('the filter of a fault', () => {
  it('matches verb, name and token', async () => {
    const other = new LeaseClient(server.url, 'other');
    server.faults.add({
      when: { verb: ['update', 'patch'], name: 'a', token: 'other' },
      do: { answer: 500 },
    });
    expect((await client.make('x', 'a')).status).toBe(201);
    expect((await other.make('x', 'b')).status).toBe(201);
    expect((await other.get('a')).status).toBe(200);
    expect((await other.make('x', 'a')).status).toBe(500);
    other.close();
  });

  it('stops matching after the given times', async () => {
    const fault = server.faults.add({ times: 2, do: { answer: 500 } });
    const statuses = [];
    for (let each = 0; each < 3; each += 1) statuses.push((await client.get()).status);
    expect([statuses, fault.happened]).toEqual([[500, 500, 404], 2]);
    await fault.whenHappened(2);
  });

  it('stops matching when the fault is removed or all faults are', async () => {
    const fault = server.faults.add({ do: { answer: 500 } });
    expect((await client.get()).status).toBe(500);
    fault.remove();
    expect((await client.get()).status).toBe(404);
    server.faults.add({ do: { answer: 500 } });
    server.faults.clear();
    expect((await client.get()).status).toBe(404);
  });

  it('is not asked after the first fault that matches', async () => {
    server.faults.add({ times: 1, do: { answer: 503 } });
    server.faults.add({ do: { answer: 500 } });
    expect([(await client.get()).status, (await client.get()).status]).toEqual([503, 500]);
  });
});

describe('an invalid fault', () => {
  const delays = [-1, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY, '5', null];

  it.each(delays.flatMap((ms) => [{ delayRequestMs: ms }, { delayReplyMs: ms }]))(
    '%o is refused',
    (action) => {
      expect(() => server.faults.add({ do: action as FaultAction })).toThrow(
        /delayRe\w+Ms is .*: it must be a number of milliseconds from 0 to 2147483647/,
      );
    },
  );

  it.each<[unknown, RegExp]>([
    [{ answer: 502 }, /answer is 502: it must be one of 401, /],
    [
      { answer: 429, retryAfterSeconds: 1.5 },
      /retryAfterSeconds is 1.5: it must be a whole number, 0 or more/,
    ],
    [{ answer: 429, retryAfterSeconds: -1 }, /retryAfterSeconds is -1/],
    ['dropAll', /do is 'dropAll': it must be one of dropRequest, /],
    [{ retryAfterSeconds: 1 }, /do is .*: it must be one of dropRequest, /],
    [undefined, /do is missing/],
    [null, /do is null/],
  ])('%o is refused', (action, message) => {
    const add = (): unknown => server.faults.add({ do: action as FaultAction });
    expect(add).toThrow(message);
    expect(add).toThrow(expect.objectContaining({ code: 'LEADER_INVALID_OPTIONS' }));
  });

  it.each([0, -1, 1.5, Number.NaN, '2'])('%o times is refused', (times) => {
    const given = times as number;
    expect(() => server.faults.add({ times: given, do: 'dropReply' })).toThrow(/times is .*1 or more/);
    const fault = server.faults.add({ do: 'dropReply' });
    expect(() => fault.whenHappened(given)).toThrow(/times is .*1 or more/);
  });

  it('does not include the longest delay and endless times', () => {
    server.faults.add({ times: Number.POSITIVE_INFINITY, do: { delayReplyMs: 2 ** 31 - 1 } });
    server.faults.add({ do: { answer: 503, retryAfterSeconds: 0 } });
  });
});
