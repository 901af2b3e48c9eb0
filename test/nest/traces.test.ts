/** `traces: openTelemetryTraces()`: a span for each term, and one for each call of a gated method, with the real SDK. */
import { Readable } from 'node:stream';
import { Injectable, Logger, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { SpanStatusCode, context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { Subject, defer, firstValueFrom, of, throwError, toArray, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CallTrace } from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderService,
  OnlyWhenLeader,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { openTelemetryTraces } from '../../lib/metrics/opentelemetry.js';
import {
  LeaderElectionTestingModule,
  LeaseApiServer,
  ScriptedElector,
  SimulatedTime,
} from '../../lib/testing.js';

const spans = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const tracer = provider.getTracer('test');
let app: INestApplication | undefined;

beforeEach(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
});
afterEach(async () => {
  await app?.close();
  app = undefined;
  spans.reset();
  context.disable();
  trace.disable();
  vi.restoreAllMocks();
});

/** Begins and ends a span in the active one, as an instrumented client does. */
function query(): void {
  tracer.startSpan('query').end();
}

@Injectable()
class Invoices {
  readonly source = new Subject<number>();
  readonly streams: Readable[] = [];

  @OnlyWhenLeader()
  count(): number {
    query();
    return 1;
  }

  @OnlyWhenLeader()
  fails(): void {
    throw new Error('planted');
  }

  @OnlyWhenLeader()
  throwsText(): void {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    throw 'a text';
  }

  @OnlyWhenLeader()
  async send(): Promise<string> {
    await new Promise(setImmediate);
    query();
    return 'sent';
  }

  @OnlyWhenLeader()
  async sendFails(): Promise<void> {
    await new Promise(setImmediate);
    throw new Error('planted later');
  }

  @OnlyWhenLeader()
  async untilOver(): Promise<void> {
    await new Promise(() => undefined);
  }

  @OnlyWhenLeader()
  values(): Observable<number> {
    return defer(() => {
      query();
      return of(1, 2);
    });
  }

  @OnlyWhenLeader()
  live(): Observable<number> {
    return this.source;
  }

  @OnlyWhenLeader()
  valuesFail(): Observable<number> {
    return throwError(() => new Error('planted in a value'));
  }

  @OnlyWhenLeader()
  async *pages(): AsyncGenerator<number> {
    await new Promise(setImmediate);
    query();
    yield 1;
    yield 2;
  }

  @OnlyWhenLeader()
  async *pagesFail(): AsyncGenerator<number> {
    await new Promise(setImmediate);
    yield 1;
    throw new Error('planted in a page');
  }

  @OnlyWhenLeader()
  async file(error?: Error): Promise<Readable> {
    await new Promise(setImmediate);
    const stream = Readable.from(['a', 'b']);
    if (error !== undefined) stream.on('error', () => undefined).destroy(error);
    this.streams.push(stream);
    return stream;
  }

  @OnlyWhenLeader()
  lazily(): PromiseLike<string> {
    return {
      then: (...settled: Parameters<PromiseLike<string>['then']>) => {
        query();
        return Promise.resolve('rows').then(...settled);
      },
    } as PromiseLike<string>;
  }
}

async function scripted(traces = openTelemetryTraces(provider)) {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot({ traces })],
    providers: [Invoices],
  }).compile();
  app = module.createNestApplication({ logger: false });
  await app.init();
  return { elector: app.get(ScriptedElector), invoices: app.get(Invoices), leader: app.get(LeaderService) };
}

function named(name: string): ReadableSpan[] {
  return spans.getFinishedSpans().filter((span) => span.name === name);
}

async function all(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const read: unknown[] = [];
  for await (const value of values) read.push(value);
  return read;
}

/** The only span of that name. */
function one(name: string): ReadableSpan {
  const found = named(name);
  expect([name, found.length]).toEqual([name, 1]);
  return found[0] as ReadableSpan;
}

