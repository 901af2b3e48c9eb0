import { Module, type DynamicModule } from '@nestjs/common';
import {
  DEFAULT_ELECTION,
  DURATION,
  ScriptedElector,
  SystemClock,
  TEXT,
  kindOf,
  refuseInvalid,
  type Clock,
  type MetricsProvider,
  type OptionRule,
  type TracesProvider,
} from '../../election/internal.js';
import { SimulatedTime } from '../../testing/index.js';
import { electionModule } from '../leader-election.module.js';
import {
  METRICS_RULE,
  TRACES_RULE,
  isMetricsProvider,
  isTracesProvider,
  type ResolvedModuleOptions,
} from '../options/resolve-options.js';
import { GIVEN_OPTIONS, RESOLVED_OPTIONS, getElectorToken } from '../tokens.js';

/** Options of an election in a test. */
export interface LeaderElectionTestingOptions {
  /** Default `'follower'`. */
  readonly startAs?: 'leader' | 'follower' | undefined;
  /** The name of the election that it replaces. Default: the default election. */
  readonly name?: string | undefined;
  /** The identity of this process. Default `'me'`. */
  readonly identity?: string | undefined;
  /** How many milliseconds a hand-over waits for running work before it reports that. Default 20000. */
  readonly drainTimeout?: number | undefined;
  /** After how many milliseconds a term is handed over. Default 0: never. */
  readonly termLimit?: number | undefined;
  /** Where the election's metrics go, as in production. Default: nowhere. */
  readonly metrics?: MetricsProvider | undefined;
  /** Where the election's traces go, as in production. Default: nowhere. */
  readonly traces?: TracesProvider | undefined;
}

/** The rule for `startAs`. */
export const START_AS: OptionRule = [
  (value) => value === 'leader' || value === 'follower',
  "it must be 'leader' or 'follower'",
];

/** The time of all elections of an application: Nest creates a module that is imported as a class only once. */
@Module({
  providers: [{ provide: SimulatedTime, useFactory: () => new SimulatedTime() }],
  exports: [SimulatedTime],
})
class SimulatedTimeModule {}

/**
 * Replaces `LeaderElectionModule` in a test. Everything is as in production, except that the test decides who leads, and when time
 * passes for the election. Use `app.get(ScriptedElector)` to grant and revoke leadership, and `app.get(SimulatedTime)` to let time
 * pass. There is one SimulatedTime for all elections of an application. It stands still until `advance(ms)`, and does not depend
 * on the test runner's fake timers.
 *
 * ```ts
 * const app = await Test.createTestingModule({
 *   imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })],
 *   providers: [Invoices],
 * }).compile();
 * await app.init();
 * app.get(ScriptedElector).revoke();
 * ```
 */
@Module({})
export class LeaderElectionTestingModule {
  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, with everything that is wrong. */
  static forRoot(options: LeaderElectionTestingOptions = {}): DynamicModule {
    refuseInvalid('The options of LeaderElectionTestingModule.forRoot()', options, rules);
    const { startAs = 'follower', name = DEFAULT_ELECTION, identity = 'me' } = options;
    const { drainTimeout, termLimit, metrics, traces } = options;
    // Each application creates its own, because a test may import one dynamic module into many applications.
    const makeElector = (time: SimulatedTime, { election }: ResolvedModuleOptions): ScriptedElector => {
      const elector = new ScriptedElector({
        leaseName: name,
        identity,
        drainTimeout: election.drainTimeout,
        termLimit: election.termLimit,
        clock: clockOn(time),
        meter: metrics?.meter({ leaseName: name, election: name }),
      });
      if (startAs === 'leader') elector.grant();
      return elector;
    };
    const isDefault = name === DEFAULT_ELECTION;
    const module = electionModule({
      name,
      isGlobal: true,
      imports: [SimulatedTimeModule],
      // The names of elections need not be names of Leases.
      options: [
        {
          provide: GIVEN_OPTIONS,
          useValue: { leaseName: 'scripted', drainTimeout, termLimit, metrics, traces },
        },
      ],
      providers: [
        {
          provide: getElectorToken(name),
          inject: [SimulatedTime, RESOLVED_OPTIONS],
          useFactory: makeElector,
        },
        ...(isDefault ? [{ provide: ScriptedElector, useExisting: getElectorToken(name) }] : []),
      ],
    });
    return { ...module, exports: [...(module.exports ?? []), ...(isDefault ? [ScriptedElector] : [])] };
  }
}

/** A clock that begins at the present date, as the application's own clock. */
export function clockOn(time: SimulatedTime): Clock {
  return time.clock({ wallOffsetMs: new SystemClock().date() - time.clock().date() });
}

const rules: Record<keyof LeaderElectionTestingOptions, OptionRule> = {
  startAs: START_AS,
  name: TEXT,
  identity: TEXT,
  drainTimeout: DURATION,
  termLimit: DURATION,
  metrics: [isMetricsProvider, METRICS_RULE, kindOf],
  traces: [isTracesProvider, TRACES_RULE, kindOf],
};
