/** docs/recipes/outbox-relay.md: what was written is received once, and in order, whatever becomes of the leader. */
import type { LeaseApiServer } from 'nestjs-leader/testing';
import { beforeEach, expect, it } from 'vitest';
import { Broker } from './broker.js';
import { Database } from './database.js';
import { OutboxRelay } from './outbox-relay.js';
import { handOver, Hold, leaseServer, replica, shown, usurp, type Replica } from './rig.js';
import { SqliteDatabase, SqliteStore } from './sqlite-database.js';

const ROWS = 30;

/** It drops what it has seen, as brokers do that know message ids. */
class Topic {
  readonly received: string[] = [];
  /** Everything that came, with what was dropped. */
  readonly came: string[] = [];
  readonly #seen = new Set<string>();
  #complete: () => void = () => undefined;
  readonly complete = new Promise<void>((resolve) => {
    this.#complete = resolve;
  });

  take(body: string, messageId: string): void {
    this.came.push(body);
    if (this.#seen.has(messageId)) return;
    this.#seen.add(messageId);
    this.received.push(body);
    if (this.received.length === ROWS) this.#complete();
  }
}

class BrokerOf extends Broker {
  /** Called with each message, which comes to the topic when it resolves. */
  sending: (body: string) => Promise<unknown> | void = () => undefined;

  constructor(private readonly topic: Topic) {
    super();
  }

  async publish(_topic: string, body: string, { messageId }: { messageId: string }) {
    await this.sending(body);
    this.topic.take(body, messageId);
  }
}

interface Relay extends Replica {
  readonly broker: BrokerOf;
}

const bodies = Array.from({ length: ROWS }, (_, row) => `invoice ${row + 1}`);

let topic: Topic;
let store: SqliteStore;
let server: LeaseApiServer;
let one: Relay;
let two: Relay;

async function relay(identity: string): Promise<Relay> {
  const broker = new BrokerOf(topic);
  const providers = [
    OutboxRelay,
    { provide: Broker, useValue: broker },
    { provide: Database, useValue: new SqliteDatabase(store) },
  ];
  return { ...(await replica(server, identity, { providers })), broker };
}

beforeEach(async () => {
  topic = new Topic();
  store = new SqliteStore(shown('outbox.sql'));
  server = await leaseServer();
  one = await relay('one');
  await one.leader.whenLeader();
  two = await relay('two');
});

function write(): void {
  for (const body of bodies)
    store.run(`INSERT INTO outbox (topic, body) VALUES ('invoices', :body)`, { body });
}

it('is published in order, and through hand-overs nothing twice', async () => {
  let turns = 0;
  for (const { broker, leader } of [one, two]) {
    broker.sending = () => {
      turns += 1;
      if (turns % 5 === 0) void leader.stepDown();
    };
  }
  write();
  await topic.complete;
  expect([topic.received, topic.came]).toEqual([bodies, bodies]);
  const terms = store.run('SELECT DISTINCT sent_by FROM outbox').rows;
  expect(terms.length).toBeGreaterThan(3);
});

it('a row whose leader was lost in the middle comes twice, is received once, and none comes after it', async () => {
  const hold = new Hold();
  one.broker.sending = (body) => (body === 'invoice 10' ? hold.wait() : undefined);
  write();
  await hold.reached;
  usurp(server);
  await two.leader.whenLeader();
  await topic.complete;
  hold.goOn();
  // It may campaign again when its work has ended, so this term begins when the late row has been seen to.
  await handOver(two, one);
  expect(topic.received).toEqual(bodies);
  expect(topic.came).toEqual([...bodies, 'invoice 10']);
});

it('goes on from the row that the broker refused', async () => {
  let refusals = 0;
  one.broker.sending = (body) => {
    if (body !== 'invoice 10' || refusals === 1) return;
    refusals += 1;
    throw new Error('planted');
  };
  write();
  await topic.complete;
  expect([topic.came, refusals]).toEqual([bodies, 1]);
});
