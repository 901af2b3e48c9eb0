/**
 * How soon the next leader's worker works. Nothing is expected of the figures here, they are printed; that there are any
 * says that every hand-over brought a waiting job to its next worker.
 */
import { BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { LeaderService, OnlyWhenLeader } from 'nestjs-leader';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { closeQueue, electingApplication, openQueue, scriptedApplication } from './queue-rig.js';

const HAND_OVERS = 40;

/** When a job began, on the monotonic clock. */
let began: (at: number) => void;
let queue: Queue;

@Processor('handover', { concurrency: 2 })
@OnlyWhenLeader()
@Injectable()
class Clerk extends WorkerHost {
  async process(): Promise<void> {
    began(performance.now());
    return Promise.resolve();
  }
}

const metadata = () => ({
  imports: [BullModule.registerQueue({ name: 'handover' })],
  providers: [Clerk],
});

beforeEach(() => {
  queue = openQueue('handover');
});
afterEach(() => closeQueue(queue));

const nextBeginning = () =>
  new Promise<number>((resolve) => {
    began = resolve;
  });

const drained = (app: INestApplicationContext) =>
  new Promise<void>((resolve) => app.get(Clerk, { strict: false }).worker.once('drained', resolve));

it('between two workers that have led before', async () => {
  let leads = await scriptedApplication(metadata());
  let follows = await scriptedApplication(metadata());
  const both = [leads.app, follows.app];
  await Promise.all(both.map((app) => app.get(Clerk, { strict: false }).worker.waitUntilReady()));
  const times: number[] = [];
  leads.elector.grant();
  for (let count = 0; count < HAND_OVERS; count += 1) {
    // The queue is empty, and the leader's worker waits for a job, when the term ends.
    const idle = drained(leads.app);
    const first = nextBeginning();
    await queue.add('first', {});
    await first;
    await idle;
    await leads.elector.stepDown();
    await queue.add('second', {});
    const beginning = nextBeginning();
    const leadsAt = performance.now();
    follows.elector.grant();
    times.push((await beginning) - leadsAt);
    [leads, follows] = [follows, leads];
  }
  expect(times).toHaveLength(HAND_OVERS);
  print('from leading to the first job, workers that have led before', times);
  await Promise.all(both.map((app) => app.close()));
});

it('from a leader that shuts down to the next one, over a lease', async () => {
  const server = await LeaseApiServer.start();
  let count = 0;
  const replica = async () => {
    count += 1;
    const app = await electingApplication(server, `replica-${count}`, metadata());
    await app.get(Clerk, { strict: false }).worker.waitUntilReady();
    return app;
  };
  let leads = await replica();
  await leads.get(LeaderService).whenLeader();
  const times: number[] = [];
  for (let trial = 0; trial < HAND_OVERS; trial += 1) {
    const follows = await replica();
    const seen = new Promise((resolve) => follows.get(LeaderService).on('newLeader', resolve));
    if (follows.get(LeaderService).getLeader() === '') await seen;
    const beginning = nextBeginning();
    // A job that nobody but the next leader begins: it comes when this one's gate has closed.
    leads.get(LeaderService).on('stateChanged', ({ state }) => {
      if (state.kind === 'handingOver') void queue.add('next', {});
    });
    const from = performance.now();
    const closing = leads.close();
    times.push((await beginning) - from);
    await closing;
    leads = follows;
  }
  expect(times).toHaveLength(HAND_OVERS);
  print("from one leader's shutdown to the next leader's first job, over a lease", times);
  await leads.close();
  await server.stop();
});

function print(what: string, times: number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!.toFixed(1);
  console.info(`measured: ${what}, ms: n ${times.length}, p50 ${at(0.5)}, max ${at(1)}`);
}
