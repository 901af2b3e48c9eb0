/** Two applications, one lease, one queue on a real Redis: every job is done, by whoever leads, whatever happens to the lease. */
import { Global, Module, type INestApplicationContext } from '@nestjs/common';
import type { Job, Queue } from 'bullmq';
import { setImmediate } from 'node:timers/promises';
import { LeaderService } from 'nestjs-leader';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InvoiceWorker } from './docs/invoice.worker.js';
import { InvoicesModule } from './docs/invoices.module.js';
import { Mailer } from './docs/mailer.js';
import { closeQueue, electingApplication, openQueue } from './queue-rig.js';

/** What one process was asked to send. */
class Outbox extends Mailer {
  readonly begun: { key: string; isLeader: boolean }[] = [];
  readonly sent: string[] = [];
  isLeader: () => boolean = () => false;
  /** Called with each mail, which is sent when it resolves. */
  sending: (signal: AbortSignal) => Promise<unknown> = () => setImmediate();

  async send(_customer: string, key: string, signal: AbortSignal): Promise<void> {
    this.begun.push({ key, isLeader: this.isLeader() });
    await this.sending(signal);
    this.sent.push(key);
  }
}

class Replica {
  /** Jobs that its worker has fetched. */
  readonly fetched: string[] = [];
  /** Jobs that failed, and whatever else its worker complained of. */
  readonly failed: string[] = [];
  readonly leader: LeaderService;
  readonly host: InvoiceWorker;

  constructor(
    readonly app: INestApplicationContext,
    readonly outbox: Outbox,
  ) {
    this.leader = app.get(LeaderService);
    this.host = app.get(InvoiceWorker, { strict: false });
    outbox.isLeader = () => this.leader.isLeader();
    this.host.worker.on('active', (job) => this.fetched.push(String(job.id)));
    this.host.worker.on('failed', (job, error) => this.failed.push(`${job?.id}: ${error.message}`));
    this.host.worker.on('error', (error) => this.failed.push(error.message));
  }
}

let server: LeaseApiServer;
let one: Replica;
let two: Replica;
let queue: Queue;

async function replica(identity: string): Promise<Replica> {
  const outbox = new Outbox();
  @Global()
  @Module({ providers: [{ provide: Mailer, useValue: outbox }], exports: [Mailer] })
  class MailModule {}
  const app = await electingApplication(server, identity, { imports: [MailModule, InvoicesModule] });
  return new Replica(app, outbox);
}

beforeEach(async () => {
  server = await LeaseApiServer.start();
  queue = openQueue('invoices');
  one = await replica('one');
  await one.leader.whenLeader();
  two = await replica('two');
});

afterEach(async () => {
  await Promise.all([one.app.close(), two.app.close()]);
  await closeQueue(queue);
  await server.stop();
});

const customers = ['ada', 'grace', 'edsger'];

function addJobs(count: number): Promise<Job[]> {
  return queue.addBulk(Array.from({ length: count }, () => ({ name: 'send', data: { customers } })));
}

/** Resolves when the workers have completed so many jobs from now on. */
function completed(count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const note = () => {
      left -= 1;
      if (left === 0) resolve();
    };
    for (const { host } of [one, two]) host.worker.on('completed', note);
  });
}

/** Hands over, so that the other leads. */
async function handOver(from: Replica, to: Replica): Promise<void> {
  await from.leader.stepDown({ cooldown: 60_000 });
  await to.leader.whenLeader();
}

