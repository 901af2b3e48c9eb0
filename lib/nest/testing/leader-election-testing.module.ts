import { Module, type DynamicModule } from '@nestjs/common';
import {
  DURATION,
  ScriptedElector,
  SystemClock,
  TEXT,
  kindOf,
  refuseInvalid,
  type Clock,
  type MetricsProvider,
  type OptionRule,
} from '../../election/index.js';
import { SimulatedTime } from '../../testing/index.js';
import { METRICS_RULE, isMetricsProvider } from '../options/metrics-option.js';
import { electionModule } from '../leader-election.module.js';
import { DEFAULT_ELECTION, getElectorToken, getOptionsToken } from '../tokens.js';

/** What a test starts with. */
export interface LeaderElectionTestingOptions {
  /** Default `'follower'`. */
  readonly startAs?: 'leader' | 'follower' | undefined;
  /** Which election it stands for. Default: the default one. */
  readonly name?: string | undefined;
  /** The name of this process. Default `'me'`. */
  readonly identity?: string | undefined;
  /** How long a hand-over waits for running work before it says so, in milliseconds. Default 20000. */
  readonly drainTimeout?: number | undefined;
  /** After how many milliseconds a term is handed over. Default 0: never. */
  readonly termLimit?: number | undefined;
  /** Where the election's figures go, as in production. Default: nowhere. */
  readonly metrics?: MetricsProvider | undefined;
}

/** The one time of an application's elections: Nest makes a module once that is imported as a class. */
@Module({
  providers: [{ provide: SimulatedTime, useFactory: () => new SimulatedTime() }],
  exports: [SimulatedTime],
})
class SimulatedTimeModule {}

/**
 * Stands in for `LeaderElectionModule` in a test: everything is as in production, except that the test decides who leads, and
 * when time passes for the election. `app.get(ScriptedElector)` grants and revokes, `app.get(SimulatedTime)` lets time pass:
 * one for all elections of an application, standing still until `advance(ms)`, whatever the test runner's fake timers do.
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
    const { startAs = 'follower', name = DEFAULT_ELECTION, drainTimeout = 20_000 } = options;
    const { identity = 'me', termLimit = 0, metrics } = options;
    // Made by each application anew: a test imports one dynamic module into many.
    const makeElector = (time: SimulatedTime): ScriptedElector => {
      const clock = clockOn(time);
      const meter = metrics?.meter({ leaseName: name, election: name });
      const elector = new ScriptedElector({
        leaseName: name,
        identity,
        drainTimeout,
        termLimit,
        clock,
        meter,
      });
      if (startAs === 'leader') elector.grant();
      return elector;
    };
    const isDefault = name === DEFAULT_ELECTION;
    const module = electionModule({
      name,
      isGlobal: true,
      imports: [SimulatedTimeModule],
      providers: [
        { provide: getOptionsToken(name), useValue: { drainTimeout, metrics } },
        // The later provider of a token counts.
        { provide: getElectorToken(name), inject: [SimulatedTime], useFactory: makeElector },
        ...(isDefault ? [{ provide: ScriptedElector, useExisting: getElectorToken(name) }] : []),
      ],
    });
    return { ...module, exports: [...(module.exports ?? []), ...(isDefault ? [ScriptedElector] : [])] };
  }
}

/** Begins at today's date, as the application's own clock does. */
function clockOn(time: SimulatedTime): Clock {
  return time.clock({ wallOffsetMs: new SystemClock().date() - time.clock().date() });
}

const rules: Record<keyof LeaderElectionTestingOptions, OptionRule> = {
  startAs: [(value) => value === 'leader' || value === 'follower', "it must be 'leader' or 'follower'"],
  name: TEXT,
  identity: TEXT,
  drainTimeout: DURATION,
  termLimit: DURATION,
  metrics: [isMetricsProvider, METRICS_RULE, kindOf],
};
