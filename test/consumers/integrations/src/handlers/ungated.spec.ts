/** A gate further in: a service behind a handler that has none, and the methods of guards and interceptors. */
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Controller,
  Get,
  Injectable,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { GraphQLModule, Int, Query, Resolver } from '@nestjs/graphql';
import {
  ClientProxyFactory,
  MessagePattern,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { OnlyWhenLeader } from 'nestjs-leader';
import { firstValueFrom } from 'rxjs';
import { io } from 'socket.io-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { adapters, freePort, listening, prepared } from './application.js';

@Injectable()
class Ledger {
  @OnlyWhenLeader()
  async book(): Promise<number> {
    return 1;
  }

  @OnlyWhenLeader()
  count(): number {
    return 1;
  }
}

@Injectable()
class LeadersOnly implements CanActivate {
  @OnlyWhenLeader()
  canActivate(_context: ExecutionContext): boolean {
    return true;
  }
}

@Controller()
class Routes {
  constructor(private readonly ledger: Ledger) {}

  @Get('book')
  book(): Promise<number> {
    return this.ledger.book();
  }

  @Get('count')
  count(): string {
    return String(this.ledger.count());
  }

  @Get('guarded')
  @UseGuards(LeadersOnly)
  guarded(): string {
    return 'done';
  }

  @Get('both')
  @MessagePattern('both')
  both(): Promise<number> {
    return this.ledger.book();
  }

  @MessagePattern('guarded')
  @UseGuards(LeadersOnly)
  guardedMessage(): string {
    return 'done';
  }
}

@Resolver()
class Resolvers {
  constructor(private readonly ledger: Ledger) {}

  @Query(() => Int)
  book(): Promise<number> {
    return this.ledger.book();
  }
}

@WebSocketGateway()
class Gateway {
  constructor(private readonly ledger: Ledger) {}

  @SubscribeMessage('book')
  book(): Promise<number> {
    return this.ledger.book();
  }

  @SubscribeMessage('gated')
  @OnlyWhenLeader()
  gated(): string {
    return 'done';
  }
}

const refusal = { code: 'NOT_LEADER', message: expect.stringContaining('the-other'), leader: 'the-other' };

describe.each(adapters)('on %s', (_, adapter) => {
  it('a route answers 503 with the message, not 500', async () => {
    const { url, elector } = await listening(
      { controllers: [Routes], providers: [Ledger, LeadersOnly] },
      adapter(),
    );
    elector.revoke('superseded', 'the-other');
    for (const path of ['book', 'count', 'guarded', 'both']) {
      const refused = await fetch(`${url}/${path}`);
      expect([path, refused.status]).toEqual([path, 503]);
      expect(await refused.json()).toMatchObject({ statusCode: 503, message: refusal.message });
    }
    elector.grant();
    expect(await (await fetch(`${url}/guarded`)).text()).toBe('done');
  });
});

it('a message is answered with NOT_LEADER', async () => {
  const tested = await prepared({ controllers: [Routes], providers: [Ledger, LeadersOnly] });
  const options = { host: '127.0.0.1', port: await freePort() };
  tested.app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options });
  await tested.app.startAllMicroservices();
  await tested.app.init();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  onTestFinished(() => client.close());
  tested.elector.revoke('superseded', 'the-other');
  for (const pattern of ['both', 'guarded']) {
    await expect(firstValueFrom(client.send(pattern, {})), pattern).rejects.toEqual(refusal);
  }
  expect(tested.errors).toEqual([]);
});

it('a resolver answers with the extensions of a gated one', async () => {
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true });
  const { url, elector } = await listening({ imports: [graphql], providers: [Resolvers, Ledger] });
  elector.revoke('superseded', 'the-other');
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ book }' }),
  });
  expect(await answer.json()).toMatchObject({
    errors: [{ message: refusal.message, extensions: { code: 'NOT_LEADER', leader: 'the-other' } }],
  });
});

it('a client of socket.io is told', async () => {
  const { url, elector, errors } = await listening({ providers: [Gateway, Ledger] });
  elector.revoke('superseded', 'the-other');
  const socket = io(url, { transports: ['websocket'], reconnection: false });
  onTestFinished(() => {
    socket.disconnect();
  });
  const told = new Promise((resolve) => socket.once('exception', resolve));
  socket.emit('book', {});
  expect([await told, errors]).toEqual([refusal, []]);
});

it('a plain WebSocket is told, by a gate on its handler and by one further in', async () => {
  const tested = await prepared({ providers: [Gateway, Ledger] });
  tested.app.useWebSocketAdapter(new WsAdapter(tested.app));
  await tested.app.listen(0, '127.0.0.1');
  tested.elector.revoke('superseded', 'the-other');
  const socket = new WebSocket((await tested.app.getUrl()).replace('http', 'ws'));
  onTestFinished(() => {
    socket.close();
  });
  await new Promise((resolve) => socket.once('open', resolve));
  for (const event of ['gated', 'book']) {
    const told = new Promise<string>((resolve) => {
      socket.once('message', (message: Buffer) => resolve(message.toString('utf8')));
    });
    socket.send(JSON.stringify({ event, data: {} }));
    expect([event, JSON.parse(await told)]).toEqual([event, { event: 'exception', data: refusal }]);
  }
  expect(tested.errors).toEqual([]);
});
