import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { LeaderService, OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import type { Outcome as Result, Value } from '../../fencing/database.js';
import { example, unguarded } from '../../fencing/recipe.js';
import { SqliteDatabase } from '../../fencing/sqlite-database.js';
import { HistoryFile, type Call, type Outcome } from './history-file.js';
import { machineNow, tell, type RegisterSettings } from './messages.js';

const WORK_EVERY_MS = 100;
const WORK_MS = 60;
const READ_EVERY_MS = 100;
const LOOK_EVERY_MS = 20;
/** Another replica may be stopped within a transaction. Until it continues, this one must not be blocked. */
const BUSY_TIMEOUT_MS = 20;

/** The statements of the recipe, and the same without their guards. */
const STATEMENTS = {
  guarded: { claim: example('claim.sql'), save: example('save.sql') },
  unguarded: { claim: unguarded(example('claim.sql')), save: unguarded(example('save.sql')) },
};
type Protection = keyof typeof STATEMENTS;
const PROTECTIONS: readonly Protection[] = ['guarded', 'unguarded'];
const INSERT = "INSERT INTO invoices (id, body) VALUES (:id, '') ON CONFLICT DO NOTHING";
const READ = 'SELECT body FROM invoices WHERE id = :id';

/**
 * Two values in a database, of which only one is protected from leaders of the past. The leader changes both all the time, all
 * replicas read them and look whether they lead, and each writes a history of that.
 */
@Injectable()
export class RegisterChanges {
  readonly #settings = JSON.parse(process.env['REGISTERS'] ?? '{}') as RegisterSettings;
  readonly #database = new SqliteDatabase(this.#settings.database, BUSY_TIMEOUT_MS);
  readonly #history = new HistoryFile(this.#settings.history);
  #changes = 0;
  #stopsAfterClaim = false;

  /** What an application would know that keeps the last event in a variable, instead of asking. */
  #remembered: number | undefined;

  constructor(private readonly leader: LeaderService) {
    leader.on('startedLeading', ({ term }) => {
      this.#remembered = Number(term.fencingToken);
    });
    leader.on('stoppedLeading', () => {
      this.#remembered = undefined;
    });
  }

  /** The next change stops this process between its claims and its writes. */
  stopAfterClaim(): void {
    this.#stopsAfterClaim = true;
  }

  @Interval(LOOK_EVERY_MS)
  look(): void {
    this.#history.look(() => {
      // First, because isLeader() ends a term that it finds run out, and its end is an event.
      const remembered = this.#remembered;
      const term = this.leader.isLeader() ? this.leader.term : undefined;
      return { token: term && Number(term.fencingToken), remembered };
    });
  }

  @Interval(READ_EVERY_MS)
  async read(): Promise<void> {
    for (const protection of PROTECTIONS) {
      const id = this.#register(protection);
      await this.#operate({ do: 'read', register: id }, READ, { id }, ({ rows: [row] }) => ({
        value: row === undefined ? '' : String(row['body']),
      }));
    }
  }

  /** Nothing looks at the term between claim and write: a process can always be stopped between its last look and its write. */
  @Interval(WORK_EVERY_MS)
  @OnlyWhenLeader()
  async change(): Promise<void> {
    const { fencingToken: token } = currentTerm();
    const claimed: [Protection, string][] = [];
    for (const protection of PROTECTIONS) {
      const id = this.#register(protection);
      if (await this.#claim(protection, id, token)) claimed.push([protection, id]);
    }
    await pause(WORK_MS);
    if (this.#stopsAfterClaim) {
      this.#stopsAfterClaim = false;
      process.kill(process.pid, 'SIGSTOP');
      // It continues here, before any timer and before anything that has arrived meanwhile.
      this.look();
    }
    this.#changes += 1;
    for (const [protection, id] of claimed) {
      await this.#save(protection, id, token, `${String(token)}/${String(this.#changes)}`);
    }
    tell({ type: 'saved', token: token.toString(), at: machineNow() });
  }

  async #claim(protection: Protection, id: string, token: bigint): Promise<boolean> {
    const operation = { do: 'claim', token: Number(token), register: id } as const;
    const { claim } = STATEMENTS[protection];
    if ((await this.#run(INSERT, { id })) === 'busy') return false;
    const outcome = await this.#operate(operation, claim, { id, token }, ({ rows: [row] }) =>
      row === undefined ? { refused: true } : { value: String(row['body']) },
    );
    return outcome.refused !== true && outcome.failed !== true;
  }

  async #save(protection: Protection, id: string, token: bigint, value: string): Promise<void> {
    const operation = { do: 'save', token: Number(token), value, register: id } as const;
    const { save } = STATEMENTS[protection];
    await this.#operate(operation, save, { id, body: value, token }, ({ affectedRows }) => ({
      value,
      refused: affectedRows === 0,
    }));
  }

  /** Runs one statement, and writes it into the history as one operation. */
  #operate(
    operation: Call,
    statement: string,
    values: Readonly<Record<string, Value>>,
    outcomeOf: (result: Result) => Outcome,
  ): Promise<Outcome> {
    return this.#history.record(operation, async () => {
      const result = await this.#run(statement, values);
      return result === 'busy' ? { failed: true } : outcomeOf(result);
    });
  }

  async #run(statement: string, values: Readonly<Record<string, Value>>): Promise<Result | 'busy'> {
    try {
      return await this.#database.run(statement, values);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'SQLITE_BUSY') throw error;
      return 'busy';
    }
  }

  /** The register of this time: a new one every few minutes, because the checker's memory grows with the square of a history. */
  #register(protection: Protection): string {
    const { since, eachMs } = this.#settings;
    return `${protection} ${String(Math.floor((machineNow() - since) / eachMs))}`;
  }
}
