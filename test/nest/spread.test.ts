/** Applications whose elections are spread. */
import { expect, it } from 'vitest';
import { type LeaderService, getLeaderToken } from '../../lib/index.js';
import { Replicas } from './replicas.js';

const NAMES = Array.from({ length: 30 }, (_, index) => `tenant-${String(index)}`);

const replicas = new Replicas();

async function startApplication(): Promise<LeaderService[]> {
  const app = await replicas.start(NAMES.map((name) => ({ name, leaseName: name, spread: true })));
  return NAMES.map((name) => app.get<LeaderService>(getLeaderToken(name)));
}

/** How many elections each holder has, in descending order. */
function loads(): number[] {
  const counts = new Map<string, number>();
  for (const { spec } of replicas.server.leases) {
    const holder = spec.holderIdentity ?? '';
    counts.set(holder, (counts.get(holder) ?? 0) + 1);
  }
  return [...counts.values()].sort((a, b) => b - a);
}

it('each of three replicas leads ten of thirty elections, under one identity', async () => {
  const first = await startApplication();
  await Promise.all(first.map((leader) => leader.whenLeader()));
  expect(new Set(first.map(({ identity }) => identity)).size).toBe(1);
  const even = new Promise<void>((resolve) => {
    const look = (): void => {
      if (loads().join() === '10,10,10') resolve();
    };
    void Promise.all([startApplication(), startApplication()]).then((others) => {
      for (const leader of others.flat()) leader.on('startedLeading', look);
      look();
    });
  });
  await even;
});
