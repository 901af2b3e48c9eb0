/** The checker of histories, built with porcupine from its Go module. */
import { rm, writeFile } from 'node:fs/promises';
import { run } from '../package/consumer.js';
import { goBinary, whyNoGoBinary, type GoProgram } from './go-binary.js';

/**
 * One operation of a history. Its effect took place at one instant between `call` and `return`, both included; instants are
 * nanoseconds of one clock.
 */
export interface Operation {
  /** The number of the process. */
  readonly client: number;
  readonly call: number;
  /** Missing if its process has not lived to see it: the operation may have had its effect. */
  readonly return?: number | undefined;
  readonly do: 'begin' | 'lead' | 'end' | 'claim' | 'save' | 'read';
  /** Of all but a read. */
  readonly token?: number | undefined;
  /** What was read, or saved. */
  readonly value?: string | undefined;
  readonly refused?: boolean | undefined;
  /** Registers are checked one by one. */
  readonly register?: string | undefined;
}

/** The model that a history must follow. `term`: begin, lead, end. `register`: claim, save, read. */
export type Model = 'term' | 'register';

/** How a history is checked, or why that is not possible. */
export type LinearizabilityCheck =
  | {
      readonly available: true;
      /** The verdict, `Ok`, `Illegal`, or `Unknown` if it took too long. Writes the history to `<path>.json`, and if it is illegal, draws it in `<path>.html`. */
      readonly check: (model: Model, history: readonly Operation[], path: string) => Promise<string>;
    }
  | { readonly available: false; readonly reason: string };

const CHECKER: GoProgram = { folder: 'linearizability', ldflags: '' };

/** @throws Error if there is no Go to build it and `REQUIRE_LINEARIZABILITY` is set, as in CI. */
export function findLinearizabilityCheck(env: NodeJS.ProcessEnv = process.env): LinearizabilityCheck {
  const reason = whyNoGoBinary(CHECKER);
  if (reason === undefined) {
    return {
      available: true,
      check: async (model, history, path) => {
        // Of an earlier run.
        await rm(`${path}.html`, { force: true });
        await writeFile(`${path}.json`, JSON.stringify(history));
        const args = ['--html', `${path}.html`, model, `${path}.json`];
        return (await run('.', await goBinary(CHECKER), args)).trim();
      },
    };
  }
  if (env['REQUIRE_LINEARIZABILITY']) {
    throw new Error(
      `The checker of histories is required (REQUIRE_LINEARIZABILITY), but ${reason}. It is built with Go.`,
    );
  }
  return { available: false, reason };
}
