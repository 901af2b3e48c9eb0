/** The gate before `process` of a worker, and what it does with a job that it does not let through. */
import { Injectable, Logger, SetMetadata } from '@nestjs/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OnlyWhenLeader, currentTerm } from '../../../lib/index.js';
import { runInFakeTerm } from '../../../lib/testing.js';
import { applicationOf } from '../application.js';

/** As that of @nestjs/bullmq: it is recognized by its accessor. */
abstract class WorkerHost {
  get worker(): unknown {
    throw new Error('"Worker" has not yet been initialized.');
  }
}

class FakeJob {
  readonly id = '12';
  readonly queueName = 'invoices';
  readonly movedWith: unknown[] = [];
  constructor(readonly failure?: Error) {}
  moveToWait(token: unknown): Promise<unknown> {
    this.movedWith.push(token);
    return this.failure === undefined ? Promise.resolve(0) : Promise.reject(this.failure);
  }
}

@Injectable()
@OnlyWhenLeader()
class Worker extends WorkerHost {
  readonly heard: unknown[] = [];

  async process(job: unknown, _token?: string): Promise<unknown> {
    const { signal } = currentTerm();
    await new Promise<void>((resolve) => {
      if (job === 'at once') resolve();
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
    currentTerm().throwIfOver();
    return 'done';
  }

  @SetMetadata('bullmq:worker_events_metadata', { eventName: 'completed' })
  completed(job: unknown): void {
    this.heard.push(job);
  }

  @SetMetadata('bullmq:queue_events_metadata', { eventName: 'waiting' })
  waiting(job: unknown): void {
    this.heard.push(job);
  }
}

const putBack = { name: 'WaitingError', message: 'bullmq:movedToWait' };

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a job', () => {
  it('that comes to a follower goes back to waiting, with its own token', async () => {
    const { app } = await applicationOf(Worker);
    const job = new FakeJob();
    await expect(app.get(Worker).process(job, 'token')).rejects.toMatchObject({
      ...putBack,
      cause: { code: 'LEADER_NOT_LEADER' },
    });
    expect(job.movedWith).toEqual(['token']);
    await app.close();
  });

  it('that stops when its signal fires goes back while the lease is held: a hand-over waits for that', async () => {
    const { app, elector } = await applicationOf(Worker);
    elector.grant();
    const moved: string[] = [];
    const job = new FakeJob();
    job.moveToWait = async () => {
      await Promise.resolve();
      moved.push(elector.state.kind);
    };
    const processing = app.get(Worker).process(job, 'token');
    const told = expect(processing).rejects.toMatchObject({
      ...putBack,
      cause: { code: 'LEADER_TERM_OVER' },
    });
    await elector.stepDown();
    expect(moved).toEqual(['handingOver']);
    await told;
    await app.close();
  });

  it('that Redis does not take back is logged, and does not fail', async () => {
    const warned = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const { app } = await applicationOf(Worker);
    const job = new FakeJob(new Error('Missing lock for job 12'));
    await expect(app.get(Worker).process(job, 'token')).rejects.toMatchObject(putBack);
    expect(warned.mock.calls.flat()).toContainEqual(
      expect.stringContaining(
        "Job 12 of 'invoices' could not be put back to waiting: Error: Missing lock for job 12",
      ),
    );
    await app.close();
  });
});

describe('`otherwise` on process', () => {
  class Otherwise extends WorkerHost {
    @OnlyWhenLeader({ otherwise: 'skip' })
    async process(_job: unknown, _token: string): Promise<unknown> {
      return Promise.resolve('done');
    }
  }
  class Rejecting extends WorkerHost {
    @OnlyWhenLeader({ otherwise: 'reject' })
    async process(_job: unknown, _token: string): Promise<unknown> {
      return Promise.resolve('done');
    }
  }
  class Answering extends WorkerHost {
    @OnlyWhenLeader({ otherwise: ({ method }) => `no ${method}` })
    async process(_job: unknown, _token: string): Promise<unknown> {
      return Promise.resolve('done');
    }
  }

  it("'skip' puts the job back, 'reject' fails it, a function returns its result", async () => {
    const { app } = await applicationOf(Otherwise, Rejecting, Answering);
    const job = new FakeJob();
    await expect(app.get(Otherwise).process(job, 'token')).rejects.toMatchObject(putBack);
    await expect(app.get(Rejecting).process(job, 'token')).rejects.toMatchObject({
      code: 'LEADER_NOT_LEADER',
    });
    expect(await app.get(Answering).process(job, 'token')).toBe('no process');
    expect(job.movedWith).toEqual(['token']);
    await app.close();
  });
});

it('a call with another argument, as in a unit test, is a plain call', async () => {
  const { app, elector } = await applicationOf(Worker);
  await expect(app.get(Worker).process('at once')).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER' });
  elector.grant();
  expect(await app.get(Worker).process('at once')).toBe('done');
  await app.close();
  expect(await runInFakeTerm({}, () => new Worker().process('at once'))).toBe('done');
});

it('a gate on the class does not gate the events of its own jobs; it gates those of the whole queue', async () => {
  const { app, elector } = await applicationOf(Worker);
  const worker = app.get(Worker);
  worker.completed('of a term that is over');
  worker.waiting('skipped');
  elector.grant();
  worker.waiting('heard');
  expect(worker.heard).toEqual(['of a term that is over', 'heard']);
  await app.close();
});

it('refuses two elections on one worker: one would fetch what the other puts back', () => {
  expect(() => {
    class Torn extends WorkerHost {
      @OnlyWhenLeader({ election: 'billing' })
      @OnlyWhenLeader({ election: 'reports' })
      process(): void {
        return;
      }
    }
    return Torn;
  }).toThrow(/Torn\.process\(\) is under @OnlyWhenLeader\(\) of the elections 'reports' and 'billing'/);
});