describe('the span of a term', () => {
  it.each([
    ['a hand-over', 'steppedDown', SpanStatusCode.UNSET],
    ['a loss', 'deadline', SpanStatusCode.ERROR],
  ] as const)('ends with the reason of %s', async (_, reason, code) => {
    const { elector } = await scripted();
    elector.grant({ fencingToken: 7n });
    expect(spans.getFinishedSpans()).toEqual([]);
    if (reason === 'steppedDown') await elector.stepDown();
    else elector.revoke(reason);
    const term = one('leader_election.term');
    expect(term.attributes).toEqual({
      'leader_election.name': 'default',
      'leader_election.election': 'default',
      'leader_election.fencing_token': '7',
      'leader_election.identity': 'me',
      'leader_election.slot': 0,
      'leader_election.end_reason': reason,
    });
    expect([term.status.code, term.parentSpanContext]).toEqual([code, undefined]);
  });

  it('is a root, whatever code begins the term, and there is one for each', async () => {
    const { elector } = await scripted();
    await tracer.startActiveSpan('outer', async (outer) => {
      elector.grant();
      await elector.stepDown();
      outer.end();
    });
    elector.grant();
    elector.revoke();
    const terms = named('leader_election.term');
    expect(terms.map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined, undefined]);
    expect(terms.map(({ attributes }) => attributes['leader_election.fencing_token'])).toEqual(['1', '2']);
  });
});

describe('the span of a call', () => {
  it('links to that of its term, and is a child of the active one', async () => {
    const { elector, invoices } = await scripted();
    elector.grant({ fencingToken: 7n });
    tracer.startActiveSpan('request', (request) => {
      invoices.count();
      request.end();
    });
    elector.revoke();
    const call = one('Invoices.count');
    expect(call.links.map((link) => link.context.spanId)).toEqual([
      one('leader_election.term').spanContext().spanId,
    ]);
    expect(call.parentSpanContext?.spanId).toBe(one('request').spanContext().spanId);
    expect(call.attributes).toEqual({
      'leader_election.name': 'default',
      'leader_election.election': 'default',
      'leader_election.fencing_token': '7',
    });
  });

  it.each<[string, (invoices: Invoices) => unknown, unknown]>([
    ['count', (invoices) => invoices.count(), 1],
    ['send', (invoices) => invoices.send(), 'sent'],
    ['lazily', (invoices) => invoices.lazily(), 'rows'],
    ['values', (invoices) => firstValueFrom(invoices.values().pipe(toArray())), [1, 2]],
    ['pages', (invoices) => all(invoices.pages()), [1, 2]],
  ])('lasts as long as %s(), is active in it, and changes nothing', async (name, call, result) => {
    const { elector, invoices } = await scripted();
    elector.grant();
    expect(await call(invoices)).toEqual(result);
    const span = one(`Invoices.${name}`);
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
    expect(one('query').parentSpanContext?.spanId).toBe(span.spanContext().spanId);
    expect(spans.getFinishedSpans().map((each) => each.name)).toEqual(['query', `Invoices.${name}`]);
  });

  it.each<[string, (invoices: Invoices) => unknown, string]>([
    [
      'fails',
      (invoices) =>
        Promise.resolve().then(() => {
          invoices.fails();
        }),
      'planted',
    ],
    [
      'throwsText',
      (invoices) =>
        Promise.resolve().then(() => {
          invoices.throwsText();
        }),
      'a text',
    ],
    ['sendFails', (invoices) => invoices.sendFails(), 'planted later'],
    ['valuesFail', (invoices) => firstValueFrom(invoices.valuesFail()), 'planted in a value'],
    ['pagesFail', (invoices) => all(invoices.pagesFail()), 'planted in a page'],
  ])('records the error of %s()', async (name, call, message) => {
    const { elector, invoices } = await scripted();
    elector.grant();
    const error: unknown = await Promise.resolve(call(invoices)).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain(message);
    const span = one(`Invoices.${name}`);
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message });
    expect(span.events[0]?.attributes?.['exception.message']).toBe(message);
  });

  it('ends with the stream, and with its error', async () => {
    const { elector, invoices } = await scripted();
    elector.grant();
    const stream = await invoices.file();
    expect(named('Invoices.file')).toEqual([]);
    expect(await all(stream)).toEqual(['a', 'b']);
    await vi.waitUntil(() => named('Invoices.file').length === 1);
    expect(one('Invoices.file').status.code).toBe(SpanStatusCode.UNSET);
    spans.reset();
    await invoices.file(new Error('planted in a stream'));
    await vi.waitUntil(() => named('Invoices.file').length === 1);
    expect(one('Invoices.file').status.message).toBe('planted in a stream');
  });

  it('ends when a subscriber leaves, when a reader leaves, and when the term ends', async () => {
    const { elector, invoices } = await scripted();
    elector.grant();
    invoices.live().subscribe().unsubscribe();
    expect(one('Invoices.live').status.code).toBe(SpanStatusCode.UNSET);
    for await (const page of invoices.pages()) if (page === 1) break;
    one('Invoices.pages');
    spans.reset();
    const failed = firstValueFrom(invoices.live()).catch((error: unknown) => error);
    elector.revoke();
    expect(await failed).toMatchObject({ code: 'LEADER_TERM_OVER' });
    one('Invoices.live');
  });

  it('that is refused does not exist', async () => {
    const { invoices } = await scripted();
    expect(() => invoices.count()).toThrow();
    expect(spans.getFinishedSpans()).toEqual([]);
  });
});

