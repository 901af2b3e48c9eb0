/** docs/recipes/to-the-leader.md: what a follower refuses reaches the leader, by a proxy and by a redirect, on Express and on Fastify. */
import {
  Body,
  Controller,
  Get,
  Headers,
  Post,
  Req,
  Res,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type INestApplication,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import {
  LeaderElectionModule,
  LeaderService,
  OnlyWhenLeader,
  RequireLeader,
  currentTerm,
} from 'nestjs-leader';
import type { LeaseApiServer } from 'nestjs-leader/testing';
import { once } from 'node:events';
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { from, mergeMap, type Observable } from 'rxjs';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Database } from './database.js';
import { LeaderProxyFilter } from './leader-proxy.filter.js';
import { LeaderRedirectFilter } from './leader-redirect.filter.js';
import { Payments } from './payments.controller.js';
import { postOnce } from './post-once.js';
import { handOver, Hold, leaseServer, shown, usurp, type Replica } from './rig.js';
import { SqliteDatabase, SqliteStore } from './sqlite-database.js';

vi.hoisted(() => {
  process.env['LEADER_ADDRESSES'] = '^http://127\\.0\\.0\\.1:\\d+$';
});

class ReadsTheBody implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const [request] = context.getArgs<[IncomingMessage]>();
    return from(text(request)).pipe(mergeMap(() => next.handle()));
  }
}

/** What the tests hold up in a handler, and hear of it. */
let hold: Hold;
let gone: Promise<unknown>;

@Controller()
class Work {
  constructor(private readonly leader: LeaderService) {}

  @Post('echo')
  @RequireLeader()
  echo(@Body() body: unknown, @Headers() headers: Record<string, string>) {
    return { by: this.leader.identity, body, headers };
  }

  @Get('gated')
  @OnlyWhenLeader()
  gated() {
    return { by: this.leader.identity };
  }

  @Post('upload')
  @RequireLeader()
  async upload(@Req() request: IncomingMessage) {
    return { by: this.leader.identity, length: (await text(request)).length };
  }

  @Post('read-before')
  @UseInterceptors(ReadsTheBody)
  @OnlyWhenLeader()
  readBefore() {
    return { by: this.leader.identity };
  }

  @Post('held')
  @RequireLeader()
  async held() {
    await hold.wait();
    return {};
  }

  @Get('stream')
  @RequireLeader()
  stream(@Res() response: ServerResponse & { raw?: ServerResponse; hijack?: () => void }) {
    response.hijack?.();
    const outgoing = response.raw ?? response;
    gone = once(outgoing, 'close');
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
    outgoing.write('data: one\n\n');
  }

  @Post('further-in')
  async furtherIn() {
    await this.job();
    return { by: this.leader.identity };
  }

  @OnlyWhenLeader()
  async job() {
    await Promise.resolve();
  }

  @Post('over')
  @OnlyWhenLeader()
  async over() {
    const term = currentTerm();
    await hold.wait();
    term.throwIfOver();
  }
}

interface Service extends Replica {
  readonly app: INestApplication;
  readonly url: string;
}

let server: LeaseApiServer;
let store: SqliteStore;

beforeEach(async () => {
  hold = new Hold();
  store = new SqliteStore(shown('payments.sql'));
  server = await leaseServer();
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

interface Setting {
  readonly filter?: Type;
  readonly adapter?: () => ExpressAdapter | FastifyAdapter;
  readonly advertise?: string;
}

async function service(identity: string, setting: Setting = {}): Promise<Service> {
  const { filter = LeaderProxyFilter, adapter = () => new ExpressAdapter() } = setting;
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionModule.forRoot({
        leaseName: 'recipe',
        leaseNamespace: 'default',
        identity,
        retryPeriod: 200,
        advertise: setting.advertise ?? url,
        kubernetes: { server: server.url },
      }),
    ],
    controllers: [Work, Payments],
    providers: [
      { provide: APP_FILTER, useClass: filter },
      { provide: Database, useValue: new SqliteDatabase(store) },
    ],
  }).compile();
  const app = module.createNestApplication(adapter(), {
    rawBody: true,
    logger: false,
    forceCloseConnections: true,
  });
  await app.listen(port, '127.0.0.1');
  onTestFinished(() => app.close());
  return { app, leader: app.get(LeaderService), url };
}

/** A leader, and a follower that knows it. */
async function pair(setting?: Setting): Promise<[leader: Service, follower: Service]> {
  const one = await service('one', setting);
  await one.leader.whenLeader();
  const two = await service('two', setting);
  await seen(two, 'one');
  return [one, two];
}

async function seen(by: Service, leader: string): Promise<void> {
  for await (const state of by.leader.changes())
    if (state.kind === 'following' && state.leader === leader) return;
}

const json = { 'content-type': 'application/json' };

async function post(url: string, body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = json) {
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual' });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer };
}

