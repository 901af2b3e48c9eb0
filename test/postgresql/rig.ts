/** A PostgreSQL with the recipe's table, and replicas that each have a path of their own to it. */
import { readFile } from 'node:fs/promises';
import { LeaseElector, resolveElectionOptions, type ElectionEvent } from 'nestjs-leader/election';
import pg from 'pg';
import { type FaultProxy } from '../rig/fault-proxy.js';
import type { Postgresql } from '../rig/postgresql.js';
import { PostgresqlLeaseLock } from './postgresql-lease-lock.js';

/** Creates the table of the recipe. */
export async function prepared(server: Postgresql): Promise<void> {
  const client = new pg.Client(server.url);
  await client.connect();
  await client.query(await readFile('test/postgresql/schema.sql', 'utf8'));
  await client.end();
}

/** Runs one statement, on a connection of its own. */
export async function statement(
  server: Postgresql,
  text: string,
  values: unknown[] = [],
): Promise<unknown[]> {
  const client = new pg.Client(server.url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** How to connect by this address, as the application of that name. */
export function configOf(url: string, name: string): pg.ClientConfig {
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port), user: 'postgres', database: 'postgres', application_name: name };
}

/** A replica with its own path to the server. */
export class Replica {
  readonly name: string;
  readonly proxy: FaultProxy;
  readonly elector: LeaseElector;
  readonly #lock: PostgresqlLeaseLock;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(name: string, proxy: FaultProxy, leaseName: string, onEvent: (event: ElectionEvent) => void) {
    this.name = name;
    this.proxy = proxy;
    this.#lock = new PostgresqlLeaseLock(configOf(proxy.url, name), leaseName);
    const options = { leaseName, timing: 'fast' } as const;
    this.elector = new LeaseElector({
      lock: this.#lock,
      options: resolveElectionOptions(options, { leaseNamespace: 'none', identity: name }),
    });
    this.#running = this.elector.run(this.#stop.signal, onEvent);
  }

  get leads(): boolean {
    return this.elector.state.kind === 'leading';
  }

  /** Hands over, if it leads. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#lock.close();
    await this.proxy.stop();
  }
}
