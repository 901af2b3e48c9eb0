/** A term that ends while Redis cannot be reached. */
import { BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import type { Job, Worker } from 'bullmq';
import { OnlyWhenLeader } from 'nestjs-leader';
import type { EventEmitter } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { closeQueue, openQueue, redisConnection, scriptedApplication } from './queue-rig.js';

@Processor('outage')
@OnlyWhenLeader()
class Clerk extends WorkerHost {
  readonly did: string[] = [];

  async process(job: Job): Promise<void> {
    this.did.push(job.name);
    return Promise.resolve();
  }
}

/** The way to Redis, which can be cut. */
class Wire {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  port = 0;

  async join(): Promise<void> {
    const { host, port } = redisConnection();
    const server = createServer((client) => {
      const redis = createConnection(port, host);
      for (const [from, to] of [
        [client, redis],
        [redis, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => undefined).on('close', () => to.destroy());
        from.pipe(to);
      }
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await closed;
  }
}

const wire = new Wire();
const queue = openQueue('outage');

beforeEach(() => wire.join());
afterEach(async () => {
  await wire.cut();
  await closeQueue(queue);
});

function happens(worker: Worker, event: 'completed' | 'drained'): Promise<unknown> {
  return new Promise((resolve) => worker.once(event, resolve));
}

/** The connection on which a worker waits for jobs: bullmq 5 resolves with it, bullmq 6 has it in its backend. */
async function waitingConnection(worker: unknown): Promise<EventEmitter> {
  const { waitUntilReady, getBackend } = worker as {
    waitUntilReady(): Promise<EventEmitter | undefined>;
    getBackend?(): { blockingClient: Promise<EventEmitter> };
  };
  return ((await waitUntilReady.call(worker)) ?? (await getBackend?.call(worker).blockingClient))!;
}

it('does not keep the worker from the next term', async () => {
  const { app, elector } = await scriptedApplication({
    imports: [
      BullModule.registerQueue({
        name: 'outage',
        connection: { ...redisConnection(), host: '127.0.0.1', port: wire.port },
      }),
    ],
    providers: [Clerk],
  });
  const clerk = app.get(Clerk, { strict: false });
  const { worker } = clerk;
  const idle = happens(worker, 'drained');
  await queue.add('before', {});
  elector.grant();
  await idle;

  const connection = await waitingConnection(worker);
  const cut = new Promise((resolve) => connection.once('reconnecting', resolve));
  await wire.cut();
  await cut;
  elector.revoke();
  expect(worker.isPaused()).toBe(true);
  await wire.join();

  await queue.add('after', {});
  const done = happens(worker, 'completed');
  elector.grant();
  await done;
  expect(clerk.did).toEqual(['before', 'after']);
  await app.close();
});
