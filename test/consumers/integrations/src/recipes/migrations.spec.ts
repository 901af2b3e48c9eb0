/** docs/recipes/migrations.md: replicas that start at one time. */
import { Hold, leaseServerOfEnvironment } from './rig.js';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrations } from './all-migrations.js';
import { migrate } from './migrate.js';

let begun: string[];
let atATime: number;
let most: number;

beforeEach(async () => {
  Logger.overrideLogger(false);
  await leaseServerOfEnvironment();
  [begun, atATime, most] = [[], 0, 0];
});

afterEach(() => {
  migrations.length = 0;
});

function migration(name: string, work: () => Promise<unknown>): void {
  const up = async () => {
    begun.push(name);
    atATime += 1;
    most = Math.max(most, atATime);
    await work().finally(() => {
      atATime -= 1;
    });
  };
  migrations.push({ name, up });
}

it('each migration is run once, one at a time, and no replica goes on before all have been', async () => {
  const hold = new Hold();
  migration('once: first', () => hold.wait());
  migration('once: second', async () => undefined);
  const ready: string[][] = [];
  const starting = ['one', 'two', 'three'].map(() => migrate().then(() => ready.push([...begun])));
  await hold.reached;
  expect(ready).toEqual([]);
  hold.goOn();
  await Promise.all(starting);
  const all = ['once: first', 'once: second'];
  expect([begun, most, ready]).toEqual([all, 1, [all, all, all]]);
});

it('one that fails ends its replica, and the next begins it anew', async () => {
  let failed = false;
  migration('fails: first', async () => undefined);
  migration('fails: second', async () => {
    if (failed) return;
    failed = true;
    throw new Error('planted');
  });
  const outcomes = await Promise.allSettled([migrate(), migrate(), migrate()]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(begun).toEqual(['fails: first', 'fails: second', 'fails: second']);
});
