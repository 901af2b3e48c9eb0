/** Gated message handlers behind @nestjs/microservices, over a real Redis. */
import { Controller, type INestMicroservice } from '@nestjs/common';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  Payload,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { LeaderElectionTestingModule, ScriptedElector } from 'nestjs-leader/testing';
import { firstValueFrom } from 'rxjs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { redisConnection } from './queue-rig.js';

const run = randomUUID();
const PLAIN = `${run}/plain`;
const EVENT = `${run}/paid`;
const MESSAGE = `${run}/total`;

@Controller()
class Ledger {
  readonly paid: string[] = [];

  @EventPattern(EVENT)
  @OnlyWhenLeader()
  onPaid(@Payload() invoice: unknown): void {
    this.paid.push(`${String(invoice)} in ${currentTerm().fencingToken}`);
  }

  @MessagePattern(PLAIN)
  ungated(@Payload() payload: string): string {
    return payload;
  }

  @OnlyWhenLeader()
  @MessagePattern(MESSAGE)
  async total(@Payload() numbers: number[]): Promise<string> {
    const sum = numbers.reduce((a, b) => a + b, 0);
    return Promise.resolve(`${sum} in ${currentTerm().fencingToken}`);
  }
}

const options: MicroserviceOptions = { transport: Transport.REDIS, options: redisConnection() };

let app: INestMicroservice;
let client: ClientProxy;

beforeEach(async () => {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot()],
    controllers: [Ledger],
  }).compile();
  app = module.createNestMicroservice<MicroserviceOptions>({ ...options, logger: false });
  await app.listen();
  client = ClientProxyFactory.create({ transport: Transport.REDIS, options: redisConnection() });
});

afterEach(async () => {
  client.close();
  await app.close();
});

/** Redis delivers what one connection publishes in order: when this is answered, what was sent before has come. */
const echo = () => firstValueFrom(client.send<string>(PLAIN, 'echo'));

it('@MessagePattern: a follower rejects, the leader answers', async () => {
  const ask = () => firstValueFrom(client.send<string>(MESSAGE, [1, 2, 3]));
  const elector = app.get(ScriptedElector);
  await expect(ask()).rejects.toBeDefined();
  elector.grant({ fencingToken: 7n });
  expect(await ask()).toBe('6 in 7');
  elector.revoke();
  await expect(ask()).rejects.toBeDefined();
});

it('@EventPattern: a follower skips, the leader handles', async () => {
  const publish = async (invoice: string) => {
    await firstValueFrom(client.emit(EVENT, invoice), { defaultValue: undefined });
    expect(await echo()).toBe('echo');
  };
  const elector = app.get(ScriptedElector);
  await publish('one');
  elector.grant({ fencingToken: 7n });
  await publish('two');
  elector.revoke();
  await publish('three');
  expect(app.get(Ledger).paid).toEqual(['two in 7']);
});
