/** One method, several callers: what a follower does depends on who calls, not on which decorators stand on the method. */
import { Controller, Injectable, Get, Post, Scope, Sse, type MessageEvent } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { CommandBus, CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { GraphQLModule, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { of, firstValueFrom, type Observable } from 'rxjs';
import { io } from 'socket.io-client';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { adapters, freePort, listening, prepared, type Tested } from './application.js';

const NEVER_SOON = '0 0 1 1 *';
const ran: string[] = [];

/** As tracing, retries and transactions are often written: it keeps the metadata to itself. */
const Wrapped = (): MethodDecorator => (_target, _key, descriptor) => {
  const given = descriptor.value as unknown as (...args: unknown[]) => unknown;
  descriptor.value = function (this: unknown, ...args: unknown[]): unknown {
    return given.apply(this, args);
  } as never;
};

@Controller()
class Reports {
  @Post('cron')
  @Cron(NEVER_SOON, { name: 'cron' })
  @OnlyWhenLeader()
  cron(): string {
    ran.push('cron');
    return 'done';
  }

  @Cron(NEVER_SOON, { name: 'below' })
  @OnlyWhenLeader()
  @Post('below')
  async below(): Promise<string> {
    ran.push('below');
    return 'done';
  }

  @Post('interval')
  @Interval('interval', 1_000_000)
  @OnlyWhenLeader()
  interval(): string {
    return 'done';
  }

  @Post('timeout')
  @Timeout('timeout', 1_000_000)
  @OnlyWhenLeader()
  timeout(): string {
    return 'done';
  }

  @Post('event')
  @OnEvent('event', { suppressErrors: false })
  @OnlyWhenLeader()
  event(): string {
    ran.push('event');
    return 'done';
  }

  @Post('wrapped')
  @Cron(NEVER_SOON, { name: 'wrapped' })
  @Wrapped()
  @OnlyWhenLeader()
  wrapped(): string {
    return 'done';
  }

  @Get('message')
  @MessagePattern('message')
  @OnlyWhenLeader()
  message(): string {
    return 'done';
  }

  @MessagePattern('told')
  @Post('told')
  @OnEvent('told')
  @Cron(NEVER_SOON, { name: 'told' })
  @OnlyWhenLeader()
  async told(): Promise<string> {
    return 'done';
  }

  @EventPattern('heard')
  @Get('heard')
  @OnlyWhenLeader()
  heard(_event?: unknown): string {
    ran.push('heard');
    return 'done';
  }

  @MessagePattern('ran')
  ran(): string[] {
    return ran;
  }

  @Post('interrupted')
  @Cron(NEVER_SOON, { name: 'interrupted' })
  @OnlyWhenLeader()
  async interrupted(): Promise<string> {
    const { signal } = currentTerm();
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      started();
    });
    signal.throwIfAborted();
    return 'done';
  }

  /** What a route calls is called by code. */
  @Post('outer')
  outer(): string {
    return this.message();
  }

  @Sse('sse')
  @Cron(NEVER_SOON, { name: 'sse' })
  @OnlyWhenLeader()
  sse(): Observable<MessageEvent> {
    return of({ data: 'done' });
  }

  @Sse('sse-heard')
  @EventPattern('sse-heard')
  @OnlyWhenLeader()
  sseHeard(_data: unknown): Observable<MessageEvent> {
    ran.push('sse-heard');
    return of({ data: 'done' });
  }

  @Sse('sse-message')
  @MessagePattern('sse-message')
  @OnlyWhenLeader()
  sseMessage(): Observable<MessageEvent> {
    return of({ data: 'done' });
  }
}

let started: () => void = () => undefined;

@Controller({ path: 'scoped', scope: Scope.REQUEST })
class Scoped {
  @Post()
  @OnEvent('scoped')
  @OnlyWhenLeader()
  post(): string {
    return 'done';
  }
}

class Base {
  @Post('inherited')
  @Cron(NEVER_SOON)
  @OnlyWhenLeader()
  inherited(): string {
    return 'done';
  }
}

@Controller('derived')
class Derived extends Base {}

@OnlyWhenLeader()
@Controller('whole')
class Whole {
  @Post()
  @Interval(1_000_000)
  whole(): string {
    return 'done';
  }
}

