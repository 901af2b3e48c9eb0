/** Gateways of @nestjs/websockets, on socket.io. */
import {
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
} from '@nestjs/websockets';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { NEVER, Observable, Subject, merge, of } from 'rxjs';
import { io, type Socket } from 'socket.io-client';
import { expect, it, onTestFinished } from 'vitest';
import { listening, type Tested } from './application.js';

const started = new Subject<void>();
const goOn = new Subject<void>();

@WebSocketGateway()
class Invoices {
  @SubscribeMessage('sync')
  @OnlyWhenLeader()
  sync(@MessageBody() amount: number): object {
    return { event: 'answer', data: `${amount} in ${currentTerm().fencingToken}` };
  }

  @OnlyWhenLeader()
  @SubscribeMessage('async')
  async async(@MessageBody() amount: number): Promise<object> {
    return { event: 'answer', data: amount };
  }

  @SubscribeMessage('answer')
  @OnlyWhenLeader({ otherwise: ({ leader }) => ({ event: 'answer', data: `ask ${leader}` }) })
  answer(): object {
    return { event: 'answer', data: 'mine' };
  }

  @SubscribeMessage('interrupted')
  @OnlyWhenLeader()
  async interrupted(): Promise<void> {
    const until = new Promise<void>((resolve) => goOn.subscribe(() => resolve()));
    started.next();
    await until;
    currentTerm().throwIfOver();
  }

  @SubscribeMessage('stream')
  @OnlyWhenLeader()
  stream(): Observable<object> {
    return merge(of({ event: 'answer', data: 'first' }), NEVER);
  }
}

@OnlyWhenLeader()
@WebSocketGateway()
class Whole implements OnGatewayConnection {
  connections = 0;

  handleConnection(): void {
    this.connections += 1;
  }

  @SubscribeMessage('whole')
  whole(): object {
    return { event: 'answer', data: 'whole' };
  }
}

type Client = Tested & {
  client: Socket;
  ask: (message: string) => Promise<unknown>;
  next: () => Promise<unknown>;
};

async function withClient(): Promise<Client> {
  const { url, ...tested } = await listening({ providers: [Invoices, Whole] });
  const client = io(url, { transports: ['websocket'], reconnection: false });
  onTestFinished(() => {
    client.disconnect();
  });
  const next = (): Promise<unknown> =>
    new Promise((resolve) => {
      client.once('answer', resolve).once('exception', (exception) => resolve({ exception }));
    });
  const ask = (message: string): Promise<unknown> => {
    client.removeAllListeners('answer').removeAllListeners('exception');
    const answer = next();
    client.emit(message, 5);
    return answer;
  };
  return { ...tested, client, ask, next };
}

it('a follower tells the client NOT_LEADER, and who leads', async () => {
  const { app, elector, ask, errors } = await withClient();
  elector.revoke('superseded', 'the-other');
  for (const message of ['sync', 'async', 'stream', 'whole']) {
    expect([message, await ask(message)]).toEqual([
      message,
      {
        exception: { code: 'NOT_LEADER', message: expect.stringContaining('the-other'), leader: 'the-other' },
      },
    ]);
  }
  expect([await ask('answer'), app.get(Whole).connections, errors]).toEqual(['ask the-other', 1, []]);
});

it('the leader answers', async () => {
  const { elector, ask } = await withClient();
  elector.grant({ fencingToken: 3n });
  expect([await ask('sync'), await ask('async'), await ask('whole'), await ask('answer')]).toEqual([
    '5 in 3',
    5,
    'whole',
    'mine',
  ]);
});

it('the client is told TERM_OVER when the work of its message ends with the term', async () => {
  const { elector, ask, errors } = await withClient();
  elector.grant();
  const underWay = new Promise<void>((resolve) => started.subscribe(() => resolve()));
  const answer = ask('interrupted');
  await underWay;
  elector.revoke('deadline', 'the-next');
  goOn.next();
  expect(await answer).toMatchObject({ exception: { code: 'TERM_OVER', leader: 'the-next' } });
  expect(errors).toEqual([]);
});

it('an observable that is sent on ends with TERM_OVER', async () => {
  const { elector, ask, next, errors } = await withClient();
  elector.grant();
  expect(await ask('stream')).toBe('first');
  const ended = next();
  elector.revoke();
  expect(await ended).toMatchObject({ exception: { code: 'TERM_OVER', leader: '' } });
  expect(errors).toEqual([]);
});
