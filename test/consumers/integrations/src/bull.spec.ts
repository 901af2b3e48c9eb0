/** Processors of @nestjs/bull on a real Redis: they rest on followers, and no job is lost, failed or completed unseen. */
import { BullModule, OnQueueCompleted, OnQueueFailed, Process, Processor, getQueueToken } from '@nestjs/bull';
import { Injectable, Scope, type INestApplicationContext, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import Bull, { type Job, type Queue } from 'bull';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { OnlyWhenLeader, RequireLeader, currentTerm } from 'nestjs-leader';
import { LeaderElectionTestingModule, ScriptedElector } from 'nestjs-leader/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { redisConnection } from './queue-rig.js';

const prefix = `nestjs-leader-bull-${randomUUID()}`;
const connection = { redis: redisConnection(), prefix };

/** What the processors did. */
let did: string[];
let begun: () => void = () => undefined;
let isQuick = false;

abstract class Told {
  @OnQueueCompleted()
  completed(job: Job): void {
    did.push(`completed ${job.name}`);
  }

  @OnQueueFailed()
  failed(job: Job, error: Error): void {
    did.push(`failed ${job.name}: ${error.message}`);
  }
}

@Processor('jobs')
@OnlyWhenLeader()
class OfClass extends Told {
  @Process('first')
  async first(job: Job): Promise<void> {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }

  @Process({ name: 'second', concurrency: 2 })
  second(job: Job): string {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
    return 'done';
  }
}

@Processor({ name: 'jobs' })
class OfMethods extends Told {
  @OnlyWhenLeader()
  @Process('first')
  async first(job: Job): Promise<void> {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }

  @Process('second')
  @OnlyWhenLeader()
  async second(job: Job): Promise<void> {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerJob {}

@Processor('jobs')
@OnlyWhenLeader()
class RequestScoped {
  constructor(readonly perJob: PerJob) {}

  @Process('*')
  async process(job: Job): Promise<void> {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }
}

async function application(
  ...providers: Type[]
): Promise<{ app: INestApplicationContext; queue: Queue; elector: ScriptedElector }> {
  did = [];
  const module = await Test.createTestingModule({
    imports: [
      BullModule.forRoot(connection),
      BullModule.registerQueue({ name: 'jobs' }),
      LeaderElectionTestingModule.forRoot(),
    ],
    providers,
  }).compile();
  module.useLogger(false);
  const app = await module.init();
  const queue = module.get<Queue>(getQueueToken('jobs'));
  onTestFinished(async () => {
    await module.close();
  });
  return { app, queue, elector: module.get(ScriptedElector) };
}

/** The test's own way to the queue, emptied at the end. */
function ownQueue(): Queue {
  const queue = new Bull('jobs', connection);
  onTestFinished(async () => {
    await queue.obliterate({ force: true });
    await queue.close();
  });
  return queue;
}

const completion = (queue: Queue, count = 1): Promise<void> =>
  new Promise((resolve) => {
    let left = count;
    queue.on('completed', () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });

describe.each([
  ['of a gated class', OfClass],
  ['with gated methods', OfMethods],
  ['of request scope', RequestScoped],
] as const)('@Process() %s', (_name, processor) => {
  it('takes jobs in terms only', async () => {
    const own = ownQueue();
    await own.add('first', {});
    await own.add('second', {});
    const { queue, elector } = await application(processor as Type, PerJob);
    await queue.isReady();
    expect(await queue.isPaused(true)).toBe(true);
    expect([await own.getWaitingCount(), did]).toEqual([2, []]);
    const done = completion(queue, 2);
    elector.grant({ fencingToken: 7n });
    await done;
    expect(did.filter((line) => line.includes(' in ')).sort()).toEqual(['first in 7', 'second in 7']);
    const paused = once(queue, 'paused');
    elector.revoke();
    await paused;
    expect(await queue.isPaused(true)).toBe(true);
    // Whoever adds jobs is not affected.
    await queue.add('first', {});
    expect(await own.getWaitingCount()).toBe(1);
    const again = completion(queue);
    elector.grant({ fencingToken: 9n });
    await again;
    expect(did.filter((line) => line.includes(' in ')).at(-1)).toBe('first in 9');
    expect(did.filter((line) => line.startsWith('failed'))).toEqual([]);
  });
});

@Processor('jobs')
class Long extends Told {
  @Process('long')
  @OnlyWhenLeader()
  async long(job: Job): Promise<void> {
    const { signal } = currentTerm();
    did.push(`begun ${job.attemptsMade}`);
    if (isQuick) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      begun();
    });
    signal.throwIfAborted();
  }

  /** Bull ignores what a processor with a callback returns. */
  @Process('callback')
  @OnlyWhenLeader()
  callback(_job: Job, done: (error?: Error) => void): void {
    did.push('callback');
    done();
  }
}

it('a job whose work ends with the term goes back to waiting: not failed, no attempt used up', async () => {
  const own = ownQueue();
  const { elector, queue } = await application(Long);
  const added = await own.add('long', {}, { attempts: 1 });
  const underWay = new Promise<void>((resolve) => (begun = resolve));
  elector.grant();
  await underWay;
  isQuick = true;
  const paused = once(queue, 'paused');
  elector.revoke();
  await paused;
  const done = completion(queue);
  elector.grant();
  await done;
  expect(did).toEqual(['begun 0', 'begun 0', 'completed long']);
  const job = await own.getJob(added.id);
  expect([job?.failedReason, job?.stacktrace]).toEqual([undefined, []]);
});

it('a shutdown waits until the queue rests, and Bull closes it', async () => {
  const own = ownQueue();
  const { app, elector } = await application(Long);
  isQuick = false;
  await own.add('long', {}, { attempts: 1 });
  const underWay = new Promise<void>((resolve) => (begun = resolve));
  elector.grant();
  await underWay;
  await app.close();
  expect([await own.getWaitingCount(), await own.getActiveCount(), did]).toEqual([1, 0, ['begun 0']]);
});

it.each(['long', 'callback'])('a job that is fetched although nobody leads goes back: %s', async (name) => {
  const own = ownQueue();
  const { queue } = await application(Long);
  await own.add(name, {}, { attempts: 1 });
  // As a fetch that was under way when the queue was paused.
  await queue.isReady();
  // Bull's own step after a fetch, which its types leave out.
  const process = queue as unknown as { processJob(job: Job): Promise<unknown> };
  const job = await queue.getNextJob();
  expect(job?.name).toBe(name);
  await process.processJob(job as Job);
  expect([await own.getWaitingCount(), await own.getActiveCount(), await own.getFailedCount()]).toEqual([
    1, 0, 0,
  ]);
  expect(did).toEqual([]);
});

it('a job keeps its place: the one that goes back is the next', async () => {
  const own = ownQueue();
  const { queue } = await application(Long);
  const first = await own.add('long', {});
  await own.add('long', {});
  await queue.isReady();
  // Bull's own step after a fetch, which its types leave out.
  const process = queue as unknown as { processJob(job: Job): Promise<unknown> };
  await process.processJob((await queue.getNextJob()) as Job);
  const next = await queue.getNextJob();
  expect(next?.id).toBe(first.id);
  await process.processJob(next as Job);
});

describe('the start fails', () => {
  const start = async (...providers: Type[]): Promise<void> => {
    const module = await Test.createTestingModule({
      imports: [
        BullModule.forRoot(connection),
        BullModule.registerQueue({ name: 'jobs' }),
        LeaderElectionTestingModule.forRoot(),
        LeaderElectionTestingModule.forRoot({ name: 'billing' }),
      ],
      providers,
    }).compile();
    module.useLogger(false);
    try {
      await module.init();
    } finally {
      await module.close();
    }
  };

  it.each([
    ['a processor that is not gated', () => undefined, /Mixed\.other\(\) is not gated/],
    [
      'a processor of another election',
      OnlyWhenLeader({ election: 'billing' }),
      /Mixed\.other\(\) is gated by 'billing'|Mixed\.led\(\) is gated by 'default'/,
    ],
  ] as const)('for %s beside a gated one: Bull pauses a queue as a whole', async (_, other, message) => {
    @Processor('jobs')
    class Mixed {
      @Process('led')
      @OnlyWhenLeader()
      async led(): Promise<void> {}

      @Process('other')
      @(other as MethodDecorator)
      async other(): Promise<void> {}
    }
    const failure = await start(Mixed).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringMatching(message),
    });
  });

  it('for a processor under gates of two elections', async () => {
    @Processor('jobs')
    class Stacked {
      @Process('led')
      @OnlyWhenLeader()
      @OnlyWhenLeader({ election: 'billing' })
      async led(): Promise<void> {}
    }
    await expect(start(Stacked)).rejects.toThrow(/Stacked\.led\(\) is under several @OnlyWhenLeader\(\)/);
  });

  it('for a processor under a guard: Nest calls none', async () => {
    @Processor('jobs')
    class Guarded {
      @Process('led')
      @RequireLeader()
      async led(): Promise<void> {}
    }
    await expect(start(Guarded)).rejects.toThrow(/Guarded\.led\(\).*@Process/);
  });
});