const all = {
  imports: [ScheduleModule.forRoot(), EventEmitterModule.forRoot()],
  controllers: [Reports, Scoped, Derived, Whole],
};

beforeEach(() => {
  ran.length = 0;
});

describe.each(adapters)('on %s', (_, adapter) => {
  it('a route answers 503, whatever else its method is', async () => {
    const { url, elector, errors } = await listening(all, adapter());
    elector.revoke('superseded', 'the-other');
    for (const path of [
      'cron',
      'below',
      'interval',
      'timeout',
      'event',
      'wrapped',
      'told',
      'scoped',
      'derived/inherited',
      'whole',
    ]) {
      const refused = await fetch(`${url}/${path}`, { method: 'POST' });
      expect([path, refused.status, refused.headers.get('retry-after')]).toEqual([path, 503, '1']);
      expect(await refused.json()).toMatchObject({ statusCode: 503, leader: 'the-other' });
    }
    for (const path of ['message', 'heard', 'sse', 'sse-heard', 'sse-message']) {
      expect([path, (await fetch(`${url}/${path}`)).status]).toEqual([path, 503]);
    }
    expect([ran, errors]).toEqual([[], []]);
    expect((await fetch(`${url}/outer`, { method: 'POST' })).status).toBe(503);
    elector.grant();
    expect(await (await fetch(`${url}/cron`, { method: 'POST' })).text()).toBe('done');
  });

  it('a route whose work ends with the term answers 503, though its method is a job, too', async () => {
    const { app, url, elector, errors } = await listening(all, adapter());
    elector.grant();
    let underWay = new Promise<void>((resolve) => (started = resolve));
    const answer = fetch(`${url}/interrupted`, { method: 'POST' });
    await underWay;
    elector.revoke('superseded', 'the-next');
    expect((await answer).status).toBe(503);
    elector.grant();
    underWay = new Promise<void>((resolve) => (started = resolve));
    const ticked = app.get(SchedulerRegistry).getCronJob('interrupted').fireOnTick();
    await underWay;
    elector.revoke();
    await ticked;
    expect(errors).toEqual([]);
  });
});

it('its jobs and listeners are skipped: nobody waits for them', async () => {
  const { app, elector, errors } = await listening(all);
  const tick = async (): Promise<unknown> => {
    for (const name of ['cron', 'below', 'wrapped', 'told', 'sse']) {
      await app.get(SchedulerRegistry).getCronJob(name).fireOnTick();
    }
    return app.get(EventEmitter2).emitAsync('event', { id: 1 });
  };
  expect([await tick(), ran, errors]).toEqual([[undefined], [], []]);
  elector.grant();
  await tick();
  expect([ran, errors]).toEqual([['cron', 'below', 'event'], []]);
});

it('a call with arguments is not the scheduler: it is refused, not skipped', async () => {
  @Injectable()
  class Jobs {
    @Cron(NEVER_SOON)
    @OnlyWhenLeader()
    async send(_month?: string): Promise<string> {
      return 'done';
    }
  }
  const { app } = await listening({ imports: all.imports, providers: [Jobs] });
  await expect(app.get(Jobs).send('May')).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER' });
});

describe('a hybrid application', () => {
  async function hybrid(): Promise<Tested & { url: string; send: (pattern: string) => Promise<unknown> }> {
    const tested = await prepared(all);
    const options = { host: '127.0.0.1', port: await freePort() };
    tested.app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options });
    await tested.app.startAllMicroservices();
    await tested.app.listen(0, '127.0.0.1');
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
    onTestFinished(() => client.close());
    const send = (pattern: string): Promise<unknown> =>
      firstValueFrom(client.send(pattern, {})).catch((error: unknown) => ({ error }));
    for (const event of ['heard', 'sse-heard'])
      await firstValueFrom(client.emit(event, {}), { defaultValue: undefined });
    return { ...tested, url: await tested.app.getUrl(), send };
  }

  it('answers a message with NOT_LEADER and a route with 503, by one method', async () => {
    const { url, elector, send, errors } = await hybrid();
    elector.revoke('superseded', 'the-other');
    for (const pattern of ['message', 'told', 'sse-message']) {
      expect([pattern, await send(pattern)]).toMatchObject([
        pattern,
        { error: { code: 'NOT_LEADER', leader: 'the-other' } },
      ]);
    }
    expect((await fetch(`${url}/message`)).status).toBe(503);
    expect(await send('ran')).toEqual([]);
    elector.grant();
    expect([await send('message'), await (await fetch(`${url}/message`)).text(), errors]).toEqual([
      'done',
      'done',
      [],
    ]);
  });
});

