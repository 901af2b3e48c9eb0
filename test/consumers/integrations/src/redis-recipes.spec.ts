/** What docs/recipes/microservices.md says of transports on which every replica hears a question, on a real Redis. */
import { Controller } from '@nestjs/common';
import {
  ClientProxyFactory,
  MessagePattern,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { randomUUID } from 'node:crypto';
import { OnlyWhenLeader } from 'nestjs-leader';
import { LeaderElectionTestingModule, ScriptedElector } from 'nestjs-leader/testing';
import { NEVER, firstValueFrom } from 'rxjs';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { redisConnection } from './queue-rig.js';

const run = randomUUID();
const QUIET = `${run}/quiet`;
const LOUD = `${run}/loud`;

@Controller()
class Ledger {
  @MessagePattern(QUIET)
  @OnlyWhenLeader({ otherwise: () => NEVER })
  quiet() {
    return 'booked';
  }

  @MessagePattern(LOUD)
  @OnlyWhenLeader()
  async loud() {
    // After the follower has answered, which may be late.
    await followerHasAnswered;
    return 'booked';
  }
}

const options: MicroserviceOptions = { transport: Transport.REDIS, options: redisConnection() };

let client: ClientProxy;
let followerHasAnswered: Promise<unknown>;

async function replica(): Promise<ScriptedElector> {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot()],
    controllers: [Ledger],
  }).compile();
  const app = module.createNestMicroservice<MicroserviceOptions>({ ...options, logger: false });
  await app.listen();
  onTestFinished(() => app.close());
  return app.get(ScriptedElector);
}

beforeEach(async () => {
  const leads = await replica();
  await replica();
  leads.grant();
  client = ClientProxyFactory.create({ transport: Transport.REDIS, options: redisConnection() });
  onTestFinished(() => client.close());
});

it('a follower that answers NEVER leaves the answer to the leader', async () => {
  for (let question = 0; question < 20; question += 1)
    expect(await firstValueFrom(client.send(QUIET, {}))).toBe('booked');
});

it('a follower that says NOT_LEADER may be heard first', async () => {
  const answer = firstValueFrom(client.send(LOUD, {}));
  followerHasAnswered = answer.catch(() => undefined);
  await expect(answer).rejects.toMatchObject({ code: 'NOT_LEADER' });
});
