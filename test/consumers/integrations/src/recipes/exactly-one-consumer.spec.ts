/** docs/recipes/exactly-one-consumer.md: every payment is booked once, whatever becomes of the leader. */
import type { LeaseApiServer } from 'nestjs-leader/testing';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { Database } from './database.js';
import { PaymentLog, type Payment } from './payment-log.js';
import { PaymentsConsumer } from './payments.consumer.js';
import { handOver, Hold, leaseServer, replica, shown, usurp, type Replica } from './rig.js';
import { SqliteDatabase, SqliteStore } from './sqlite-database.js';

const PAYMENTS = 30;

/** One partition, in memory. */
class Partition extends PaymentLog {
  readonly #events: Payment[] = [];
  #grown: () => void = () => undefined;
  #growth = this.#nextGrowth();
  /** Resolves with the next poll that has nothing to give. */
  idle: () => void = () => undefined;

  append(payment: Payment): void {
    this.#events.push(payment);
    this.#grown();
    this.#growth = this.#nextGrowth();
  }

  async poll(offset: number, signal: AbortSignal): Promise<Payment[]> {
    await setImmediate();
    while (offset >= this.#events.length) {
      this.idle();
      const over = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
      signal.throwIfAborted();
      await Promise.race([this.#growth, over]);
    }
    return this.#events.slice(offset, offset + 10);
  }

  #nextGrowth(): Promise<void> {
    return new Promise((resolve) => {
      this.#grown = resolve;
    });
  }
}

interface Consumer extends Replica {
  readonly database: SqliteDatabase;
}

let log: Partition;
let store: SqliteStore;
let server: LeaseApiServer;
let one: Consumer;
let two: Consumer;

async function consumer(identity: string): Promise<Consumer> {
  const database = new SqliteDatabase(store);
  const providers = [
    PaymentsConsumer,
    { provide: PaymentLog, useValue: log },
    { provide: Database, useValue: database },
  ];
  return { ...(await replica(server, identity, { providers })), database };
}

beforeEach(async () => {
  log = new Partition();
  store = new SqliteStore(shown('balances.sql'));
  server = await leaseServer();
  one = await consumer('one');
  await one.leader.whenLeader();
  two = await consumer('two');
});

const idle = () =>
  new Promise<void>((resolve) => {
    log.idle = resolve;
  });

/** Each is a power of two, so that a sum tells which were booked, and how often. */
function pay(): void {
  for (let event = 0; event < PAYMENTS; event += 1) log.append({ account: 'ada', amount: 2 ** event });
}

const all = 2 ** PAYMENTS - 1;
const balance = () => store.run('SELECT amount FROM balances').rows[0]?.['amount'];
const next = () => store.run('SELECT next FROM consumers').rows[0]?.['next'];

it('goes on where the leader before has stopped', async () => {
  let transactions = 0;
  const handedOver = new Promise<void>((resolve) => {
    one.database.onItsWay = (statement) => {
      if (statement === 'BEGIN') transactions += 1;
      if (transactions === 10) resolve(handOver(one, two));
    };
  });
  pay();
  await handedOver;
  await idle();
  expect([balance(), next()]).toEqual([all, PAYMENTS]);
  expect(transactions).toBe(10);
});

it('a leader that was lost before its transaction books nothing when it comes late', async () => {
  const hold = new Hold();
  let transactions = 0;
  one.database.onItsWay = (statement) => {
    if (statement === 'BEGIN') transactions += 1;
    return transactions === 10 ? hold.wait() : undefined;
  };
  pay();
  await hold.reached;
  usurp(server);
  await two.leader.whenLeader();
  await idle();
  hold.goOn();
  await handOver(two, one); // it campaigns when its late work has ended
  expect([balance(), next(), transactions]).toEqual([all, PAYMENTS, 10]);
});

it('nor when the next leader has read the offset and not yet booked anything', async () => {
  const [late, early] = [new Hold(), new Hold()];
  let transactions = 0;
  one.database.onItsWay = (statement) => {
    if (statement === 'BEGIN') transactions += 1;
    return transactions === 10 ? late.wait() : undefined;
  };
  two.database.onItsWay = (statement) => (statement === 'BEGIN' ? early.wait() : undefined);
  pay();
  await late.reached;
  usurp(server);
  await early.reached;
  late.goOn();
  await setImmediate();
  await store.transaction(() => Promise.resolve()); // comes after the late one
  expect(next()).toBe(9);
  early.goOn();
  await idle();
  expect([balance(), next()]).toEqual([all, PAYMENTS]);
});

it('a poll that waits for events does not hold up a hand-over', async () => {
  await handOver(one, two);
  const waiting = idle();
  pay();
  await waiting;
  expect([balance(), next()]).toEqual([all, PAYMENTS]);
});

it('what could not be applied is tried again', async () => {
  let failures = 0;
  one.database.onItsWay = (statement) => {
    if (statement !== 'BEGIN' || failures === 1) return;
    failures += 1;
    throw new Error('planted');
  };
  const waiting = idle();
  pay();
  await waiting;
  expect([balance(), next()]).toEqual([all, PAYMENTS]);
});
