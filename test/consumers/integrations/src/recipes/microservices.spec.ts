/** docs/recipes/microservices.md: a client that finds the leader, over TCP. */
import { ClientProxyFactory, Transport, type ClientProxy } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { LeaderService } from 'nestjs-leader';
import type { LeaseApiServer } from 'nestjs-leader/testing';
import { createServer, type AddressInfo } from 'node:net';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { Database } from './database.js';
import { LedgerClient } from './ledger.client.js';
import { Ledger } from './ledger.controller.js';
import { electionOf, handOver, Hold, leaseServer, usurp, type Replica } from './rig.js';
import { SqliteDatabase, SqliteStore } from './sqlite-database.js';

let store: SqliteStore;
let server: LeaseApiServer;

interface Service extends Replica {
  readonly client: ClientProxy;
  readonly database: SqliteDatabase;
}

beforeEach(async () => {
  store = new SqliteStore('CREATE TABLE entries (id TEXT PRIMARY KEY, amount BIGINT NOT NULL)');
  server = await leaseServer();
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function service(identity: string): Promise<Service> {
  const database = new SqliteDatabase(store);
  const module = await Test.createTestingModule({
    imports: [electionOf(server, identity)],
    controllers: [Ledger],
    providers: [{ provide: Database, useValue: database }],
  }).compile();
  const options = { host: '127.0.0.1', port: await freePort() };
  const app = module.createNestMicroservice({ transport: Transport.TCP, options, logger: false });
  await app.listen();
  onTestFinished(() => app.close());
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  onTestFinished(() => client.close());
  return { app, leader: app.get(LeaderService), client, database };
}

const booked = () => store.run('SELECT id FROM entries ORDER BY id').rows.map(({ id }) => id);

it('the leader books, whichever replica is asked first, and the next one when it has gone', async () => {
  const one = await service('one');
  await one.leader.whenLeader();
  const two = await service('two');
  const ledger = new LedgerClient([two.client, one.client]);
  expect(await ledger.book({ id: 'a', amount: 1 })).toEqual({ booked: 'a' });
  await handOver(one, two);
  expect(await ledger.book({ id: 'b', amount: 2 })).toEqual({ booked: 'b' });
  expect(booked()).toEqual(['a', 'b']);
});

it('goes on asking while nobody leads, and where a replica is not there', async () => {
  const one = await service('one');
  await one.leader.whenLeader();
  const nobody = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port: await freePort() },
  });
  usurp(server);
  const ledger = new LedgerClient([nobody, one.client]);
  expect(await ledger.book({ id: 'a', amount: 1 })).toEqual({ booked: 'a' });
});

it('an entry that comes twice is booked once', async () => {
  const one = await service('one');
  await one.leader.whenLeader();
  const two = await service('two');
  const hold = new Hold();
  one.database.onItsWay = () => hold.wait();
  const late = new LedgerClient([one.client, two.client]).book({ id: 'a', amount: 1 });
  await hold.reached;
  usurp(server);
  await two.leader.whenLeader();
  await new LedgerClient([two.client]).book({ id: 'a', amount: 1 });
  hold.goOn();
  await late;
  expect(booked()).toEqual(['a']);
});

it("an error of the handler's own is not asked about again", async () => {
  const one = await service('one');
  await one.leader.whenLeader();
  let asked = 0;
  one.database.onItsWay = () => {
    asked += 1;
    throw new Error('planted');
  };
  await expect(new LedgerClient([one.client]).book({ id: 'a', amount: 1 })).rejects.toBeDefined();
  expect(asked).toBe(1);
});
