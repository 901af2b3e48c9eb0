/** What a follower and a leader do, by kind of handler, with the real packages; the gate above and below their decorators. */
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Injectable,
  Post,
  SetMetadata,
  Sse,
  UseGuards,
  type CanActivate,
} from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Cron, Interval, ScheduleModule, Timeout } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { Observable, of } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ScriptedElector } from '../../lib/election/index.js';
import { OnlyWhenLeader, currentTerm, getElectorToken } from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';
import { applicationWith } from './application.js';

@Injectable()
class Jobs {
  readonly ran: string[] = [];

  @Cron('* * * * * *')
  @OnlyWhenLeader()
  cronAbove(): void {
    this.ran.push(`cronAbove ${String(currentTerm().fencingToken)}`);
  }

  @OnlyWhenLeader()
  @Cron('* * * * * *')
  cronBelow(): void {
    this.ran.push('cronBelow');
  }

  @Interval(1000)
  @OnlyWhenLeader()
  interval(): void {
    this.ran.push('interval');
  }

  @OnlyWhenLeader()
  @Interval('named', 1000)
  intervalBelow(): void {
    this.ran.push('intervalBelow');
  }

  @Timeout(100)
  @OnlyWhenLeader()
  timeout(): void {
    this.ran.push('timeout');
  }

  @OnlyWhenLeader()
  @Timeout(100)
  timeoutBelow(): void {
    this.ran.push('timeoutBelow');
  }
}

describe('schedule', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('cron and interval jobs are skipped while following and run while leading', async () => {
    const { app, elector } = await applicationWith({
      imports: [ScheduleModule.forRoot()],
      providers: [Jobs],
    });
    const jobs = app.get(Jobs);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(jobs.ran).toEqual([]);
    elector.grant({ fencingToken: 9n });
    jobs.ran.length = 0;
    await vi.advanceTimersByTimeAsync(2_000);
    for (const job of ['cronAbove 9', 'cronBelow', 'interval', 'intervalBelow']) {
      expect(jobs.ran.filter((ran) => ran === job).length, job).toBeGreaterThanOrEqual(1);
    }
    elector.revoke();
    jobs.ran.length = 0;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(jobs.ran).toEqual([]);
    await app.close();
  });

  it('a timeout job waits for leadership, and runs once', async () => {
    const { app, elector } = await applicationWith({
      imports: [ScheduleModule.forRoot()],
      providers: [Jobs],
    });
    const jobs = app.get(Jobs);
    const timeouts = (): string[] => jobs.ran.filter((ran) => ran.startsWith('timeout')).sort();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(timeouts()).toEqual([]);
    elector.grant();
    await vi.advanceTimersByTimeAsync(0);
    expect(timeouts()).toEqual(['timeout', 'timeoutBelow']);
    elector.revoke();
    elector.grant();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(timeouts()).toEqual(['timeout', 'timeoutBelow']);
    await app.close();
  });

  it('a timeout job that has not run does not delay a shutdown', async () => {
    const { app } = await applicationWith({ imports: [ScheduleModule.forRoot()], providers: [Jobs] });
    await vi.advanceTimersByTimeAsync(1_000);
    await app.close();
    expect(app.get(Jobs).ran).toEqual([]);
  });
});

describe('events', () => {
  @Injectable()
  class Listener {
    readonly heard: unknown[] = [];

    @OnEvent('above')
    @OnlyWhenLeader()
    above(payload: unknown): void {
      this.heard.push(payload);
    }

    @OnlyWhenLeader()
    @OnEvent('below')
    below(payload: unknown): void {
      this.heard.push(payload);
    }
  }

  it('are skipped while following', async () => {
    const { app, elector } = await applicationWith({
      imports: [EventEmitterModule.forRoot()],
      providers: [Listener],
    });
    const emitter = app.get(EventEmitter2);
    emitter.emit('above', 1);
    emitter.emit('below', 2);
    elector.grant();
    emitter.emit('above', 3);
    emitter.emit('below', 4);
    expect(app.get(Listener).heard).toEqual([3, 4]);
    await app.close();
  });
});

class Never implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Controller()
class Routes {
  @Get('value')
  @OnlyWhenLeader()
  value(): object {
    return { token: String(currentTerm().fencingToken) };
  }

  @OnlyWhenLeader()
  @Get('promise')
  async promise(): Promise<object> {
    await Promise.resolve();
    return { token: String(currentTerm().fencingToken) };
  }

  @Get('observable')
  @OnlyWhenLeader()
  observable(): Observable<object> {
    return of({ token: 'observed' });
  }

