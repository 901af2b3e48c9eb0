import {
  Controller,
  Get,
  Header,
  Module,
  UseGuards,
  VERSION_NEUTRAL,
  type CanActivate,
  type DynamicModule,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { TEXT, readable, refuseInvalid, type OptionRule } from '../election/internal.js';
import { ElectionHooksModule } from './election-hooks.module.js';
import { ElectionExplorer } from './election.explorer.js';
import { LeaderHealthIndicator, shownError, type LeaderHealth } from './leader-health.indicator.js';
import type { LeaderHandle } from './leader-handle.js';

/** Options of {@link LeaderStatusModule}. */
export interface LeaderStatusOptions {
  /** The path of the route. The application's global prefix comes before it. Default `'leader'`. */
  readonly path?: string | undefined;
  /** Guards of this route, besides those of the application. Default: none. */
  readonly guards?: readonly (Type<CanActivate> | CanActivate)[] | undefined;
  /** Modules that export what the guards inject. Default: none. */
  readonly imports?: ModuleMetadata['imports'] | undefined;
}

/** What one election is doing, as this process sees it: its health, and more. */
export interface ElectionStatus extends LeaderHealth {
  /** The election's name in this application. */
  readonly election: string;
  readonly leaseName: string;
  /** Where the leader can be reached, if it says so (`advertise`). Absent with `exposeLeader: false`. */
  readonly address?: string;
  /** All present problems, the most important first. With `exposeLeader: false` only their codes. */
  readonly problems: readonly NonNullable<LeaderHealth['error']>[];
}

/** The answer of the route. */
export interface LeaderStatus {
  /** The elections of the application, by name. */
  readonly elections: readonly ElectionStatus[];
}

/**
 * Adds a route that answers with the state of all elections of the application, as JSON: `GET /leader`. It is for people and their
 * tools, not for probes: it answers 200 whatever the state is. Its version is neutral. It names hosts and shows errors, so put a guard
 * before it, or set `exposeLeader: false`.
 *
 * ```ts
 * LeaderStatusModule.forRoot({ path: 'leader', guards: [AdminGuard], imports: [AuthModule] })
 * ```
 */
@Module({})
export class LeaderStatusModule {
  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, with everything that is wrong. */
  static forRoot(options: LeaderStatusOptions = {}): DynamicModule {
    refuseInvalid('The options of LeaderStatusModule.forRoot()', options, rules);
    const { path = 'leader', guards = [], imports = [] } = options;
    return {
      module: LeaderStatusModule,
      imports: [ElectionHooksModule, ...imports],
      providers: [LeaderHealthIndicator],
      controllers: [controllerAt(path, guards)],
    };
  }
}

/** A class of its own for each module: Nest reads the path and the guards of the class. */
function controllerAt(path: string, guards: readonly (Type<CanActivate> | CanActivate)[]): Type {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseGuards(...guards)
  class LeaderStatusController {
    constructor(
      private readonly explorer: ElectionExplorer,
      private readonly health: LeaderHealthIndicator,
    ) {}

    @Get()
    @Header('Cache-Control', 'no-store')
    status(): LeaderStatus {
      return { elections: this.explorer.elections.map((election) => statusOf(election, this.health)) };
    }
  }
  return LeaderStatusController;
}

function statusOf(election: string, health: LeaderHealthIndicator): ElectionStatus {
  const handle = health.handleOf(election);
  const { state, leaseName, leaderAddress, exposesLeader } = handle;
  return {
    election,
    leaseName,
    ...health.isHealthy('leader', { election }).leader,
    ...(exposesLeader && leaderAddress !== undefined && { address: readable(leaderAddress) }),
    problems: problemsIn(handle, state),
  };
}

function problemsIn(
  { exposesLeader }: LeaderHandle,
  state: LeaderHandle['state'],
): ElectionStatus['problems'] {
  if (!('error' in state)) return [];
  const { error, problems = error === undefined ? [] : [error] } = state;
  return problems.map((problem) => shownError(problem, exposesLeader));
}

const rules: Record<keyof LeaderStatusOptions, OptionRule> = {
  path: TEXT,
  guards: [
    (value) => Array.isArray(value) && value.every(isGuard),
    'it must be a list of guards: classes, or objects with canActivate()',
  ],
  imports: [(value) => Array.isArray(value), 'it must be a list of modules'],
};

function isGuard(value: unknown): boolean {
  return typeof value === 'function' || typeof (value as CanActivate | null)?.canActivate === 'function';
}
