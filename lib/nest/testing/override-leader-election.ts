import {
  DEFAULT_ELECTION,
  InvalidOptionsError,
  LeaderError,
  ScriptedElector,
  kindOf,
  refuseInvalid,
  type OptionRule,
} from '../../election/internal.js';
import { SimulatedTime } from '../../testing/index.js';
import { createElector } from '../create-elector.js';
import { ElectionGroup } from '../election-group.js';
import { ElectionExplorer } from '../election.explorer.js';
import type { LeaderElectionModuleOptions } from '../options/module-options.js';
import { resolveOptions, type ResolvedModuleOptions } from '../options/resolve-options.js';
import { CREATE_ELECTOR, ELECTION_NAME, GIVEN_OPTIONS, RESOLVED_OPTIONS } from '../tokens.js';
import { START_AS, clockOn } from './leader-election-testing.module.js';

/** What {@link overrideLeaderElection} needs of the builder that `Test.createTestingModule()` of `@nestjs/testing` returns. */
export interface TestingBuilder {
  overrideProvider(token: unknown): {
    // As @nestjs/testing types it, which users of this package need not have.
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    useFactory(factory: { factory: (...dependencies: any[]) => unknown; inject?: any[] }): unknown;
  };
}

/** Which elections a test takes over, and how they begin. */
export interface OverrideElectionOptions {
  /** Default `'follower'`. */
  readonly startAs?: 'leader' | 'follower' | undefined;
  /** The names of the elections. Default: all elections of the application. */
  readonly elections?: readonly string[] | undefined;
}

/** The elections that a test has taken over. */
export interface OverriddenElections {
  /** The time of all of them. It stands still until `advance(ms)`. */
  readonly time: SimulatedTime;
  /**
   * The elector of an election, once the module is compiled.
   *
   * @param election default: the default election.
   * @throws LeaderError `LEADER_MODULE_MISSING` before that, and for an election that was not taken over.
   */
  readonly elector: (election?: string) => ScriptedElector;
}

/**
 * Lets a test decide who leads in the elections of an existing module, such as a whole `AppModule`. They need neither a cluster nor a
 * namespace: nothing is read, sent or loaded for one, and a lost term does not end the process (`onLost: 'exit'`). All else is as in
 * production: the options are created and checked. Several calls add up; for an election that two of them name, the later counts.
 *
 * ```ts
 * const builder = Test.createTestingModule({ imports: [AppModule] });
 * const elections = overrideLeaderElection(builder, { startAs: 'leader' });
 * const app = await builder.compile();
 * await app.init();
 * elections.elector().revoke();
 * ```
 *
 * @param builder what `Test.createTestingModule()` returns, before `compile()`.
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`. `compile()` rejects with `LEADER_MODULE_MISSING` when the module has no election
 * of a given name.
 */
export function overrideLeaderElection(
  builder: TestingBuilder,
  options: OverrideElectionOptions = {},
): OverriddenElections {
  refuseOther(builder);
  refuseInvalid('The options of overrideLeaderElection()', options, rules);
  const overriding = overridden.get(builder) ?? new Overriding(builder);
  overridden.set(builder, overriding);
  overriding.add(options);
  return overriding;
}

const overridden = new WeakMap<TestingBuilder, Overriding>();

/** All that one test has taken over. */
class Overriding implements OverriddenElections {
  readonly time = new SimulatedTime();
  readonly #choices: OverrideElectionOptions[] = [];
  readonly #electors = new Map<string, ScriptedElector>();
  #isCompiled = false;

  constructor(builder: TestingBuilder) {
    builder.overrideProvider(CREATE_ELECTOR).useFactory({
      inject: [ElectionExplorer],
      factory: (explorer: ElectionExplorer) => this.#creator(explorer),
    });
    builder.overrideProvider(RESOLVED_OPTIONS).useFactory({
      inject: [ELECTION_NAME, GIVEN_OPTIONS, ElectionGroup],
      factory: this.#options,
    });
  }

  /** @throws InvalidOptionsError when the module has been compiled: its electors are made. */
  add(choice: OverrideElectionOptions): void {
    if (this.#isCompiled)
      throw new InvalidOptionsError(
        ['the builder has been compiled: call overrideLeaderElection() before compile()'],
        'The arguments of overrideLeaderElection()',
      );
    this.#choices.push(choice);
  }

  readonly elector = (election: string = DEFAULT_ELECTION): ScriptedElector => {
    const elector = this.#electors.get(election);
    if (elector !== undefined) return elector;
    const known = [...this.#electors.keys()].map((name) => `'${name}'`).join(', ');
    throw new LeaderError(
      'LEADER_MODULE_MISSING',
      `overrideLeaderElection() has no elector of the election '${election}': it has those of ${known === '' ? 'none' : known}. ` +
        `They exist when the builder has compiled a module that imports LeaderElectionModule; LeaderElectionTestingModule has its own.`,
    );
  };

  /** The choice for an election. Undefined for an election that stays as it is. */
  #choiceFor(election: string): OverrideElectionOptions | undefined {
    return this.#choices.findLast(({ elections }) => elections?.includes(election) ?? true);
  }

  /** @throws LeaderError `LEADER_MODULE_MISSING` for a misspelt election: the one that was meant would look for a cluster. */
  #creator(explorer: ElectionExplorer): typeof createElector {
    this.#isCompiled = true;
    for (const name of this.#choices.flatMap(({ elections = [] }) => elections))
      if (!explorer.elections.includes(name))
        throw explorer.unknownElection(name, 'overrideLeaderElection() was asked for it');
    return async (name, resolved, surroundings) => {
      const choice = this.#choiceFor(name);
      if (choice === undefined) return createElector(name, resolved, surroundings);
      const elector = this.#scripted(name, resolved);
      if (choice.startAs === 'leader') elector.grant();
      this.#electors.set(name, elector);
      return elector;
    };
  }

  #scripted(election: string, { election: options, metrics }: ResolvedModuleOptions): ScriptedElector {
    const { leaseName, identity, drainTimeout, termLimit } = options;
    const meter = metrics?.meter({ leaseName, election });
    const clock = clockOn(this.time);
    return new ScriptedElector({ leaseName, identity, drainTimeout, termLimit, clock, meter });
  }

  readonly #options = async (
    name: string,
    given: LeaderElectionModuleOptions,
    { identity }: ElectionGroup,
  ): Promise<ResolvedModuleOptions> => {
    const resolved = await resolveOptions(name, given, identity);
    if (this.#choiceFor(name) === undefined) return resolved;
    return { ...resolved, election: { ...resolved.election, onLost: 'campaign' } };
  };
}

const rules: Record<keyof OverrideElectionOptions, OptionRule> = {
  startAs: START_AS,
  elections: [
    (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((name) => typeof name === 'string' && name !== ''),
    'it must be a list of the names of elections, or be left out for all elections',
  ],
};

function refuseOther(builder: unknown): void {
  const isBuilder =
    typeof (builder as Partial<TestingBuilder> | null | undefined)?.overrideProvider === 'function';
  if (isBuilder) return;
  const violation =
    `the builder is ${kindOf(builder)}: it must be what Test.createTestingModule() of @nestjs/testing returns, and must not have been ` +
    `compiled yet`;
  throw new InvalidOptionsError([violation], 'The arguments of overrideLeaderElection()');
}
