/** Every way to write a gated processor: its worker runs while this process leads, and not before. */
import { BullModule, OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import { Injectable, Logger, Scope, type INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { Job, Worker } from 'bullmq';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { LeaderElectionTestingModule, getElectorToken, type ScriptedElector } from 'nestjs-leader/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { closeQueue, openQueue, scriptedApplication } from './queue-rig.js';

/** What the processor under test did. */
let did: string[];

abstract class Host extends WorkerHost {
  @OnWorkerEvent('completed')
  completed(job: Job): void {
    did.push(`completed ${job.name}`);
  }
}

@OnlyWhenLeader()
@Processor('jobs', { concurrency: 3 })
class Above extends Host {
  async process(job: Job) {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }
}

@Processor('jobs', { autorun: true })
@OnlyWhenLeader()
class Below extends Host {
  process(job: Job) {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
    return Promise.resolve();
  }
}

@Processor('jobs', { autorun: false })
class OnTheMethod extends Host {
  @OnlyWhenLeader()
  async process(job: Job) {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }
}

abstract class Base extends Host {
  async process(job: Job) {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
  }
}

@Processor('jobs')
@OnlyWhenLeader()
class Inherited extends Base {}

@Injectable({ scope: Scope.REQUEST })
class PerJob {}

@Processor('jobs')
@OnlyWhenLeader()
class RequestScoped extends WorkerHost {
  constructor(readonly perJob: PerJob) {
    super();
  }

  async process(job: Job) {
    did.push(`${job.name} in ${currentTerm().fencingToken}`);
    did.push(`completed ${job.name}`); // it cannot listen
  }
}

@Processor('jobs')
@OnlyWhenLeader({ election: 'billing' })
class Named extends Host {
  async process(job: Job) {
    did.push(`${job.name} in ${currentTerm('billing').fencingToken}`);
  }
}

const billing = LeaderElectionTestingModule.forRoot({ name: 'billing' });

describe.each([
  ['under @OnlyWhenLeader()', Above],
  ['above it', Below],
  ['with the gate on process', OnTheMethod],
  ['with an inherited process', Inherited],
  ['of request scope', RequestScoped],
  ['of a named election', Named],
])('@Processor() %s', (_name, processor) => {
  it('runs in terms only', async () => {
    did = [];
    const warned = vi.spyOn(Logger.prototype, 'warn');
    onTestFinished(() => warned.mockRestore());
    const queue = openQueue('jobs');
    await queue.add('first', {});
    const { app, elector: ofDefault } = await scriptedApplication({
      imports: [BullModule.registerQueue({ name: 'jobs' }), billing],
      providers: [processor, PerJob],
    });
    const elector = processor === Named ? app.get<ScriptedElector>(getElectorToken('billing')) : ofDefault;
    const worker = workerOf(app, processor);

    await worker.waitUntilReady();
    expect([worker.isRunning(), worker.opts.autorun]).toEqual([false, false]);
    let done = completion(worker);
    elector.grant({ fencingToken: 7n });
    await done;
    elector.revoke();
    await queue.add('second', {});
    expect(worker.isPaused()).toBe(true);
    // In the same turn: what was paused runs again as soon as it can.
    done = completion(worker);
    elector.grant({ fencingToken: 8n });
    await done;
    expect(did).toEqual(['first in 7', 'completed first', 'second in 8', 'completed second']);
    // It has all that is used of it.
    expect(warned).not.toHaveBeenCalledWith(expect.stringContaining('versions that were tested'));

    await app.close();
    await closeQueue(queue);
  });
});

it('what the class names beside the gate is kept', () => {
  expect(Reflect.getMetadata('bullmq:worker_metadata', Above)).toEqual({ concurrency: 3, autorun: false });
});

it('a processor that Nest did not make fails at boot', async () => {
  const queue = openQueue('jobs');
  const starting = scriptedApplication({
    imports: [BullModule.registerQueue({ name: 'jobs' })],
    providers: [{ provide: Above, useFactory: () => new Above() }],
  });
  await expect(starting).rejects.toMatchObject({
    code: 'LEADER_MODULE_MISSING',
    message: expect.stringContaining('Provide the class itself: providers: [Above]'),
  });
  await closeQueue(queue);
});

/** Also that of a request-scoped class, whose instances do not know it. */
function workerOf(app: INestApplicationContext, processor: unknown): Worker {
  for (const { providers } of app.get(ModulesContainer).values()) {
    for (const { metatype, instance } of providers.values()) {
      if (metatype === processor) return (instance as WorkerHost).worker;
    }
  }
  throw new Error('There is no such processor.');
}

function completion(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => worker.once('completed', resolve));
}
