/** LeaderGuard on every transport: a follower refuses before interceptors and pipes run. */
import { credentials, loadPackageDefinition, status, type ServiceError } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { CacheInterceptor, CacheModule, CacheTTL } from '@nestjs/cache-manager';
import {
  Controller,
  Get,
  Injectable,
  Param,
  ParseIntPipe,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type PipeTransform,
} from '@nestjs/common';
import { Args, GraphQLModule, Int, Query, Resolver } from '@nestjs/graphql';
import {
  ClientProxyFactory,
  EventPattern,
  GrpcMethod,
  GrpcStreamCall,
  GrpcStreamMethod,
  MessagePattern,
  Payload,
  Transport,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { LeaderGuard, OnlyWhenLeader, RequireLeader } from 'nestjs-leader';
import { NEVER, firstValueFrom, merge, of, type Observable } from 'rxjs';
import { io } from 'socket.io-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { adapters, freePort, listening, prepared } from './application.js';

const seen: string[] = [];

/** It sees every argument that gets as far as the pipes. */
@Injectable()
class Refusing implements PipeTransform {
  transform(value: unknown): never {
    seen.push(String(value));
    throw new Error('a pipe ran');
  }
}

const notLeader = {
  code: 'NOT_LEADER',
  message: expect.stringContaining('the-other'),
  leader: 'the-other',
};

@Controller()
class Routes {
  #calls = 0;

  @RequireLeader()
  @Get('number/:id')
  number(@Param('id', ParseIntPipe) id: number): string {
    return String(id);
  }

  @RequireLeader()
  @UseInterceptors(CacheInterceptor)
  @CacheTTL(60_000)
  @Get('cached')
  cached(): string {
    return `call ${++this.#calls}`;
  }

  /** As before: the cache answers for a leader that has gone. */
  @OnlyWhenLeader()
  @UseInterceptors(CacheInterceptor)
  @CacheTTL(60_000)
  @Get('gated')
  gated(): string {
    return `call ${++this.#calls}`;
  }
}

describe.each(adapters)('on %s', (_, adapter) => {
  it('a follower answers 503, not 400 of a pipe, and not 200 of a cache', async () => {
    const { url, elector, errors } = await listening(
      { imports: [CacheModule.register()], controllers: [Routes] },
      adapter(),
    );
    elector.grant();
    expect(await (await fetch(`${url}/cached`)).text()).toBe('call 1');
    expect(await (await fetch(`${url}/cached`)).text()).toBe('call 1');
    expect(await (await fetch(`${url}/gated`)).text()).toBe('call 2');
    expect((await fetch(`${url}/number/none`)).status).toBe(400);
    elector.revoke('superseded', 'the-other');
    for (const path of ['number/none', 'cached']) {
      const refused = await fetch(`${url}/${path}`);
      expect([path, refused.status, refused.headers.get('retry-after')]).toEqual([path, 503, '1']);
      expect(await refused.json()).toMatchObject({ statusCode: 503, leader: 'the-other' });
    }
    expect((await fetch(`${url}/gated`)).status).toBe(200);
    expect(errors).toEqual([]);
  });
});

@UseGuards(LeaderGuard)
@UsePipes(Refusing)
@Controller()
class Messages {
  @MessagePattern('book')
  book(@Payload() amount: number): number {
    return amount;
  }

  @EventPattern('paid')
  paid(@Payload() amount: number): void {
    seen.push(`paid ${amount}`);
  }
}

@Controller()
class Free {
  @MessagePattern('seen')
  seen(): string[] {
    return seen;
  }
}

it('a message is answered with NOT_LEADER, an event is skipped, and no pipe runs', async () => {
  seen.length = 0;
  const tested = await prepared({ controllers: [Messages, Free] });
  const options = { host: '127.0.0.1', port: await freePort() };
  tested.app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options });
  await tested.app.startAllMicroservices();
  await tested.app.init();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  onTestFinished(() => client.close());
  tested.elector.revoke('superseded', 'the-other');
  await firstValueFrom(client.emit('paid', 5), { defaultValue: undefined });
  await expect(firstValueFrom(client.send('book', 5))).rejects.toEqual(notLeader);
  expect(await firstValueFrom(client.send('seen', {}))).toEqual([]);
  expect(tested.errors).toEqual([]);
});

const method = { requestType: 'Amount', responseType: 'Amount', comment: '' };
const definition = fromJSON({
  nested: {
    guarded: {
      nested: {
        Amount: { fields: { amount: { type: 'int32', id: 1 } } },
        Ledger: {
          methods: {
            Book: method,
            List: { ...method, responseStream: true },
            Sum: { ...method, requestStream: true },
            Hand: { ...method, requestStream: true, responseStream: true },
          },
        },
      },
    },
  },
});

interface Amount {
  readonly amount: number;
}

@RequireLeader()
@Controller()
class Ledger {
  @GrpcMethod('Ledger', 'Book')
  book(@Payload(Refusing) amount: Amount): Amount {
    return amount;
  }

  @GrpcMethod('Ledger', 'List')
  list(): Observable<Amount> {
    return merge(of({ amount: 1 }), NEVER);
  }