it('sockets and resolvers are told, though their methods are jobs, too', async () => {
  @WebSocketGateway()
  class Gateway {
    @SubscribeMessage('run')
    @Cron(NEVER_SOON)
    @OnlyWhenLeader()
    run(): string {
      return 'done';
    }
  }
  @Resolver()
  class Resolvers {
    @Query(() => Int)
    zero(): number {
      return 0;
    }

    @Mutation(() => Int, { nullable: true })
    @Cron(NEVER_SOON)
    @OnEvent('run')
    @OnlyWhenLeader()
    run(): number {
      return 1;
    }
  }
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true });
  const { url, elector, errors } = await listening({
    imports: [...all.imports, graphql],
    providers: [Gateway, Resolvers],
  });
  elector.revoke('superseded', 'the-other');
  const refusal = { code: 'NOT_LEADER', leader: 'the-other' };
  const socket = io(url, { transports: ['websocket'], reconnection: false });
  onTestFinished(() => {
    socket.disconnect();
  });
  const told = new Promise((resolve) => socket.once('exception', resolve));
  socket.emit('run', {});
  expect(await told).toMatchObject(refusal);
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'mutation { run }' }),
  });
  expect(await answer.json()).toMatchObject({ errors: [{ extensions: refusal }] });
  expect(errors).toEqual([]);
});

it('a command that is a job, too, is refused as a promise of its bus', async () => {
  class Send {
    constructor(readonly month: string) {}
  }
  @CommandHandler(Send)
  class SendHandler {
    @Cron(NEVER_SOON)
    @OnlyWhenLeader()
    execute(_command: Send): string {
      return 'done';
    }
  }
  const { app } = await listening({
    imports: [...all.imports, CqrsModule.forRoot()],
    providers: [SendHandler],
  });
  const refusal = { code: 'LEADER_NOT_LEADER' };
  await expect(app.get(CommandBus).execute(new Send('May'))).rejects.toMatchObject(refusal);
  // Thrown at once, it would pass by a caller that only waits.
  const answer: unknown = app.get(SendHandler).execute(new Send('May'));
  await expect(answer).rejects.toMatchObject(refusal);
});

describe('on a clock that stands still', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  @Injectable()
  class Stacked {
    readonly ran: string[] = [];

    @Interval('interval', 1_000)
    @Timeout('timeout', 500)
    @OnlyWhenLeader()
    interval(): void {
      this.ran.push('interval');
    }

    @Interval('wrapped', 1_000)
    @Wrapped()
    @Timeout('timeout', 500)
    @OnlyWhenLeader()
    wrapped(): void {
      this.ran.push('wrapped');
    }

    @Timeout('late', 500)
    @Interval('interval', 1_000)
    @OnlyWhenLeader()
    timeout(): void {
      this.ran.push('timeout');
    }

    @Timeout('told', 500)
    @OnEvent('told')
    @OnlyWhenLeader()
    told(): void {
      this.ran.push('told');
    }
  }

  it('the decorator that the scheduler registered counts: ticks are not stored up, a timeout waits', async () => {
    const { app, elector } = await prepared({ imports: all.imports, providers: [Stacked] });
    await app.init();
    await vi.advanceTimersByTimeAsync(76_000);
    for (let event = 0; event < 3; event += 1) {
      await app.get(EventEmitter2).emitAsync('told', { event });
    }
    elector.grant();
    await vi.advanceTimersByTimeAsync(0);
    expect(app.get(Stacked).ran.sort()).toEqual(['timeout', 'told']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(app.get(Stacked).ran.sort()).toEqual(['interval', 'timeout', 'told', 'wrapped']);
  });
});
