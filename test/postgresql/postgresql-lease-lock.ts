import { Socket } from 'node:net';
import {
  LeaseRequestError,
  type LeaderErrorCode,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from 'nestjs-leader/election';
import pg from 'pg';

interface Row {
  uid: string;
  /** A bigint, which pg returns as a string. */
  version: string;
  record: LeaseRecord;
}

const READ = 'SELECT uid, version, record FROM lease WHERE name = $1';
const CREATE = 'SELECT uid, version, record FROM create_lease($1, $2)';
const UPDATE =
  'UPDATE lease SET record = $2 WHERE name = $1 AND uid = $3 AND version = $4 RETURNING uid, version, record';

/**
 * A lease in the table `lease` of a PostgreSQL database. It has connections of its own, so that it never waits for one that the
 * application uses: one for requests, and one for its watch.
 */
export class PostgresqlLeaseLock implements LeaseLock {
  readonly #config: pg.ClientConfig;
  readonly #name: string;
  readonly #open = new Set<Session>();
  /** The connection that the next request uses. */
  #idle: Session | undefined;

  constructor(config: pg.ClientConfig, name: string) {
    this.#config = config;
    this.#name = name;
  }

  describe(): string {
    return `lease/${this.#name}`;
  }

  async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
    const row = await this.#request(call, READ, []);
    return row && snapshotOf(row);
  }

  async create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return outcomeOf(await this.#request(call, CREATE, [JSON.stringify(record)]));
  }

  async update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    const values = [JSON.stringify(record), base.uid, base.resourceVersion];
    return outcomeOf(await this.#request(call, UPDATE, values));
  }

  async watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => signal.aborted;
    if (isOver()) return;
    const session = this.#connect();
    const end = (): void => {
      session.close();
    };
    signal.addEventListener('abort', end, { once: true });
    const tell = (event: WatchEvent): void => {
      if (!isOver()) onEvent(event);
    };
    const report = async (version?: string): Promise<void> => {
      const row = await session.query(READ, [this.#name]);
      if (row !== undefined) tell({ kind: 'seen', snapshot: snapshotOf(row) });
      else if (version !== undefined) tell({ kind: 'deleted', resourceVersion: version });
    };
    try {
      await session.ready;
      // The bell rings with `version name`. It only says that there is something to read; so one read follows the other.
      let reports = session.query('LISTEN lease', []).then(async () => {
        tell({ kind: 'opened' });
        await report();
      });
      session.client.on('notification', ({ payload = '' }) => {
        const [version = '', name] = payload.split(/ (.*)/s);
        if (name !== this.#name) return;
        reports = reports.then(() => report(version));
        reports.catch(end);
      });
      reports.catch(end);
      await session.ended;
      await reports;
      throw new Error('The connection has ended.');
    } catch (error) {
      if (!isOver()) throw requestError(error, false);
    } finally {
      signal.removeEventListener('abort', end);
      session.close();
    }
  }

  /** Closes all connections. */
  close(): void {
    for (const session of this.#open) session.close();
  }

  async #request(call: LeaseCall, text: string, values: unknown[]): Promise<Row | undefined> {
    if (call.newConnection) this.#idle?.close();
    const session = this.#idle ?? this.#connect();
    this.#idle = undefined;
    // PostgreSQL is not asked to cancel: a commit that is cancelled while it waits for a standby is reported as a success.
    const giveUp = (): void => {
      session.close();
    };
    call.signal.addEventListener('abort', giveUp, { once: true });
    if (call.signal.aborted) giveUp();
    let isSent = false;
    try {
      await session.ready;
      isSent = true;
      const row = await session.query(text, [this.#name, ...values]);
      this.#keep(session);
      return row;
    } catch (error) {
      session.close();
      throw requestError(error, isSent);
    } finally {
      call.signal.removeEventListener('abort', giveUp);
    }
  }

  #keep(session: Session): void {
    if (this.#idle === undefined && this.#open.has(session)) this.#idle = session;
    else session.close();
  }

  #connect(): Session {
    const session = new Session(this.#config);
    this.#open.add(session);
    void session.ended.then(() => {
      this.#open.delete(session);
      if (this.#idle === session) this.#idle = undefined;
    });
    return session;
  }
}

/** A connection, which can be closed at any time, also while it is opened or silent. */
class Session {
  readonly client: pg.Client;
  /** Resolves when statements can be sent; rejects if this server cannot keep a lease. */
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  readonly #socket = new Socket();

  constructor(config: pg.ClientConfig) {
    this.client = new pg.Client({
      ...config,
      stream: () => this.#socket,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    // Without a listener an error of an idle connection would end the process. The end follows each error.
    this.client.on('error', () => undefined);
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.ready = this.#prepare();
    this.ready.catch(() => undefined);
  }

  async query(text: string, values: unknown[]): Promise<Row | undefined> {
    return (await this.client.query<Row>(text, values)).rows[0];
  }

  close(): void {
    this.#socket.destroy();
  }

  async #prepare(): Promise<void> {
    await this.client.connect();
    const { rows } = await this.client.query<{ standby: boolean; commits: string }>(
      `SELECT pg_is_in_recovery() AS standby, current_setting('synchronous_commit') AS commits,
              set_config('lock_timeout', '5s', false)`,
    );
    const [server] = rows;
    if (server?.standby !== false)
      throw new Error('The server is a standby, which may be behind: connect to the primary.');
    if (server.commits === 'off')
      throw new Error(
        'synchronous_commit is off, so a crash may undo what was written: set it to on for this role.',
      );
  }
}

function snapshotOf({ uid, version, record }: Row): LeaseSnapshot {
  return { uid, resourceVersion: version, record };
}

function outcomeOf(row: Row | undefined): WriteOutcome {
  return row === undefined ? { kind: 'conflict' } : { kind: 'written', snapshot: snapshotOf(row) };
}

/** Classes of SQLSTATE, and what the election makes of them. All others: `LEADER_SERVER_ERROR`. */
const CODES: readonly (readonly [beginning: string, code: LeaderErrorCode])[] = [
  ['28', 'LEADER_UNAUTHORIZED'],
  ['42501', 'LEADER_FORBIDDEN'],
  ['42', 'LEADER_REQUEST_INVALID'], // The table or the function is missing, for example.
  ['3D', 'LEADER_REQUEST_INVALID'],
  ['22', 'LEADER_REQUEST_INVALID'],
];

/** After these a statement may have been carried out: the connection or the server ended, or nobody knows. */
const OUTCOME_UNKNOWN = /^(08|57P|40003|XX)/;

function requestError(error: unknown, isSent: boolean): LeaseRequestError {
  const state = error instanceof pg.DatabaseError ? (error.code ?? '') : undefined;
  // Node's error for a host with several addresses has no message.
  const { message = '', code = '' } = error as { readonly message?: string; readonly code?: string };
  const known = CODES.find(([beginning]) => state?.startsWith(beginning));
  return new LeaseRequestError(
    known?.[1] ?? (state === undefined ? 'LEADER_UNREACHABLE' : 'LEADER_SERVER_ERROR'),
    `PostgreSQL${state === undefined ? '' : ` (${state})`}: ${message || code}`,
    { maybeCommitted: isSent && (state === undefined || OUTCOME_UNKNOWN.test(state)), cause: error },
  );
}