it('200 jobs through hand-overs, an intruder in the lease, and a deleted lease: each is done', async () => {
  const blows: ((struck: Replica) => unknown)[] = [
    ({ leader }) => leader.stepDown(),
    ({ leader }) => leader.stepDown(),
    // The term is lost in the middle of jobs: somebody else has the lease, for a second.
    () => server.put({ metadata: { name: 'invoices' }, spec: intruder() }),
    ({ leader }) => leader.stepDown(),
    () => server.delete('invoices'),
    ({ leader }) => leader.stepDown(),
    ({ leader }) => leader.stepDown(),
  ];
  let sinceLast = 0;
  for (const struck of [one, two]) {
    struck.outbox.sending = async () => {
      await setImmediate();
      sinceLast += 1;
      if (sinceLast < 50 || !struck.leader.isLeader()) return;
      sinceLast = 0;
      void blows.shift()?.(struck);
    };
  }
  const done = completed(200);
  const jobs = await addJobs(200);
  await done;

  expect(blows).toEqual([]);
  expect([one.failed, two.failed]).toEqual([[], []]);
  expect(await queue.getJobCounts('completed', 'failed', 'wait', 'active', 'delayed')).toEqual({
    completed: 200,
    failed: 0,
    wait: 0,
    active: 0,
    delayed: 0,
  });
  // None was completed without having run to its end.
  const keys = jobs.flatMap(({ id }) => customers.map((customer) => `invoices/${id}/${customer}`));
  expect([...new Set([...one.outbox.sent, ...two.outbox.sent])].sort()).toEqual(keys.sort());
  // Nothing was begun by a follower.
  expect([...one.outbox.begun, ...two.outbox.begun].filter(({ isLeader }) => !isLeader)).toEqual([]);
  const ended: Job[] = await queue.getCompleted(0, 200);
  // Being told to stop used up no attempt,
  expect(ended.filter(({ attemptsMade }) => attemptsMade !== 1)).toEqual([]);
  // and some were told, or this test has shown nothing.
  expect(ended.filter(({ attemptsStarted }) => attemptsStarted > 1)).not.toEqual([]);
  expect([one.fetched, two.fetched].map(({ length }) => length > 0)).toEqual([true, true]);
});

it('a follower fetches nothing: not before it has led, and not after', async () => {
  let done = completed(50);
  await addJobs(50);
  await done;
  expect([one.fetched.length, two.fetched.length]).toEqual([50, 0]);

  // The queue is empty, so the worker waits for a job when its term ends.
  const paused = new Promise<void>((resolve) => one.host.worker.once('paused', resolve));
  await handOver(one, two);
  await paused;
  done = completed(50);
  await addJobs(50);
  await done;
  expect([one.fetched.length, two.fetched.length]).toEqual([50, 50]);
});

it('a job that stops as it is told waits for the next leader, first of all, with every attempt left', async () => {
  await two.app.close(); // so that nobody takes it
  const begun = new Promise<void>((resolve) => {
    one.outbox.sending = (signal) => {
      resolve();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    };
  });
  const [job] = (await addJobs(1)) as [Job];
  await begun;
  // Until then its worker may be fetching, this job too, and puts back what it has fetched.
  const paused = new Promise<void>((resolve) => one.host.worker.once('paused', resolve));
  await one.leader.stepDown({ cooldown: 60_000 });
  await paused;
  expect(await job.getState()).toBe('waiting');

  await addJobs(1);
  two = await replica('three');
  await completed(2);
  expect(two.fetched[0]).toBe(job.id);
  const ended: Job[] = await queue.getCompleted();
  expect(ended.map(({ attemptsMade }) => attemptsMade)).toEqual([1, 1]);
  expect(one.failed).toEqual([]);
});

it('a job that comes to a follower all the same goes back to waiting', async () => {
  await two.app.close();
  await one.leader.stepDown({ cooldown: 60_000 });
  const [job] = (await addJobs(1)) as [Job];
  // Fetched by hand, as by a fetch that was under way when its worker was paused.
  const { worker } = one.host;
  const fetched = new Promise((resolve) => worker.once('active', resolve));
  void worker.resume();
  expect(await fetched).toMatchObject({ id: job.id });
  await worker.pause();
  expect(await job.getState()).toBe('waiting');
  expect(await queue.getJob(String(job.id))).toMatchObject({ attemptsMade: 0 });
  expect([one.outbox.begun, one.failed]).toEqual([[], []]);
});

it('at shutdown running jobs end while the lease is held; what waits is the next leader\u2019s', async () => {
  let finish: () => void = () => undefined;
  let holderAtEnd: unknown;
  const begun = new Promise<void>((resolve) => {
    one.outbox.sending = async () => {
      resolve();
      await new Promise<void>((end) => {
        finish = end;
      });
      holderAtEnd = server.leases[0]?.spec.holderIdentity;
    };
  });
  const running = await queue.add('send', { customers: ['ada'] });
  await begun;
  one.leader.on('stateChanged', ({ state }) => {
    // Its term is over when these are added: its worker may still be fetching, but only the next leader does them.
    if (state.kind === 'handingOver') void addJobs(3).then(finish);
  });
  const done = completed(4);
  await one.app.close();
  expect(holderAtEnd).toBe('one');
  expect(await running.getState()).toBe('completed');
  await done;
  expect([one.outbox.begun.length, two.outbox.sent.length]).toEqual([1, 9]);
  expect([one.failed, two.failed]).toEqual([[], []]);
});

function intruder() {
  const now = new Date().toISOString().replace('Z', '000Z');
  return { holderIdentity: 'intruder', leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
}