it('a hand-over waits for traced work as for any other', async () => {
  const { elector, invoices, leader } = await scripted();
  elector.grant();
  const sending = invoices.send();
  const stepping = elector.stepDown();
  expect(leader.state).toMatchObject({ kind: 'handingOver', stillRunning: 1 });
  await Promise.all([sending, stepping]);
  await app?.get(SimulatedTime).advance(0);
  expect([leader.state.kind, named('Invoices.send').length]).toEqual(['following', 1]);
});

it('the global provider counts, also one that starts later, and none is fine', async () => {
  const { elector, invoices } = await scripted(openTelemetryTraces());
  elector.grant();
  expect(await invoices.send()).toBe('sent');
  expect(named('Invoices.send')).toEqual([]);
  trace.setGlobalTracerProvider(provider);
  expect(await invoices.send()).toBe('sent');
  expect(named('Invoices.send')).toHaveLength(1);
});

it('a tracer that throws ends neither a call nor a term, and is reported once', async () => {
  const planted = (): never => {
    throw new Error('planted');
  };
  const { elector, invoices, leader } = await scripted({ tracer: () => ({ term: planted, call: planted }) });
  const told: string[] = [];
  leader.on('error', ({ error }) => told.push(`${error.code}: ${error.message}`));
  elector.grant();
  expect([invoices.count(), await invoices.send()]).toEqual([1, 'sent']);
  elector.revoke();
  expect(told).toEqual([
    "LEADER_LISTENER_FAILED: The election's tracer threw and is not called again. The election continues.",
  ]);
});

it.each<[string, (work: () => unknown) => unknown]>([
  [
    'before the work',
    () => {
      throw new Error('of the tracer');
    },
  ],
  [
    'after the work',
    (work) => {
      work();
      throw new Error('of the tracer');
    },
  ],
])('a tracer that throws %s runs it once, and the caller gets its result or its error', async (_, run) => {
  const { elector, invoices, leader } = await scripted({
    tracer: () => ({ term: () => () => undefined, call: () => ({ run, end: () => undefined }) as CallTrace }),
  });
  const told: string[] = [];
  leader.on('error', ({ error }) => told.push(error.code));
  elector.grant();
  expect([invoices.count(), await invoices.send()]).toEqual([1, 'sent']);
  expect(() => {
    invoices.fails();
  }).toThrow('planted');
  await expect(invoices.sendFails()).rejects.toThrow('planted later');
  expect(named('query')).toHaveLength(2);
  expect(told).toEqual(['LEADER_LISTENER_FAILED']);
});

it('works with a lease, and with enabled: false', async () => {
  const server = await LeaseApiServer.start();
  const given = { leaseNamespace: 'default', kubernetes: { server: server.url } };
  const traces = openTelemetryTraces(provider);
  const elections: LeaderElectionModuleOptions[] = [
    { ...given, leaseName: 'billing', traces },
    { ...given, leaseName: 'alone', traces, enabled: false },
  ];
  for (const options of elections) {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot(options)],
      providers: [Invoices],
    }).compile();
    app = module.createNestApplication({ logger: false });
    await app.init();
    await app.get(LeaderService).whenLeader();
    expect(app.get(Invoices).count()).toBe(1);
    await app.close();
    const term = one('leader_election.term');
    expect(term.attributes).toMatchObject({
      'leader_election.name': options.leaseName,
      'leader_election.end_reason': 'stopped',
    });
    expect(one('Invoices.count').links[0]?.context.spanId).toBe(term.spanContext().spanId);
    spans.reset();
  }
  await server.stop();
});

it('traces must be a provider of tracers', async () => {
  const options = { leaseName: 'billing', leaseNamespace: 'default', traces: { meter: () => undefined } };
  await expect(
    Test.createTestingModule({ imports: [LeaderElectionModule.forRoot(options as never)] }).compile(),
  ).rejects.toMatchObject({
    violations: [expect.stringMatching(/^traces is an? .*: it must be what openTelemetryTraces\(\)/)],
  });
});
