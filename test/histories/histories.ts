/** The registers of a fleet, and the histories that its replicas have written. */
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { example } from '../fencing/recipe.js';
import { SqliteDatabase } from '../fencing/sqlite-database.js';
import type { HistoryLine, Seen } from '../processes/replica/history-file.js';
import { machineNow, type RegisterSettings } from '../processes/replica/messages.js';
import { scratchFolder } from '../rig/guard.js';
import { findLinearizabilityCheck, type Model, type Operation } from '../rig/linearizability.js';

const FOLDER = 'build/histories';
const REGISTER_MS = 5 * 60_000;

export class Registers {
  readonly #folder: string;
  readonly #since = machineNow();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** They are removed with the scratch folders of the tests. */
  static async create(): Promise<Registers> {
    const registers = new Registers(await scratchFolder('registers'));
    // The first that opens the file prepares it for several writers.
    const database = new SqliteDatabase(registers.#database);
    await database.run(example('schema.sql'));
    database.close();
    return registers;
  }

  settingsOf(identity: string): RegisterSettings {
    return {
      database: this.#database,
      history: join(this.#folder, `${identity}.jsonl`),
      since: this.#since,
      eachMs: REGISTER_MS,
    };
  }

  /** What all replicas have written so far. Read it when they have ended: an operation that has not returned counts as unknown. */
  async histories(): Promise<Histories> {
    const files = (await readdir(this.#folder)).filter((name) => name.endsWith('.jsonl')).sort();
    const texts = await Promise.all(files.map((name) => readFile(join(this.#folder, name), 'utf8')));
    return historiesOf(texts.map(linesOf));
  }

  get #database(): string {
    return join(this.#folder, 'registers.db');
  }
}

export interface Histories {
  /** By isLeader(). */
  readonly terms: readonly Operation[];
  /** By the last event that each process had heard. */
  readonly remembered: readonly Operation[];
  readonly guarded: readonly Operation[];
  readonly unguarded: readonly Operation[];
}

/**
 * One sentence if no single leader could have made this history, which is kept in build/histories/ and drawn there. Without Go nothing
 * is checked.
 */
export async function verdictOn(
  name: string,
  model: Model,
  history: readonly Operation[],
): Promise<string | undefined> {
  const checker = findLinearizabilityCheck();
  if (!checker.available) return undefined;
  await mkdir(FOLDER, { recursive: true });
  const path = join(FOLDER, name);
  const verdict = await checker.check(model, history, path);
  if (verdict === 'Ok') return undefined;
  const subject = `the history ${path}.json of ${String(history.length)} operations`;
  return verdict === 'Illegal'
    ? `${subject} is not linearizable: ${path}.html draws it`
    : `${subject} took too long to check`;
}

/** @param processes the lines of each process */
export function historiesOf(processes: readonly (readonly HistoryLine[])[]): Histories {
  const registers = processes.flatMap(operationsIn);
  const of = (protection: string): Operation[] =>
    registers.filter(({ register }) => register?.startsWith(`${protection} `));
  const terms = (by: keyof Seen): Operation[] =>
    processes.flatMap((lines, client) => termsIn(lines, client, by));
  return {
    terms: terms('token'),
    remembered: terms('remembered'),
    guarded: of('guarded'),
    unguarded: of('unguarded'),
  };
}

/** A process that is killed while it writes leaves a line without an end, of an operation that was not called. */
function linesOf(text: string): HistoryLine[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as HistoryLine);
}

function operationsIn(lines: readonly HistoryLine[], client: number): Operation[] {
  const operations = new Map<number, Operation>();
  for (const line of lines) {
    if ('call' in line) operations.set(line.id, { client, call: line.call, ...line.operation });
    if (!('return' in line)) continue;
    const called = operations.get(line.id);
    if (called === undefined) continue;
    const { failed, ...outcome } = line.outcome;
    if (failed === true) operations.delete(line.id);
    else operations.set(line.id, { ...called, ...outcome, return: line.return });
  }
  return [...operations.values()];
}

type Look = Extract<HistoryLine, { look: unknown }>;

/**
 * The terms of a process, by its looks. A term begins at some instant between the last look that does not show it and the first that
 * does, and ends between the last that does and the next. The looks in between say no more than the first and the last.
 */
function termsIn(lines: readonly HistoryLine[], client: number, by: keyof Seen): Operation[] {
  const looks = lines.filter((line): line is Look => 'look' in line);
  return looks.flatMap((line, index) => {
    const {
      look: [call, until],
      [by]: token,
    } = line;
    if (token === undefined) return [];
    const operations: Operation[] = [];
    const [before, next] = [looks[index - 1], looks[index + 1]];
    const [isFirst, isLast] = [before?.[by] !== token, next?.[by] !== token];
    if (isFirst)
      operations.push({ client, do: 'begin', token, call: before?.look[1] ?? 0, return: call - 1 });
    if (isFirst || isLast) operations.push({ client, do: 'lead', token, call, return: until });
    if (isLast) operations.push({ client, do: 'end', token, call, return: next?.look[1] });
    return operations;
  });
}