interface Answer {
  readonly by?: string;
  readonly length?: number;
  readonly body?: unknown;
  readonly headers: Record<string, string>;
  readonly leader?: string;
  readonly message?: string;
}

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter({ forceCloseConnections: true })],
])('a proxy in each follower, on %s', (_, adapter) => {
  it('the leader answers what a follower is asked, with the credentials and the address of the client', async () => {
    const [one, two] = await pair({ adapter });
    const given = {
      ...json,
      authorization: 'Bearer abc',
      cookie: 'session=1',
      'x-forwarded-for': '192.0.2.7',
    };
    const { status, headers, body } = await post(`${two.url}/echo?x=1`, '{"amount":1}', given);
    expect([status, body.by, body.body]).toEqual([201, 'one', { amount: 1 }]);
    expect(body.headers).toMatchObject({
      authorization: 'Bearer abc',
      cookie: 'session=1',
      'x-forwarded-for': '192.0.2.7',
      'x-to-the-leader': 'two',
      host: two.url.slice('http://'.length),
    });
    expect(headers.get('retry-after')).toBeNull();
    expect(await (await fetch(`${two.url}/gated`)).json()).toEqual({ by: 'one' });
    await handOver(one, two);
    await seen(one, 'two');
    expect((await post(`${one.url}/echo`, '{}')).body.by).toBe('two');
  });

  it('bodies arrive whole: compressed, in pieces, large, a form, and none', async () => {
    const [, two] = await pair({ adapter });
    const large = JSON.stringify({ text: 'é'.repeat(40_000) });
    expect((await post(`${two.url}/echo`, large)).body.body).toEqual(JSON.parse(large));
    const pieces = new ReadableStream({
      start(controller) {
        for (const piece of ['{"a"', ':1}']) controller.enqueue(Buffer.from(piece));
        controller.close();
      },
    });
    const piecewise: RequestInit & { duplex: string } = {
      method: 'POST',
      headers: json,
      body: pieces,
      duplex: 'half',
    };
    expect(await (await fetch(`${two.url}/echo`, piecewise)).json()).toMatchObject({
      by: 'one',
      body: { a: 1 },
    });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await post(`${two.url}/echo`, 'a=1&b=2', form)).body.body).toEqual({ a: '1', b: '2' });
    const none = await fetch(`${two.url}/echo`, { method: 'POST' });
    expect(await none.json()).toMatchObject({ by: 'one' });
  });

  it('goes one hop only', async () => {
    const [, two] = await pair({ adapter });
    const { status, body } = await post(`${two.url}/echo`, '{}', { ...json, 'x-to-the-leader': 'three' });
    expect([status, body.leader]).toEqual([503, 'one']);
  });

  it('answers 503 if the leader cannot be connected to, and 502 if it took the request and died', async () => {
    const dead = createServer();
    dead.listen(0, '127.0.0.1');
    await once(dead, 'listening');
    const advertise = `http://127.0.0.1:${String((dead.address() as AddressInfo).port)}`;
    const [, two] = await pair({ adapter, advertise });
    dead.once('request', (request: IncomingMessage) => request.socket.destroy());
    const unknown = await post(`${two.url}/echo`, '{}');
    expect([unknown.status, unknown.body.message]).toEqual([502, 'The leader did not answer.']);
    dead.close();
    await once(dead, 'close');
    const refused = await post(`${two.url}/echo`, '{}');
    expect([refused.status, refused.body.leader, refused.headers.get('retry-after')]).toEqual([
      503,
      'one',
      '1',
    ]);
  });

  it('streams the answer, and ends at the leader when the client goes away', async () => {
    const [, two] = await pair({ adapter });
    const client = new AbortController();
    const response = await fetch(`${two.url}/stream`, { signal: client.signal });
    const { value } = await response.body!.getReader().read();
    expect(Buffer.from(value!).toString()).toBe('data: one\n\n');
    client.abort();
    await gone;
  });

  it('an answer that the leader could not end does not look whole', async () => {
    const [one, two] = await pair({ adapter });
    const response = await fetch(`${two.url}/stream`);
    (one.app.getHttpServer() as ReturnType<typeof createServer>).closeAllConnections();
    await expect(response.text()).rejects.toThrow();
  });

  it('does not forward to an address that is not ours', async () => {
    const asked: (string | undefined)[] = [];
    const elsewhere = createServer((request, response) => {
      asked.push(request.url);
      response.end('{}');
    });
    elsewhere.listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    onTestFinished(() => void elsewhere.close());
    const advertise = `http://localhost:${String((elsewhere.address() as AddressInfo).port)}`;
    const [, two] = await pair({ adapter, advertise });
    expect(await post(`${two.url}/echo`, '{}')).toMatchObject({ status: 503, body: { leader: 'one' } });
    expect(asked).toEqual([]);
  });
});

it('an upload flows through, and compressed JSON is sent on as it was read', async () => {
  const [, two] = await pair();
  const octets = { 'content-type': 'application/octet-stream' };
  const upload = await post(`${two.url}/upload`, 'x'.repeat(3_000_000), octets);
  expect(upload.body).toEqual({ by: 'one', length: 3_000_000 });
  const compressed = await post(`${two.url}/echo`, gzipSync('{"a":1}'), {
    ...json,
    'content-encoding': 'gzip',
  });
  expect(compressed.body).toMatchObject({ by: 'one', body: { a: 1 } });
});

