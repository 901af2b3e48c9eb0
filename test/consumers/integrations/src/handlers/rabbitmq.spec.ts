/** @golevelup/nestjs-rabbitmq, with its own modules, explorer and consumers; only the broker is this file's: queues in memory. */
import { RabbitMQModule, RabbitRPC, RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Injectable, UsePipes, type PipeTransform } from '@nestjs/common';
import { createRequire } from 'node:module';
import { OnlyWhenLeader, RequireLeader, currentTerm } from 'nestjs-leader';
import { Subject, firstValueFrom } from 'rxjs';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { prepared, type Tested } from './application.js';

interface Message {
  readonly content: Buffer;
  readonly fields: { readonly routingKey: string };
  readonly properties: {
    readonly headers: object;
    readonly replyTo?: string;
    readonly correlationId?: string;
  };
}

/** One replica's channel. A message that is given back with `requeue` waits until the test delivers it again. */
class Broker {
  readonly acknowledged: unknown[] = [];
  readonly waiting: Message[] = [];
  readonly dropped: unknown[] = [];
  readonly replies: unknown[] = [];
  readonly settled = new Subject<void>();
  readonly #consumers = new Map<string, (message: Message) => void>();

  readonly channel = {
    prefetch: async () => undefined,
    assertExchange: async () => undefined,
    assertQueue: async (queue: string) => ({ queue }),
    bindQueue: async () => undefined,
    consume: async (queue: string, consumer: (message: Message) => void) => {
      this.#consumers.set(queue, consumer);
      return { consumerTag: queue };
    },
    ack: (message: Message) => {
      this.acknowledged.push(JSON.parse(message.content.toString()));
      this.settled.next();
    },
    nack: (message: Message, _all: boolean, requeue: boolean) => {
      if (requeue) this.waiting.push(message);
      else this.dropped.push(JSON.parse(message.content.toString()));
      this.settled.next();
    },
  };

  /** As the connection of amqp-connection-manager. */
  readonly connection = {
    on: () => undefined,
    isConnected: () => true,
    close: async () => undefined,
    createChannel: () => ({
      on: () => undefined,
      addSetup: (setup: (channel: unknown) => unknown) => setup(this.channel),
      publish: async (_exchange: string, _key: string, content: Buffer) => {
        this.replies.push(JSON.parse(content.toString()));
        this.settled.next();
      },
      cancelAll: async () => undefined,
      close: async () => undefined,
    }),
  };

  async deliver(queue: string, content: unknown, properties = {}): Promise<void> {
    const message: Message = {
      content: Buffer.from(JSON.stringify(content)),
      fields: { routingKey: queue },
      properties: { headers: {}, ...properties },
    };
    const settled = firstValueFrom(this.settled);
    this.#consumers.get(queue)?.(message);
    await settled;
  }

  /** Delivers what was given back. */
  async deliverAgain(queue: string): Promise<void> {
    for (const message of this.waiting.splice(0)) {
      const settled = firstValueFrom(this.settled);
      this.#consumers.get(queue)?.(message);
      await settled;
    }
  }
}

const did: unknown[] = [];

@Injectable()
class Seeing implements PipeTransform {
  transform(value: unknown): unknown {
    did.push('a pipe ran');
    return value;
  }
}

@Injectable()
class Orders {
  @RabbitSubscribe({ exchange: 'orders', routingKey: 'paid', queue: 'paid' })
  @OnlyWhenLeader()
  async paid(order: object): Promise<void> {
    did.push({ ...order, token: String(currentTerm().fencingToken) });
  }

  @OnlyWhenLeader()
  @RabbitSubscribe({ exchange: 'orders', routingKey: 'sync', queue: 'sync' })
  sync(order: object): void {
    did.push(order);
  }

  @RabbitSubscribe({ exchange: 'orders', routingKey: 'skipped', queue: 'skipped' })
  @OnlyWhenLeader({ otherwise: 'skip' })
  skipped(order: object): void {
    did.push(order);
  }

  @RequireLeader()
  @UsePipes(Seeing)
  @RabbitSubscribe({ exchange: 'orders', routingKey: 'guarded', queue: 'guarded' })
  guarded(order: object): void {
    did.push(order);
  }

  @RabbitRPC({ exchange: 'orders', routingKey: 'ask', queue: 'ask' })
  @OnlyWhenLeader()
  ask(order: { readonly id: number }): object {
    return { booked: order.id };
  }

  @RabbitSubscribe({ exchange: 'orders', routingKey: 'long', queue: 'long' })
  @OnlyWhenLeader()
  async long(): Promise<void> {
    const { signal } = currentTerm();
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      begun();
    });
    signal.throwIfAborted();
  }
}

let begun: () => void = () => undefined;

async function consuming(): Promise<Tested & { broker: Broker }> {
  const broker = new Broker();
  const own = createRequire(createRequire(import.meta.url).resolve('@golevelup/nestjs-rabbitmq'));
  const manager = own('amqp-connection-manager') as { connect: unknown };
  const { connect } = manager;
  manager.connect = () => broker.connection;
  onTestFinished(() => {
    manager.connect = connect;
  });
  const silent = { log: () => undefined, warn: () => undefined, error: () => undefined };
  const tested = await prepared({
    imports: [
      RabbitMQModule.forRoot({
        uri: 'amqp://127.0.0.1',
        exchanges: [{ name: 'orders' }],
        connectionInitOptions: { wait: false },
        logger: silent as never,
      }),
    ],
    providers: [Orders],
  });
  await tested.app.init();
  tested.elector.revoke('superseded', 'the-other');
  return { ...tested, broker };
}

beforeEach(() => {
  did.length = 0;
});

it.each(['paid', 'sync', 'guarded'])(
  'a follower gives a message back to the queue, and the leader gets it: %s',
  async (queue) => {
    const { broker, elector, errors } = await consuming();
    await broker.deliver(queue, { id: 1 });
    expect([did, broker.acknowledged, broker.waiting.length, broker.dropped]).toEqual([[], [], 1, []]);
    elector.grant({ fencingToken: 7n });
    await broker.deliverAgain(queue);
    expect([did.at(-1), broker.acknowledged]).toEqual([
      { id: 1, ...(queue === 'paid' && { token: '7' }) },
      [{ id: 1 }],
    ]);
    expect(errors).toEqual([]);
  },
);

it('with otherwise: skip it is acknowledged, and gone', async () => {
  const { broker } = await consuming();
  await broker.deliver('skipped', { id: 1 });
  expect([did, broker.acknowledged]).toEqual([[], [{ id: 1 }]]);
});

it('a question is given back, too, and the leader answers it', async () => {
  const { broker, elector } = await consuming();
  await broker.deliver('ask', { id: 1 }, { replyTo: 'asker', correlationId: '1' });
  expect([broker.replies, broker.waiting.length]).toEqual([[], 1]);
  elector.grant();
  await broker.deliverAgain('ask');
  expect([broker.replies, broker.acknowledged]).toEqual([[{ booked: 1 }], [{ id: 1 }]]);
});

it('a message whose work ends with the term is given back', async () => {
  const { broker, elector, errors } = await consuming();
  elector.grant();
  const underWay = new Promise<void>((resolve) => (begun = resolve));
  const settled = broker.deliver('long', { id: 1 });
  await underWay;
  elector.revoke();
  await settled;
  expect([broker.waiting.length, broker.acknowledged, errors]).toEqual([1, [], []]);
});
