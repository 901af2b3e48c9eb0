/** Messages and events of @nestjs/microservices, over TCP. */
import { Controller } from '@nestjs/common';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  Payload,
  Transport,
  type ClientProxy,
} from '@nestjs/microservices';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { NEVER, Observable, Subject, firstValueFrom, from, materialize, merge, of, toArray } from 'rxjs';
import { expect, it, onTestFinished } from 'vitest';
import { freePort, prepared, type Tested } from './application.js';

const started = new Subject<void>();
const goOn = new Subject<void>();

@Controller()
class Invoices {
  readonly heard: unknown[] = [];

  @MessagePattern('sync')
  @OnlyWhenLeader()
  sync(@Payload() amount: number): string {
    return `${amount} in ${currentTerm().fencingToken}`;
  }

  @OnlyWhenLeader()
  @MessagePattern('async')
  async async(@Payload() amount: number): Promise<number> {
    return amount;
  }

  @MessagePattern('skip')
  @OnlyWhenLeader({ otherwise: 'skip' })
  skip(): string {
    return 'done';
  }

  @MessagePattern('answer')
  @OnlyWhenLeader({ otherwise: ({ leader }) => `ask ${leader}` })
  answer(): string {
    return 'mine';
  }

  @MessagePattern('interrupted')
  @OnlyWhenLeader()
  async interrupted(): Promise<void> {
    const until = new Promise<void>((resolve) => goOn.subscribe(() => resolve()));
    started.next();
    await until;
    currentTerm().throwIfOver();
  }

  @MessagePattern('stream')
  @OnlyWhenLeader()
  stream(): Observable<number> {
    return merge(of(1), NEVER);
  }

  @EventPattern('paid')
  @OnlyWhenLeader()
  paid(@Payload() amount: number): void {
    this.heard.push(amount);
  }

  @MessagePattern('heard')
  all(): unknown[] {
    return this.heard;
  }
}

@OnlyWhenLeader()
@Controller()
class Whole {
  @MessagePattern('whole')
  whole(): string {
    return 'whole';
  }
}

async function withClient(): Promise<
  Tested & { client: ClientProxy; send: (pattern: string, data?: unknown) => Promise<unknown> }
> {
  const tested = await prepared({ controllers: [Invoices, Whole] });
  const options = { host: '127.0.0.1', port: await freePort() };
  tested.app.connectMicroservice({ transport: Transport.TCP, options });
  await tested.app.startAllMicroservices();
  await tested.app.init();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  onTestFinished(() => client.close());
  const send = async (pattern: string, data: unknown = 5): Promise<unknown> =>
    firstValueFrom(client.send(pattern, data), { defaultValue: undefined }).catch((error: unknown) => ({
      error,
    }));
  return { ...tested, client, send };
}

const notLeader = {
  error: { code: 'NOT_LEADER', message: expect.stringContaining('the-other'), leader: 'the-other' },
};

it('a message to a follower is answered with NOT_LEADER and the leader', async () => {
  const { elector, send, errors } = await withClient();
  elector.revoke('superseded', 'the-other');
  for (const pattern of ['sync', 'async', 'stream', 'whole']) {
    expect([pattern, await send(pattern)]).toEqual([pattern, notLeader]);
  }
  expect([await send('skip'), await send('answer')]).toEqual([undefined, 'ask the-other']);
  expect(errors).toEqual([]);
});

it('a message to the leader is answered', async () => {
  const { elector, send } = await withClient();
  elector.grant({ fencingToken: 3n });
  expect([await send('sync'), await send('async'), await send('skip'), await send('whole')]).toEqual([
    '5 in 3',
    5,
    'done',
    'whole',
  ]);
});

it('a message whose work ends with the term is answered with TERM_OVER', async () => {
  const { elector, send, errors } = await withClient();
  elector.grant();
  const underWay = new Promise<void>((resolve) => started.subscribe(() => resolve()));
  const answer = send('interrupted');
  await underWay;
  elector.revoke('deadline', 'the-next');
  goOn.next();
  expect(await answer).toMatchObject({ error: { code: 'TERM_OVER', leader: 'the-next' } });
  expect(errors).toEqual([]);
});

it('an observable that is sent on ends with TERM_OVER', async () => {
  const { elector, client, errors } = await withClient();
  elector.grant();
  const seen: unknown[] = [];
  const ended = new Promise<unknown>((resolve) => {
    client.send('stream', {}).subscribe({
      next: (value) => {
        seen.push(value);
        elector.revoke('superseded', 'the-next');
      },
      error: resolve,
      complete: () => resolve('completed'),
    });
  });
  expect(await ended).toMatchObject({ code: 'TERM_OVER', leader: '' });
  expect([seen, errors]).toEqual([[1], []]);
});

it('an event is heard by the leader only, and nobody is told', async () => {
  const { elector, client, send, errors } = await withClient();
  // One connection keeps their order, so what is asked after an event comes after it.
  const emit = (amount: number): Promise<unknown> =>
    firstValueFrom(from(client.emit('paid', amount)).pipe(materialize(), toArray()));
  await emit(1);
  expect(await send('heard')).toEqual([]);
  elector.grant();
  await emit(2);
  expect([await send('heard'), errors]).toEqual([[2], []]);
});
