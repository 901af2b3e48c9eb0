/**
 * Replicas on a real PostgreSQL, under faults that a seed chooses: never two leaders, tokens that grow, a row that refuses the
 * writes of former leaders, and a leader again after each fault.
 */
import type { LeaseRecord } from 'nestjs-leader/election';
import { Chance } from 'nestjs-leader/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../rig/fault-proxy.js';
import { findPostgresql, type Postgresql } from '../rig/postgresql.js';
import { PostgresqlLeaseLock } from './postgresql-lease-lock.js';
import { Replica, configOf, prepared, statement } from './rig.js';

const found = findPostgresql();
const REPLICAS = ['a', 'b', 'c'];
const FAULTS_OF_A_SEED = 12;

/** Three replicas, and what is always true of them. */
class Fleet {
  readonly replicas: Replica[] = [];
  readonly tokens: bigint[] = [];
  /** What must never happen. */
  readonly violations: string[] = [];
  readonly #server: Postgresql;
  readonly #lease: string;
  #waiting: (() => void)[] = [];

  constructor(server: Postgresql, lease: string) {
    this.#server = server;
    this.#lease = lease;
  }

  static async start(server: Postgresql, lease: string): Promise<Fleet> {
    const fleet = new Fleet(server, lease);
    await statement(
      server,
      'CREATE TABLE IF NOT EXISTS witness (lease text PRIMARY KEY, token bigint NOT NULL)',
    );
    await statement(server, 'INSERT INTO witness VALUES ($1, 0)', [lease]);
    for (const name of REPLICAS) {
      const proxy = await FaultProxy.start(server.url);
      const replica: Replica = new Replica(`${lease}-${name}`, proxy, lease, (event) => {
        if (event.type === 'startedLeading') fleet.#begins(event.term.fencingToken);
        fleet.#look();
      });
      fleet.replicas.push(replica);
    }
    return fleet;
  }

  get leader(): Replica | undefined {
    return this.replicas.find(({ leads }) => leads);
  }

  /** Resolves when this is true, which it is looked at with each event of a replica. */
  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (isTrue()) resolve();
        else this.#waiting.push(look);
      };
      look();
    });
  }

  async led(): Promise<Replica> {
    await this.until(() => this.leader !== undefined);
    return this.leader ?? this.led();
  }

  /** The leader writes into the row that it fences. A leader of the past is refused. */
  async fence(): Promise<void> {
    const { elector } = await this.led();
    const { state } = elector;
    if (state.kind !== 'leading') return;
    const { fencingToken } = state.term;
    const rows = await statement(
      this.#server,
      'UPDATE witness SET token = $2 WHERE lease = $1 AND token <= $2 RETURNING token',
      [this.#lease, fencingToken.toString()],
    );
    if (rows.length === 0 && !state.term.isOver)
      this.violations.push(`the row refused the token ${String(fencingToken)} of the present leader`);
  }

  /** Ends all connections of a replica, as an administrator does; or all there are. */
  async terminate(replica?: Replica): Promise<void> {
    await statement(
      this.#server,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name LIKE $1`,
      [replica?.name ?? `${this.#lease}-%`],
    );
  }

  async deleteLease(): Promise<void> {
    await statement(this.#server, 'DELETE FROM lease WHERE name = $1', [this.#lease]);
  }

  async stop(): Promise<void> {
    for (const { proxy } of this.replicas) proxy.heal();
    await Promise.all(this.replicas.map((replica) => replica.stop()));
  }

  #begins(token: bigint): void {
    const last = this.tokens.at(-1) ?? 0n;
    if (token <= last) this.violations.push(`the token ${String(token)} came after ${String(last)}`);
    this.tokens.push(token);
  }

  #look(): void {
    const leading = this.replicas.filter(({ leads }) => leads).map(({ name }) => name);
    if (leading.length > 1) this.violations.push(`${leading.join(' and ')} lead at one time`);
    for (const look of this.#waiting.splice(0)) look();
  }
}

type Fault = (fleet: Fleet, server: Postgresql, leader: Replica) => Promise<void>;

const ended = (fleet: Fleet, leader: Replica): Promise<void> => fleet.until(() => !leader.leads);

