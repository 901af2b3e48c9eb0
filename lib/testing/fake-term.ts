import {
  ScriptedElector,
  TEXT,
  refuseInvalid,
  runInFakedTerm,
  type LeadershipTerm,
  type OptionRule,
  type TermEndReason,
} from '../election/internal.js';

/** The properties of a fake term. */
export interface FakeTermOptions {
  /** Default 1. */
  readonly fencingToken?: bigint | number | undefined;
  /** The election to which the term belongs. Default `'default'`. */
  readonly election?: string | undefined;
}

/** A term that the test can end at any time. */
export interface FakeTerm {
  readonly term: LeadershipTerm;
  /** Ends the term as if it had been lost. Default reason `'deadline'`. */
  end(reason?: TermEndReason): void;
}

const rules: Record<keyof FakeTermOptions, OptionRule> = {
  fencingToken: [
    (value) => (typeof value === 'bigint' || Number.isSafeInteger(value)) && (value as number | bigint) >= 0,
    'it must be a whole number or a bigint, 0 or more, such as 7 or 7n',
  ],
  election: TEXT,
};

/**
 * Runs `work` in a term without an election: `currentTerm()` returns it, and methods under `@OnlyWhenLeader()` run,
 * even on instances that a unit test created with `new` or whose `LeaderService` it replaced. If there is an election
 * as well, the fake term counts, not who leads. The term ends when `work` has ended.
 *
 * @returns what `work` returns.
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
 */
export function runInFakeTerm<T>(options: FakeTermOptions, work: (fake: FakeTerm) => T): T {
  refuseInvalid('The options of runInFakeTerm()', options, rules);
  const { fencingToken = 1, election = 'default' } = options;
  const elector = new ScriptedElector({ leaseName: election, identity: 'fake' });
  elector.grant({ fencingToken: BigInt(fencingToken) });
  void elector.run(new AbortController().signal, () => undefined);
  const { state } = elector;
  if (state.kind !== 'leading') throw new Error('A scripted elector that was granted a term does not lead.');
  const end = (reason: TermEndReason = 'deadline'): void => {
    elector.revoke(reason);
  };
  let result: T;
  try {
    result = runInFakedTerm(election, state.term, () => work({ term: state.term, end }));
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise)
    return result.finally(() => {
      end();
    }) as T;
  end();
  return result;
}
