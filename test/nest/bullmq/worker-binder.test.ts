/** Which workers an election leads, and what it says about those it cannot; with real ones in test/consumers/integrations. */
import { Logger, SetMetadata } from '@nestjs/common';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OnlyWhenLeader } from '../../../lib/index.js';
import { TESTED_BULLMQ } from '../../../lib/nest/bullmq/job-processor.js';
import { applicationOf, applicationWith } from '../application.js';

/** As @nestjs/bullmq's. */
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

it('a worker that is registered late is missed aloud, and led from the next term on', async () => {
  const { app, elector } = await applicationOf(InvoiceWorker);
  elector.grant();
  expect(warnings).toContainEqual(expect.stringContaining('InvoiceWorker has no worker, so its jobs wait'));
  elector.revoke();

  const calls: string[] = [];
  app.get(InvoiceWorker)._worker = {
    isPaused: () => false,
    isRunning: () => false,
    run: () => Promise.resolve(calls.push('run')),
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

it('another name for a processor is not another processor', async () => {
  const { app } = await applicationWith({
    providers: [InvoiceWorker, { provide: 'alias', useExisting: InvoiceWorker }],
  });
  await app.close();
});

describe('a worker of a version that is not known', () => {
  const known = {
    isPaused: () => false,
    isRunning: () => true,
    pause: () => Promise.resolve(),
    drained: true,
    mainLoopRunning: null,
  };
  const lead = async (worker: object): Promise<string[]> => {
    const { app, elector } = await applicationOf(InvoiceWorker);
    app.get(InvoiceWorker)._worker = worker;
    for (let term = 0; term < 3; term += 1) {
      elector.grant();
      await setImmediate();
      elector.revoke();
    }
    await app.close();
    return warnings.filter((line) => line.includes('versions that were tested'));
  };

  it.each([
    ['bullmq 5', { ...known, blockingConnection: { client: Promise.resolve({}) } }],
    ['bullmq 6', { ...known, backend: { blockingClient: Promise.resolve({}) } }],
  ])('of none that is: %s', async (_, worker) => {
    expect(await lead(worker)).toEqual([]);
  });

  it('is told of once, with what is missing and what was tested', async () => {
    const { drained, mainLoopRunning, ...other } = known;
    expect([drained, mainLoopRunning]).toEqual([true, null]);
    expect(await lead(other)).toEqual([
      expect.stringMatching(
        /bullmq 5\.55 to 6\.7\): drained, mainLoopRunning, the connection on which it waits/,
      ),
    ]);
  });
});

it('the range of bullmq that was tested is that of the installations, and what the recipe says', async () => {
  const [from, to] = TESTED_BULLMQ.split(' to ');
  const folder = join(import.meta.dirname, '..', '..', 'consumers', 'integrations');
  const installed = await Promise.all(
    ['nest-11.json', 'nest-12.json'].map(async (file) => {
      const { dependencies } = JSON.parse(await readFile(join(folder, file), 'utf8')) as {
        dependencies: Record<string, string>;
      };
      return dependencies['bullmq'];
    }),
  );
  expect(installed).toEqual(['^5.81.5', `~${String(to)}.0`]);
  const recipe = await readFile('docs/recipes/bullmq.md', 'utf8');
  expect(recipe).toContain(`bullmq ${String(from)} to ${String(to)}`);
});