  @GrpcStreamMethod('Ledger', 'Sum')
  sum(amounts: Observable<Amount>): Promise<Amount> {
    return firstValueFrom(amounts);
  }

  @GrpcStreamCall('Ledger', 'Hand')
  hand(call: { write(amount: Amount): void; end(): void }): void {
    call.write({ amount: 8 });
    call.end();
  }
}

interface ClientCall {
  on(event: 'data', listener: (amount: Amount) => void): this;
  on(event: 'error', listener: (error: ServiceError) => void): this;
  on(event: 'end', listener: () => void): this;
  write(amount: Amount): void;
  end(): void;
}

type Callback = (error: ServiceError | null, amount?: Amount) => void;

it('every kind of gRPC call is refused with UNAVAILABLE and the leader', async () => {
  seen.length = 0;
  const { app, elector, errors } = await prepared({ controllers: [Ledger] });
  const url = `127.0.0.1:${await freePort()}`;
  app.connectMicroservice<MicroserviceOptions>({
    transport: Transport.GRPC,
    options: { package: 'guarded', packageDefinition: definition, url },
  });
  await app.startAllMicroservices();
  await app.init();
  elector.revoke('superseded', 'the-other');
  const loaded = loadPackageDefinition(definition)['guarded'] as unknown as {
    Ledger: new (
      url: string,
      credentials: unknown,
    ) => {
      Book(amount: Amount, callback: Callback): void;
      List(amount: Amount): ClientCall;
      Sum(callback: Callback): ClientCall;
      Hand(): ClientCall;
      close(): void;
    };
  };
  const client = new loaded.Ledger(url, credentials.createInsecure());
  onTestFinished(() => client.close());
  const sending = (call: ClientCall): ClientCall => {
    call.write({ amount: 5 });
    call.end();
    return call;
  };
  const failed = (call: ClientCall): Promise<unknown> =>
    new Promise((resolve) =>
      call
        .on('data', resolve)
        .on('error', resolve)
        .on('end', () => resolve('ended')),
    );
  const calls = {
    book: () => new Promise((resolve) => client.Book({ amount: 5 }, (...answer) => resolve(answer[0]))),
    list: () => failed(client.List({ amount: 5 })),
    sum: () => new Promise((resolve) => sending(client.Sum((...answer) => resolve(answer[0])))),
    hand: () => failed(sending(client.Hand())),
  };
  for (const [name, call] of Object.entries(calls)) {
    const { code, details, metadata } = (await call()) as ServiceError;
    expect([name, code, details, metadata.get('leader'), metadata.get('code')]).toEqual([
      name,
      status.UNAVAILABLE,
      expect.stringContaining('the-other'),
      ['the-other'],
      ['NOT_LEADER'],
    ]);
  }
  expect([seen, errors]).toEqual([[], []]);
  elector.grant();
  expect(await calls.sum()).toBeNull();
  expect(await calls.hand()).toEqual({ amount: 8 });
});

@WebSocketGateway()
class Gateway {
  @RequireLeader()
  @SubscribeMessage('book')
  book(@MessageBody(Refusing) amount: number): number {
    return amount;
  }
}

it('a client of socket.io, and a plain WebSocket, are told', async () => {
  seen.length = 0;
  const { url, elector, errors } = await listening({ providers: [Gateway] });
  elector.revoke('superseded', 'the-other');
  const socket = io(url, { transports: ['websocket'], reconnection: false });
  onTestFinished(() => {
    socket.disconnect();
  });
  const told = new Promise((resolve) => socket.once('exception', resolve));
  socket.emit('book', 5);
  expect([await told, seen, errors]).toEqual([notLeader, [], []]);

  const plain = await prepared({ providers: [Gateway] });
  plain.app.useWebSocketAdapter(new WsAdapter(plain.app));
  await plain.app.listen(0, '127.0.0.1');
  plain.elector.revoke('superseded', 'the-other');
  const webSocket = new WebSocket((await plain.app.getUrl()).replace('http', 'ws'));
  onTestFinished(() => {
    webSocket.close();
  });
  await new Promise((resolve) => webSocket.once('open', resolve));
  const message = new Promise<string>((resolve) => {
    webSocket.once('message', (data: Buffer) => resolve(data.toString('utf8')));
  });
  webSocket.send(JSON.stringify({ event: 'book', data: 5 }));
  expect(JSON.parse(await message)).toEqual({ event: 'exception', data: notLeader });
  expect([seen, plain.errors]).toEqual([[], []]);
});

@Resolver()
class Resolvers {
  @RequireLeader()
  @Query(() => Int)
  book(@Args('amount', { type: () => Int }, Refusing) amount: number): number {
    return amount;
  }
}

it('a resolver answers with the extensions of the gate', async () => {
  seen.length = 0;
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true });
  const { url, elector, errors } = await listening({ imports: [graphql], providers: [Resolvers] });
  elector.revoke('superseded', 'the-other');
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ book(amount: 5) }' }),
  });
  expect(await answer.json()).toMatchObject({
    errors: [{ message: notLeader.message, extensions: { code: 'NOT_LEADER', leader: 'the-other' } }],
  });
  expect([seen, errors]).toEqual([[], []]);
});
