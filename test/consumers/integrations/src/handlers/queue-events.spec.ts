/** Events of Kafka and RabbitMQ under a gate that skips are lost on followers, so there is a warning. Real servers, without a broker. */
import { Controller, Logger } from '@nestjs/common';
import {
  EventPattern,
  MessagePattern,
  ServerKafka,
  ServerRMQ,
  Transport,
  type CustomTransportStrategy,
} from '@nestjs/microservices';
import { OnlyWhenLeader, RequireLeader } from 'nestjs-leader';
import { Subject, firstValueFrom } from 'rxjs';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { prepared, type Tested } from './application.js';

let warnings: string[];

beforeEach(() => {
  warnings = [];
  const warned = vi.spyOn(Logger.prototype, 'warn').mockImplementation((line: unknown) => {
    warnings.push(String(line));
  });
  onTestFinished(() => warned.mockRestore());
});

it('at start, once for each handler whose decorator names the transport', async () => {
  @Controller()
  class Orders {
    @EventPattern('paid', Transport.KAFKA)
    @OnlyWhenLeader()
    paid(_order: unknown): void {}

    @OnlyWhenLeader({ otherwise: 'skip' })
    @EventPattern('shipped', Transport.RMQ)
    shipped(_order: unknown): void {}

    @RequireLeader()
    @EventPattern('guarded', Transport.RMQ)
    guarded(_order: unknown): void {}

    @EventPattern('rejected', Transport.KAFKA)
    @OnlyWhenLeader({ otherwise: 'reject' })
    rejected(_order: unknown): void {}

    @EventPattern('answered', Transport.KAFKA)
    @OnlyWhenLeader({ otherwise: () => 'noted' })
    answered(_order: unknown): void {}

    @EventPattern('everywhere', Transport.REDIS)
    @OnlyWhenLeader()
    everywhere(_order: unknown): void {}

    @EventPattern('ungated', Transport.KAFKA)
    ungated(_order: unknown): void {}

    @MessagePattern('asked', Transport.KAFKA)
    @OnlyWhenLeader()
    asked(_order: unknown): void {}
  }
  const { app } = await prepared({ controllers: [Orders] });
  await app.init();
  expect(warnings).toEqual([
    expect.stringMatching(/^Orders\.paid\(\) handles events of Kafka .* lost/),
    expect.stringMatching(/^Orders\.shipped\(\) handles events of RabbitMQ .* lost/),
    expect.stringMatching(/^Orders\.guarded\(\) handles events of RabbitMQ .* lost/),
  ]);
});

/** The parts of Nest's servers that a message of a broker goes through. */
interface Server {
  handleMessage(...message: unknown[]): Promise<unknown>;
}

describe.each([
  [
    'Kafka',
    () => new ServerKafka({ client: { brokers: ['127.0.0.1:1'] } }),
    (server: Server, topic: string) =>
      server.handleMessage({
        topic,
        partition: 0,
        message: { key: null, value: Buffer.from('"5"'), headers: {}, offset: '1', timestamp: '1' },
      }),
  ],
  [
    'RabbitMQ',
    () => new ServerRMQ({ urls: ['amqp://127.0.0.1:1'], queue: 'orders' }),
    (server: Server, pattern: string) =>
      server.handleMessage(
        { content: Buffer.from(JSON.stringify({ pattern, data: 5 })), properties: {} },
        {},
      ),
  ],
] as const)('a decorator that names no transport, on %s', (queue, makeServer, deliver) => {
  async function listening(controller: new () => object): Promise<Tested & { server: Server }> {
    const server = makeServer();
    vi.spyOn(server, 'listen').mockImplementation((callback) => Promise.resolve(callback()));
    vi.spyOn(server, 'close').mockImplementation(() => Promise.resolve());
    const tested = await prepared({ controllers: [controller] });
    tested.app.connectMicroservice({ strategy: server as unknown as CustomTransportStrategy });
    await tested.app.startAllMicroservices();
    await tested.app.init();
    return { ...tested, server: server as unknown as Server };
  }

  it('warns with the first event, once, and skips it', async () => {
    const heard = new Subject<string>();
    const all: string[] = [];
    heard.subscribe((pattern) => all.push(pattern));
    @Controller()
    class Orders {
      @EventPattern('gated')
      @OnlyWhenLeader()
      gated(_order: unknown): void {
        heard.next('gated');
      }

      @RequireLeader()
      @EventPattern('guarded')
      guarded(_order: unknown): void {
        heard.next('guarded');
      }

      @EventPattern('ungated')
      ungated(_order: unknown): void {
        heard.next('ungated');
      }
    }
    const { server, elector, errors } = await listening(Orders);
    expect(warnings).toEqual([]);
    // The server of RabbitMQ does not wait for a handler.
    const last = firstValueFrom(heard);
    for (const pattern of ['gated', 'gated', 'guarded', 'guarded', 'ungated']) await deliver(server, pattern);
    await last;
    expect(warnings).toEqual([
      expect.stringContaining(`Orders.gated() handles events of ${queue}`),
      expect.stringContaining(`Orders.guarded() handles events of ${queue}`),
    ]);
    expect([all, errors]).toEqual([['ungated'], []]);
    elector.grant();
    for (const pattern of ['gated', 'guarded']) {
      const told = firstValueFrom(heard);
      await deliver(server, pattern);
      await told;
    }
    expect([all, warnings.length]).toEqual([['ungated', 'gated', 'guarded'], 2]);
  });
});