const FAULTS: Readonly<Record<string, Fault>> = {
  "the leader's connections are terminated": (fleet, _server, leader) => fleet.terminate(leader),
  "the followers' connections are terminated": async (fleet, _server, leader) => {
    for (const replica of fleet.replicas) if (replica !== leader) await fleet.terminate(replica);
  },
  'all connections are terminated': (fleet) => fleet.terminate(),
  'the connection of a renewal is terminated when it was sent': async (fleet, _server, leader) => {
    await leader.proxy.next('requests');
    await fleet.terminate(leader);
  },
  'the connection of a renewal is terminated when its answer is lost': async (fleet, _server, leader) => {
    await leader.proxy.holdReply();
    await fleet.terminate(leader);
    leader.proxy.heal();
  },
  'the connection of a release is terminated': async (fleet, _server, leader) => {
    const sent = leader.proxy.next('requests');
    const released = leader.elector.stepDown();
    await sent;
    await fleet.terminate(leader);
    await released;
  },
  "all connections of the leader's path fall silent": async (fleet, _server, leader) => {
    leader.proxy.halfOpen();
    await fleet.fence();
  },
  "the answers on the leader's path stall": async (fleet, _server, leader) => {
    const lost = ended(fleet, leader);
    leader.proxy.stall('replies');
    await lost;
    await fleet.until(() => fleet.leader !== undefined);
    leader.proxy.heal();
  },
  "the requests on the leader's path stall": async (fleet, _server, leader) => {
    const lost = ended(fleet, leader);
    leader.proxy.stall('requests');
    await lost;
    await fleet.until(() => fleet.leader !== undefined);
    leader.proxy.heal();
  },
  "the leader's path is cut": async (fleet, _server, leader) => {
    const lost = ended(fleet, leader);
    leader.proxy.cut();
    await lost;
    leader.proxy.heal();
  },
  'the server stands still for longer than a term lasts': async (fleet, server, leader) => {
    const lost = ended(fleet, leader);
    server.freeze();
    await lost;
    server.thaw();
  },
  'the server crashes and starts again': (_fleet, server) => server.crash(),
  'the lease is deleted by hand': async (fleet) => {
    const terms = fleet.tokens.length;
    await fleet.deleteLease();
    await fleet.until(() => fleet.tokens.length > terms);
  },
};

const names = Object.keys(FAULTS);

if (!found.available) {
  it(`faults of PostgreSQL are not tested here: ${found.reason}`, () => {
    expect(found.reason).not.toBe('');
  });
} else {
  describe('replicas on a PostgreSQL', () => {
    let server: Postgresql;

    beforeAll(async () => {
      server = await found.start();
      await prepared(server);
    });
    afterAll(async () => {
      await server.stop();
    });

    const suffer = async (lease: string, faults: readonly string[]): Promise<void> => {
      const fleet = await Fleet.start(server, lease);
      try {
        for (const fault of faults) {
          const leader = await fleet.led();
          await FAULTS[fault]?.(fleet, server, leader);
          await fleet.led();
          await fleet.fence();
          expect(fleet.violations, `after: ${fault}`).toEqual([]);
        }
      } finally {
        await fleet.stop();
      }
      expect(fleet.violations).toEqual([]);
      expect(await statement(server, 'SELECT record FROM lease WHERE name = $1', [lease])).toMatchObject([
        { record: { holderIdentity: '' } },
      ]);
    };

    it('write no longer than 5 s while a transaction of others locks the row, and know that nothing was written', async () => {
      const lock = new PostgresqlLeaseLock(configOf(server.url, 'locked'), 'locked');
      const call = { signal: new AbortController().signal, newConnection: false };
      const time = '2026-01-01T00:00:00.000001Z' as NonNullable<LeaseRecord['renewTime']>;
      const record = { holderIdentity: 'a', leaseDurationSeconds: 15, acquireTime: time, renewTime: time };
      const created = await lock.create({ ...record, leaseTransitions: 0 }, call);
      if (created.kind === 'conflict') throw new Error('the lease exists');
      const other = new pg.Client(server.url);
      await other.connect();
      await other.query("BEGIN; SELECT * FROM lease WHERE name = 'locked' FOR UPDATE");
      const { snapshot } = created;
      await expect(lock.update(snapshot, snapshot.record, call)).rejects.toMatchObject({
        code: 'LEADER_SERVER_ERROR',
        message: expect.stringContaining('(55P03)'),
        maybeCommitted: false,
      });
      expect(await lock.get(call)).toEqual(snapshot);
      await other.end();
      expect(await lock.update(snapshot, snapshot.record, call)).toMatchObject({ kind: 'written' });
      lock.close();
    });

    it.each(names)('have one leader, and one again, if %s', async (fault) => {
      await suffer(`one-${String(names.indexOf(fault))}`, [fault]);
    });

    it.each([1, 2, 3])(`have one leader under the faults of seed %i`, async (seed) => {
      const chance = new Chance(seed);
      const faults = Array.from({ length: FAULTS_OF_A_SEED }, () => chance.oneOf(names));
      await suffer(`seed-${String(seed)}`, faults);
    });
  });
}
