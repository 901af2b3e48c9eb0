/** Applications with slots: several lead, each one slot. */
import { Injectable } from '@nestjs/common';
import { expect, it } from 'vitest';
import { LeaderService, OnlyWhenLeader, currentTerm } from '../../lib/index.js';
import { Replicas } from './replicas.js';

@Injectable()
class Shard {
  @OnlyWhenLeader({ otherwise: () => undefined })
  number(): number | undefined {
    return currentTerm().slot;
  }
}

const replicas = new Replicas();

async function startApplication(): Promise<LeaderService> {
  const app = await replicas.start([{ leaseName: 'shard', slots: 2 }], [Shard]);
  return app.get(LeaderService);
}

const shards = (): (number | undefined)[] => replicas.apps.map((app) => app.get(Shard).number());

it('two of three replicas lead one shard each, and the third takes over the shard of one that stops', async () => {
  const first = await startApplication();
  await first.whenLeader();
  const second = await startApplication();
  await second.whenLeader();
  const third = await startApplication();
  const [a, b, c] = shards();
  expect([[a, b].sort(), c]).toEqual([[0, 1], undefined]);
  expect(replicas.server.leases.map(({ metadata }) => metadata.name).sort()).toEqual(['shard-0', 'shard-1']);
  expect(third.isLeader()).toBe(false);

  await replicas.closeFirst();
  expect((await third.whenLeader()).slot).toBe(a);
  expect(shards()).toEqual([b, a]);
  await third.stepDown({ cooldown: 0 });
});

it.each([
  [{ slots: 0 }, /slots is 0: it must be a whole number, at least 1/],
  [{ slots: 1.5 }, /slots is 1.5: it must be/],
  [{ slots: 2, spread: true }, /slots is 2 and spread true/],
])('refuses %j', async (options, message) => {
  await expect(replicas.start([{ leaseName: 'shard', ...options }])).rejects.toThrow(message);
});