  @Post('skip')
  @HttpCode(202)
  @OnlyWhenLeader({ otherwise: 'skip' })
  skip(): object {
    return { ok: true };
  }

  @OnlyWhenLeader()
  @Get('guarded')
  @UseGuards(Never)
  guarded(): string {
    return 'never';
  }
}

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('routes on %s', (_, adapter) => {
  it('answer 503 with the leader while following, and their results while leading', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot()],
      controllers: [Routes],
    }).compile();
    const app = module.createNestApplication(adapter() as ExpressAdapter, { logger: false });
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const elector = app.get<ScriptedElector>(getElectorToken());
    elector.revoke('superseded', 'the-other');

    for (const path of ['value', 'promise', 'observable']) {
      const refused = await fetch(`${url}/${path}`);
      expect([path, refused.status]).toEqual([path, 503]);
      expect(await refused.json()).toMatchObject({ statusCode: 503, leader: 'the-other' });
    }
    const skipped = await fetch(`${url}/skip`, { method: 'POST' });
    expect([skipped.status, await skipped.text()]).toEqual([204, '']);
    expect((await fetch(`${url}/guarded`)).status).toBe(403);

    elector.grant({ fencingToken: 12n });
    expect(await (await fetch(`${url}/value`)).json()).toEqual({ token: '12' });
    expect(await (await fetch(`${url}/promise`)).json()).toEqual({ token: '12' });
    expect(await (await fetch(`${url}/observable`)).json()).toEqual({ token: 'observed' });
    const ran = await fetch(`${url}/skip`, { method: 'POST' });
    expect([ran.status, await ran.json()]).toEqual([202, { ok: true }]);
    expect((await fetch(`${url}/guarded`)).status).toBe(403);
    await app.close();
  });
});

it('a route behind gates of two elections answers as a route, whichever refuses', async () => {
  @Controller()
  class Twice {
    @Post()
    @Cron('0 0 1 1 *')
    @OnlyWhenLeader()
    @OnlyWhenLeader({ election: 'billing' })
    run(@Body('note') _note?: string): string {
      return `${String(currentTerm('default').fencingToken)} ${String(currentTerm('billing').fencingToken)}`;
    }
  }
  const { app, elector } = await applicationWith({
    imports: [ScheduleModule.forRoot(), LeaderElectionTestingModule.forRoot({ name: 'billing' })],
    controllers: [Twice],
  });
  await app.listen(0, '127.0.0.1');
  const billing = app.get<ScriptedElector>(getElectorToken('billing'));
  elector.revoke('superseded', 'the-other');
  billing.revoke('superseded', 'the-other');
  const post = async () => {
    const response = await fetch(await app.getUrl(), { method: 'POST' });
    return [response.status, response.headers.get('Retry-After'), await response.text()];
  };
  const refused = [503, '1', expect.stringContaining('"leader":"the-other"')];
  expect(await post()).toEqual(refused);
  elector.grant({ fencingToken: 3n });
  expect(await post()).toEqual(refused);
  billing.grant({ fencingToken: 5n });
  expect(await post()).toEqual([201, null, '3 5']);
  elector.revoke('superseded', 'the-other');
  expect(await post()).toEqual(refused);
  await app.close();
});