it('a body that an interceptor has read is not forwarded', async () => {
  const [, two] = await pair();
  const { status, body } = await post(`${two.url}/read-before`, 'abc', { 'content-type': 'text/plain' });
  expect([status, body.leader]).toEqual([503, 'one']);
});

it('a handler that called a gated method may have done something before, so it is not forwarded', async () => {
  const [one, two] = await pair();
  expect((await post(`${one.url}/further-in`, '{}')).body.by).toBe('one');
  expect((await post(`${two.url}/further-in`, '{}')).status).toBe(503);
});

it('what had begun when the term ended is not forwarded', async () => {
  const [one, two] = await pair();
  const answer = post(`${one.url}/over`, '{}');
  await hold.reached;
  usurp(server);
  await two.leader.whenLeader();
  await seen(one, 'two');
  hold.goOn();
  expect(await answer).toMatchObject({ status: 503 });
});

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter({ forceCloseConnections: true })],
])('a redirect, on %s', (_, adapter) => {
  const filter = LeaderRedirectFilter;

  it('sends the client to the leader, with method and body, and without its credentials', async () => {
    const [one, two] = await pair({ adapter, filter });
    const first = await fetch(`${two.url}/echo?x=1`, {
      method: 'POST',
      redirect: 'manual',
      headers: json,
      body: '{}',
    });
    expect([first.status, first.headers.get('location')]).toEqual([307, `${one.url}/echo?x=1`]);
    expect(first.headers.get('retry-after')).toBeNull();
    const headers = { ...json, authorization: 'Bearer abc', cookie: 'session=1' };
    const followed = await fetch(`${two.url}/echo`, { method: 'POST', headers, body: '{"a":1}' });
    const body = (await followed.json()) as Answer;
    expect([body.by, body.body]).toEqual(['one', { a: 1 }]);
    expect(body.headers).not.toHaveProperty('authorization');
    expect(body.headers).not.toHaveProperty('cookie');
  });

  it('a leader that hands over sends nobody back to itself', async () => {
    const [one] = await pair({ adapter, filter });
    const held = post(`${one.url}/over`, '{}');
    await hold.reached;
    const handedOver = one.leader.stepDown();
    const refused = await fetch(`${one.url}/gated`, { redirect: 'manual' });
    expect([refused.status, refused.headers.get('location')]).toEqual([503, null]);
    hold.goOn();
    await Promise.all([held, handedOver]);
  });

  it('leads to no other host, whatever the path', async () => {
    const [one, two] = await pair({ adapter, filter, advertise: 'http://127.0.0.1:1' });
    expect(one.leader.isLeader()).toBe(true);
    const { port } = new URL(two.url);
    const locations: (string | undefined)[] = [];
    for (const path of ['//elsewhere.example/../gated', 'http://elsewhere.example/gated', '/gated']) {
      const request = send({ host: '127.0.0.1', port, path }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.resume();
      locations.push(response.headers.location);
    }
    expect(locations.filter((location) => location !== undefined)).toEqual(['http://127.0.0.1:1/gated']);
  });
});

const booked = () => ({
  payments: store.run('SELECT count(*) AS n FROM payments').rows[0]?.['n'],
  balance: store.run('SELECT balance FROM accounts').rows[0]?.['balance'],
});

it('a payment that comes twice is paid once, also by another leader', async () => {
  const [one, two] = await pair();
  const headers = { ...json, 'idempotency-key': 'a' };
  const pay = (url: string) => post(`${url}/payments`, '{"account":"ada","amount":3}', headers);
  expect((await pay(two.url)).body).toEqual({ paid: 3, again: false });
  await handOver(one, two);
  await seen(one, 'two');
  expect((await pay(one.url)).body).toEqual({ paid: 3, again: true });
  expect(booked()).toEqual({ payments: 1, balance: 3 });
});

it('a client asks until there is a leader, and is paid once', async () => {
  const [one] = await pair();
  usurp(server);
  const repeated: string[] = [];
  const answer = await postOnce(
    () => `${one.url}/payments`,
    { account: 'ada', amount: 3 },
    (why) => repeated.push(why),
  );
  expect([answer.status, JSON.parse(answer.text)]).toEqual([201, { paid: 3, again: false }]);
  expect(new Set(repeated)).toEqual(new Set(['503']));
  expect(booked()).toEqual({ payments: 1, balance: 3 });
});

it('a former leader that comes late is refused by the token', async () => {
  const [one] = await pair();
  store.run('UPDATE payment_fence SET token = :token', { token: 9_000_000_000_000_000_000n });
  const headers = { ...json, 'idempotency-key': 'a' };
  const { status, body } = await post(`${one.url}/payments`, '{"account":"ada","amount":3}', headers);
  expect([status, body.message]).toEqual([503, 'Another replica leads.']);
  expect(booked()).toEqual({ payments: 0, balance: undefined });
});
