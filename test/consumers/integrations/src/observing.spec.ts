/** What a test, an operator and a tracing backend see of an existing AppModule, on Express and on Fastify. */
import {
  Controller,
  Get,
  Injectable,
  Module,
  Sse,
  type INestApplication,
  type MessageEvent,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import {
  LeaderElectionModule,
  LeaderService,
  LeaderStatusModule,
  OnStartedLeading,
  OnlyWhenLeader,
} from 'nestjs-leader';
import { openTelemetryTraces } from 'nestjs-leader/opentelemetry';
import { overrideLeaderElection } from 'nestjs-leader/testing';
import { of, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const spans = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });

@Injectable()
class Relay {
  fails = true;
  readonly started: bigint[] = [];

  @OnStartedLeading({ onError: 'stepDown' })
  async begin(term: { readonly fencingToken: bigint }): Promise<void> {
    this.started.push(term.fencingToken);
    await Promise.resolve();
    if (this.fails) throw new Error('planted');
  }
}

@Controller('invoices')
class Invoices {
  @Get()
  @OnlyWhenLeader()
  list(): string[] {
    return ['ada'];
  }

  @Sse('news')
  @OnlyWhenLeader()
  news(): Observable<MessageEvent> {
    return of({ data: 'ada' });
  }
}

@Module({
  imports: [
    LeaderElectionModule.forRoot({
      leaseName: 'invoices',
      advertise: 'http://10.0.0.1',
      traces: openTelemetryTraces(provider),
    }),
    LeaderElectionModule.forRoot({ name: 'relay', leaseName: 'relay', exposeLeader: false }),
    LeaderStatusModule.forRoot(),
  ],
  controllers: [Invoices],
  providers: [Relay],
})
class AppModule {}

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('an AppModule on %s', (_, adapter) => {
  let app: INestApplication;
  let elections: ReturnType<typeof overrideLeaderElection>;

  beforeEach(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    const builder = Test.createTestingModule({ imports: [AppModule] });
    elections = overrideLeaderElection(builder);
    overrideLeaderElection(builder, { elections: ['relay'], startAs: 'leader' });
    app = (await builder.compile()).createNestApplication(adapter(), { logger: false });
    app.get(Relay).fails = false;
    app.setGlobalPrefix('api', { exclude: ['leader'] });
    await app.listen(0, '127.0.0.1');
  });
  afterEach(async () => {
    await app.close();
    spans.reset();
    context.disable();
  });

  const get = async (path: string): Promise<Response> => fetch(`${await app.getUrl()}/${path}`);

  it('leads when the test says so, and shows that', async () => {
    expect((await get('api/invoices')).status).toBe(503);
    elections.elector().grant({ fencingToken: 7n });
    expect(await (await get('api/invoices')).json()).toEqual(['ada']);
    const { elections: shown } = (await (await get('leader')).json()) as { elections: object[] };
    expect(shown).toMatchObject([
      { election: 'default', state: 'leading', fencingToken: '7', address: 'http://10.0.0.1', problems: [] },
      { election: 'relay', state: 'leading' },
    ]);
    expect(shown[1]).not.toHaveProperty('leader');
  });

  it('has a span for each call and for the term', async () => {
    elections.elector().grant();
    await get('api/invoices');
    expect(await (await get('api/invoices/news')).text()).toContain('data: ada');
    elections.elector().revoke();
    const ended = spans.getFinishedSpans();
    expect(ended.map(({ name }) => name)).toEqual(['Invoices.list', 'Invoices.news', 'leader_election.term']);
    const term = ended[2]?.spanContext().spanId;
    expect(ended.map(({ links }) => links[0]?.context.spanId)).toEqual([term, term, undefined]);
  });

  it('hands over when its hook fails, and keeps the lease after a task if told to', async () => {
    const leader = app.get(LeaderService);
    elections.elector().grant();
    await leader.runAsLeader(() => 'done', { stepDown: false });
    expect(leader.isLeader()).toBe(true);
    elections.elector().revoke();
    app.get(Relay).fails = true;
    const stopped = new Promise<string>((resolve) => {
      leader.on('stoppedLeading', ({ reason }) => {
        resolve(reason);
      });
    });
    elections.elector().grant();
    expect(await stopped).toBe('steppedDown');
  });
});