describe('a route of server-sent events whose method has another caller', () => {
  const handlerOf = (key: string, value: unknown): MethodDecorator => SetMetadata(key, value);
  const marked = (decorate: MethodDecorator): new () => object => {
    class Events {
      events(): Observable<object> {
        return of({ data: 'done' });
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Events.prototype, 'events') as PropertyDescriptor;
    for (const each of [OnlyWhenLeader(), Sse('events'), decorate])
      each(Events.prototype, 'events', descriptor);
    Object.defineProperty(Events.prototype, 'events', descriptor);
    Controller()(Events);
    return Events;
  };
  /** A class whose handler has a fixed name, by which @nestjs/cqrs calls it. */
  const ofCqrs = (name: string, key: string, value: unknown): new () => object => {
    class Events {
      [name](): Observable<object> {
        return of({ data: 'done' });
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Events.prototype, name) as PropertyDescriptor;
    for (const each of [OnlyWhenLeader(), Sse('events')]) each(Events.prototype, name, descriptor);
    Object.defineProperty(Events.prototype, name, descriptor);
    Reflect.defineMetadata(key, value, Events);
    Controller()(Events);
    return Events;
  };

  it.each<[string, new () => object]>([
    ['@Cron', marked(Cron('0 0 1 1 *'))],
    ['@OnEvent', marked(OnEvent('told'))],
    ['@EventPattern', marked(handlerOf('microservices:handler_type', 2))],
    ['@MessagePattern', marked(handlerOf('microservices:handler_type', 1))],
    ['@SubscribeMessage', marked(handlerOf('websockets:message_mapping', true))],
    ['@Query', marked(handlerOf('graphql:resolver_type', 'Query'))],
    ['@ResolveField', marked(handlerOf('graphql:resolve_property', 'field'))],
    ['@ResolveReference', marked(handlerOf('graphql:resolve_reference', true))],
    ['@EventsHandler', ofCqrs('handle', '__eventsHandler__', [])],
    ['@CommandHandler', ofCqrs('execute', '__commandHandler__', {})],
    ['@QueryHandler', ofCqrs('execute', '__queryHandler__', {})],
    ['@Saga', ofCqrs('saga', '__saga__', ['saga'])],
    ['none', marked(() => undefined)],
  ])('answers 503 on a follower: %s', async (_, controller) => {
    const { app, elector } = await applicationWith({
      imports: [ScheduleModule.forRoot(), EventEmitterModule.forRoot()],
      controllers: [controller],
    });
    await app.listen(0, '127.0.0.1');
    elector.revoke('superseded', 'the-other');
    const refused = await fetch(`${await app.getUrl()}/events`);
    expect([refused.status, await refused.text()]).toEqual([
      503,
      expect.stringContaining('"leader":"the-other"'),
    ]);
    elector.grant();
    expect(await (await fetch(`${await app.getUrl()}/events`)).text()).toContain('data: done');
    await app.close();
  });
});

it('a timeout behind gates of two elections waits in no term, and runs only when both are led', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const ran: unknown[] = [];
  @Injectable()
  class Twice {
    @Timeout(100)
    @OnlyWhenLeader()
    @OnlyWhenLeader({ election: 'billing' })
    async run(): Promise<void> {
      await Promise.resolve();
      ran.push([currentTerm('default').fencingToken, currentTerm('billing').fencingToken]);
    }

    @OnlyWhenLeader()
    @OnlyWhenLeader({ election: 'billing' })
    @Timeout(100)
    runSync(): void {
      ran.push(currentTerm('default').fencingToken);
    }
  }
  const { app, elector } = await applicationWith({
    imports: [ScheduleModule.forRoot(), LeaderElectionTestingModule.forRoot({ name: 'billing' })],
    providers: [Twice],
  });
  const billing = app.get<ScriptedElector>(getElectorToken('billing'));
  elector.grant({ fencingToken: 1n });
  await vi.advanceTimersByTimeAsync(100);
  await elector.stepDown();
  billing.grant({ fencingToken: 2n });
  await vi.advanceTimersByTimeAsync(100);
  expect(ran).toEqual([]);
  elector.grant({ fencingToken: 3n });
  await vi.advanceTimersByTimeAsync(100);
  expect(ran).toHaveLength(2);
  expect(ran).toEqual(expect.arrayContaining([[3n, 2n], 3n]));
  vi.useRealTimers();
  await app.close();
});

describe('under a decorator that wraps the gate and copies no metadata', () => {
  /** As tracing, retries and transactions are often written. */
  const Wrapped = (): MethodDecorator => (_target, _key, descriptor) => {
    const given = descriptor.value as (...args: unknown[]) => unknown;
    descriptor.value = function (this: unknown, ...args: unknown[]): unknown {
      return given.apply(this, args);
    } as never;
  };

  @Controller('wrapped')
  class Routes {
    readonly ran: string[] = [];

    @Get()
    @Wrapped()
    @OnlyWhenLeader()
    route(): string {
      return 'led';
    }

    @Cron('0 0 1 1 *')
    @Wrapped()
    @OnlyWhenLeader()
    cron(): void {
      this.ran.push('cron');
    }

    @Timeout(100)
    @Wrapped()
    @OnlyWhenLeader()
    timeout(): unknown {
      return this.ran.push('timeout');
    }
  }

  it('a call is still refused by its kind: a route with 503, a cron job is skipped, a timeout waits until this process leads', async () => {
    const { app, elector } = await applicationWith({ controllers: [Routes] });
    await app.listen(0, '127.0.0.1');
    const routes = app.get(Routes);
    expect((await fetch(`${await app.getUrl()}/wrapped`)).status).toBe(503);
    routes.cron();
    const deferred = routes.timeout();
    elector.grant();
    await deferred;
    expect(routes.ran).toEqual(['timeout']);
    await app.close();
  });
});
