/** Runs the targets: on the corpus as it is, and on changed inputs of a seed. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { changed } from './mutations.js';

/** One thing that reads what comes from outside. */
export interface Target {
  /** Its name, also of its folder in the corpus. */
  readonly name: string;
  /** Gives the input to the code. @throws an error that says which promise was broken. */
  readonly run: (input: Buffer) => Promise<void>;
  /** Frees what its runs share. */
  readonly close?: () => Promise<void> | void;
  /** Targets whose corpus it shares. */
  readonly alsoFrom?: readonly string[];
  /** How many runs it makes in about a second. */
  readonly runsPerSecond: number;
}

/** A file of the corpus. */
interface CorpusFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** An input on which a target broke a promise. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  /** The shortest that was found. */
  readonly input: Buffer;
  readonly error: unknown;
}

const CORPUS = join(import.meta.dirname, 'corpus');
const FAILURES = join(import.meta.dirname, '../../build/fuzz');
/** A bound against hanging, not an expectation. */
const HANGS_AFTER_MS = 30_000;

/** The inputs from which all others of a target are made: recorded answers, written ones, and those that once failed. */
export function corpusOf({ name, alsoFrom = [] }: Pick<Target, 'name' | 'alsoFrom'>): CorpusFile[] {
  return [name, ...alsoFrom].flatMap((each) => {
    const folder = join(CORPUS, each);
    return existsSync(folder)
      ? readdirSync(folder)
          .toSorted()
          .map((file) => ({ name: `${each}/${file}`, bytes: readFileSync(join(folder, file)) }))
      : [];
  });
}

/** Runs a target on changed inputs. @returns the failure, shrunk; undefined if every promise was kept. */
export async function fuzz(target: Target, seed: number, runs: number): Promise<Failure | undefined> {
  return check(target, changed(corpusOf(target).map(({ bytes }) => bytes)), seed, runs);
}

/** Runs a target on one input. @returns the failure; undefined if every promise was kept. */
export async function fuzzWith(target: Target, input: Buffer): Promise<Failure | undefined> {
  return check(target, fc.constant(input), 0, 1);
}

async function check(
  target: Target,
  inputs: fc.Arbitrary<Buffer>,
  seed: number,
  runs: number,
): Promise<Failure | undefined> {
  const property = fc.asyncProperty(inputs, async (input) => {
    let disarm: () => void = () => undefined;
    const hung = new Promise<never>((_resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`It hangs: nothing came of it within ${String(HANGS_AFTER_MS)} ms.`));
      }, HANGS_AFTER_MS);
      disarm = () => {
        clearTimeout(timer);
      };
    });
    await Promise.race([observed(target, input), hung]).finally(disarm);
  });
  const found = await fc.check(property, { seed, numRuns: runs });
  if (!found.failed || found.counterexample === null) return undefined;
  return { target: target.name, seed, input: found.counterexample[0], error: found.errorInstance };
}

/** Runs a target on one input. What nobody catches breaks a promise, too. */
async function observed(target: Pick<Target, 'run'>, input: Buffer): Promise<void> {
  const escaped: unknown[] = [];
  const note = (error: unknown): void => {
    escaped.push(error);
  };
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  // The listeners of the test runner would only report them at the end.
  const before = events.map((event) => [event, process.listeners(event as 'uncaughtException')] as const);
  for (const event of events) process.removeAllListeners(event).on(event, note);
  try {
    await target.run(input);
    // An unhandled rejection is told after the microtasks.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    for (const [event, listeners] of before) {
      process.removeListener(event, note);
      for (const listener of listeners) process.on(event, listener);
    }
  }
  if (escaped.length > 0) throw new Error('Nobody caught this error.', { cause: escaped[0] });
}

/** What a person needs to see a failure again, and to keep it. Writes the input into build/fuzz. */
export function report({ target, seed, input, error }: Failure): string {
  mkdirSync(FAILURES, { recursive: true });
  const file = join(FAILURES, `${target}-${String(seed)}`);
  writeFileSync(file, input);
  const shown = JSON.stringify(input.toString('latin1').slice(0, 2_000));
  return [
    `The target '${target}' broke a promise with seed ${String(seed)}: npm run fuzz -- --target ${target} --seed ${String(seed)}`,
    textOfError(error),
    `The input (${String(input.length)} bytes): ${shown}`,
    `It is in ${file}. Keep it: copy it into test/fuzz/corpus/${target}/ under a name that says what went wrong.`,
  ].join('\n');
}

function textOfError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\nCause: ${textOfError(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`.slice(0, 4_000);
}
