/** Which workers an election leads, and what it reports of the others. Real workers: test/consumers/integrations. */
import { Logger, SetMetadata } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { OnlyWhenLeader } from '../../../lib/index.js';
import { applicationOf, applicationWith } from '../application.js';

/** As that of @nestjs/bullmq. */
abstract class WorkerHost {
  _worker: unknown;
  get worker(): unknown {
    if (this._worker === undefined) throw new Error('"Worker" has not yet been initialized.');
    return this._worker;
  }
}

const Processor = (): ClassDecorator => SetMetadata('bullmq:processor_metadata', { name: 'invoices' });

@Processor()
@OnlyWhenLeader()
class InvoiceWorker extends WorkerHost {
  process(): Promise<void> {
    return Promise.resolve();
  }
}

let warnings: string[];

beforeEach(() => {
  warnings = [];
  vi.spyOn(Logger.prototype, 'warn').mockImplementation((line: string) => {
    warnings.push(line);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

it('a worker that is registered late causes a warning, and is led from the next term on', async () => {
  const { app, elector } = await applicationOf(InvoiceWorker);
  elector.grant();
  expect(warnings).toContainEqual(expect.stringContaining('InvoiceWorker has no worker, so its jobs wait'));
  elector.revoke();

  const calls: string[] = [];
  app.get(InvoiceWorker)._worker = {
    isPaused: () => false,
    isRunning: () => false,
    run: () => Promise.resolve(calls.push('run')),
    waitUntilReady: () => Promise.resolve(),
    pause: () => Promise.resolve(calls.push('pause')),
  };
  elector.grant();
  await setImmediate();
  elector.revoke();
  expect(calls).toEqual(['run', 'pause']);
  await app.close();
});

it.each([
  ['useFactory', { provide: 'worker', useFactory: () => new InvoiceWorker() }],
  ['useValue', { provide: 'worker', useValue: new InvoiceWorker() }],
])('a processor of %s fails at boot: its gate would have no election', async (_way, provider) => {
  await expect(applicationWith({ providers: [provider] })).rejects.toMatchObject({
    code: 'LEADER_MODULE_MISSING',
    message: expect.stringContaining('Provide the class itself: providers: [InvoiceWorker]'),
  });
});

it('an alias of a processor is not another processor', async () => {
  const { app } = await applicationWith({
    providers: [InvoiceWorker, { provide: 'alias', useExisting: InvoiceWorker }],
  });
  await app.close();
});
