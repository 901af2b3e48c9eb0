/** When a worker is run, paused and resumed. What that does to jobs is tested in test/consumers/integrations. */
import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { ScriptedElector } from '../../../lib/election/index.js';
import { LedWorker } from '../../../lib/nest/bullmq/led-workers.js';

/** The members of a BullMQ worker that LedWorker uses. */
class FakeWorker extends EventEmitter {
  readonly calls: string[] = [];
  readonly errors: unknown[] = [];
  running: 'never' | 'runs' | 'paused' = 'never';
  /** Ends, or fails, what a pause waits for. */
  finishPause: (failure?: Error) => void = () => undefined;
  runFails: Error | undefined;
  /** As bullmq 5 resolves with the connection on which it waits for jobs. */
  waitUntilReady: () => Promise<unknown> = () => Promise.resolve(undefined);

  constructor() {
    super();
    this.on('error', (error) => this.errors.push(error));
  }
  isRunning(): boolean {
    return this.running === 'runs';
  }
  isPaused(): boolean {
    return this.running === 'paused';
  }
  run(): Promise<void> {
    this.calls.push('run');
    this.running = 'runs';
    return this.runFails === undefined ? Promise.resolve() : Promise.reject(this.runFails);
  }
  resume(): void {
    this.calls.push('resume');
    this.running = 'runs';
  }
  pause(atOnce: boolean): Promise<void> {
    if (this.running === 'paused') return Promise.resolve();
    this.calls.push(atOnce ? 'pause at once' : 'pause');
    this.running = 'paused';
    return new Promise((resolve, reject) => {
      this.finishPause = (failure) => {
        if (failure === undefined) resolve();
        else reject(failure);
      };
    });
  }
}

let worker: FakeWorker;
let elector: ScriptedElector;
let warnings: string[];

beforeEach(() => {
  worker = new FakeWorker();
  warnings = [];
  const led = new LedWorker(worker, (line) => warnings.push(line));
  elector = new ScriptedElector();
  void elector.run(new AbortController().signal, (event) => {
    if (event.type === 'startedLeading') led.lead(event.term);
  });
});

it('runs from the first term on, and is paused synchronously when a term ends', async () => {
  elector.grant();
  await setImmediate();
  elector.revoke();
  expect(worker.calls).toEqual(['run', 'pause']);
});

it('a hand-over pauses it before the jobs are told to stop', async () => {
  const heard: string[] = [];
  elector.grant();
  await setImmediate();
  const { state } = elector;
  if (state.kind !== 'leading') throw new Error(state.kind);
  state.term.signal.addEventListener('abort', () => heard.push(...worker.calls));
  await elector.stepDown();
  expect(heard).toEqual(['run', 'pause']);
});

it('is resumed when its pause is complete', async () => {
  elector.grant();
  await setImmediate();
  elector.revoke();
  elector.grant();
  await setImmediate();
  expect(worker.calls).toEqual(['run', 'pause']);
  worker.finishPause();
  await setImmediate();
  expect(worker.calls).toEqual(['run', 'pause', 'resume']);
});

it('a term that has ended during the pause does not resume the worker; a later term does', async () => {
  elector.grant();
  await setImmediate();
  elector.revoke();
  elector.grant();
  elector.revoke();
  worker.finishPause();
  await setImmediate();
  expect(worker.calls).toEqual(['run', 'pause']);
  elector.grant();
  await setImmediate();
  expect(worker.calls.slice(2)).toEqual(['resume']);
});

it('a pause that fails is logged, and the worker runs in the next term', async () => {
  elector.grant();
  await setImmediate();
  elector.revoke();
  worker.finishPause(new Error('Connection is closed.'));
  elector.grant();
  await setImmediate();
  expect(worker.calls.slice(2)).toEqual(['resume']);
  expect(warnings).toEqual([expect.stringContaining('Error: Connection is closed.')]);
});

it('a run that fails is an error event of the worker, as with autorun', async () => {
  worker.runFails = new Error('WRONGPASS');
  elector.grant();
  await setImmediate();
  expect(worker.errors).toEqual([worker.runFails]);
});

it.each([
  ['bullmq 5', (status: string) => ({ waitUntilReady: () => Promise.resolve({ status }) })],
  ['bullmq 6', (status: string) => ({ getBackend: () => ({ blockingClient: Promise.resolve({ status }) }) })],
])('without a connection there is no fetch to abort: %s', async (_version, connected) => {
  for (const status of ['ready', 'connect', 'reconnecting']) {
    Object.assign(worker, connected(status));
    elector.grant();
    await setImmediate();
    elector.revoke();
    worker.finishPause();
    await setImmediate();
  }
  expect(worker.calls.filter((call) => call.startsWith('pause'))).toEqual([
    'pause',
    'pause',
    'pause at once',
  ]);
});

it('a worker that the application has started runs on until the term ends', async () => {
  worker.running = 'runs';
  elector.grant();
  await setImmediate();
  elector.revoke();
  expect(worker.calls).toEqual(['pause']);
});
