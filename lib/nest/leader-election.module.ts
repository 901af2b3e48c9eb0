import { Inject, Logger, Module, Optional, type DynamicModule, type Provider } from '@nestjs/common';
import { DEFAULT_ELECTION, LeaderError, type Elector } from '../election/internal.js';
import type { createElector } from './create-elector.js';
import { ElectionGroup } from './election-group.js';
import { ElectionHooks, ElectionHooksModule } from './election-hooks.module.js';
import { ElectionLifecycle } from './election-lifecycle.js';
import { ElectionExplorer } from './election.explorer.js';
import { KubernetesConnections } from './kubernetes-connections.js';
import { LeaderHandle, handleOf } from './leader-handle.js';
import { OwnLocks } from './own-locks.js';
import { LeaderHealthIndicator } from './leader-health.indicator.js';
import { LeaderService } from './leader.service.js';
import { givenTo, madeBy, refuseInvalidExtras, refuseInvalidWay } from './options/module-extras.js';
import type {
  LeaderElectionModuleAsyncOptions,
  LeaderElectionModuleExtras,
  LeaderElectionModuleOptions,
} from './options/module-options.js';
import { resolveOptions, type ResolvedModuleOptions } from './options/resolve-options.js';
import {
  CREATE_ELECTOR,
  ELECTION_NAME,
  GIVEN_OPTIONS,
  RESOLVED_OPTIONS,
  getElectorToken,
  getLeaderToken,
} from './tokens.js';

/**
 * One election of an application. Import it once per election, in the root module.
 *
 * The start fails only for mistakes in the code or the deployment: invalid options (`LEADER_INVALID_OPTIONS`), an unknown namespace
 * (`LEADER_NO_NAMESPACE`), two elections with one name (`LEADER_DUPLICATE_ELECTION`), a client that cannot be loaded
 * (`LEADER_CLIENT_UNUSABLE`). After a refusal by the cluster this process remains a follower that reports the problem and keeps
 * trying.
 */
@Module({})
export class LeaderElectionModule {
  readonly #name: string;
  readonly #explorer: ElectionExplorer;

  /** @internal */
  constructor(
    @Optional() @Inject(ELECTION_NAME) name?: string,
    @Optional() @Inject(ElectionExplorer) explorer?: ElectionExplorer,
  ) {
    if (name === undefined || explorer === undefined) {
      throw new LeaderError(
        'LEADER_MODULE_MISSING',
        'LeaderElectionModule was imported without options, so it holds no election. Import ' +
          'LeaderElectionModule.forRoot({ leaseName }) or .forRootAsync() instead.',
      );
    }
    this.#name = name;
    this.#explorer = explorer;
    if (!explorer.holdersOf(name).every((holder) => explorer.callsHooksOf(holder))) throw loadedLazily(name);
    // Once for all elections. Nest's error, which stops the start, follows.
    const missing = name === explorer.elections[0] ? explorer.missingElection() : undefined;
    if (missing !== undefined) new Logger('LeaderElection').error(`${missing.code}: ${missing.message}`);
  }

  /** @internal */
  onModuleInit(): void {
    this.#explorer.refuseRequestScope(this.#name, ElectionLifecycle);
  }

  static forRoot(options: LeaderElectionModuleOptions & LeaderElectionModuleExtras): DynamicModule {
    const { name, isGlobal, ...election } = givenTo('forRoot', options);
    refuseInvalidExtras(name, isGlobal);
    return electionModule({ name, isGlobal, options: [{ provide: GIVEN_OPTIONS, useValue: election }] });
  }

  static forRootAsync(options: LeaderElectionModuleAsyncOptions): DynamicModule {
    const given = givenTo('forRootAsync', options);
    const { name, isGlobal, imports } = given;
    refuseInvalidExtras(name, isGlobal);
    refuseInvalidWay(given);
    return electionModule({ name, isGlobal, imports, options: optionsProviders(given) });
  }
}

function loadedLazily(election: string): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_LAZY',
    `The module of the election '${election}' was loaded lazily. Nest calls no lifecycle hooks there, so the election would neither ` +
      `begin nor hand over at a shutdown. Import its LeaderElectionModule in the root module; lazily loaded modules may use it.`,
  );
}

interface ElectionModuleParts {
  readonly name: string | undefined;
  readonly isGlobal: boolean | undefined;
  readonly imports?: DynamicModule['imports'] | undefined;
  /** Provides {@link GIVEN_OPTIONS}. */
  readonly options: Provider[];
  /** Further providers. The last provider of a token wins. */
  readonly providers?: Provider[];
}

/** @internal The module of one election, wherever its options come from. */
export function electionModule(parts: ElectionModuleParts): DynamicModule {
  const { name = DEFAULT_ELECTION, isGlobal = true, imports = [], options, providers = [] } = parts;
  const elector = getElectorToken(name);
  const leader = getLeaderToken(name);
  return {
    module: LeaderElectionModule,
    global: isGlobal,
    imports: [ElectionHooksModule, ...imports],
    providers: [
      { provide: ELECTION_NAME, useValue: name },
      ...options,
      {
        provide: RESOLVED_OPTIONS,
        inject: [GIVEN_OPTIONS, ElectionGroup],
        useFactory: (given: LeaderElectionModuleOptions, { identity }: ElectionGroup) =>
          resolveOptions(name, given, identity),
      },
      {
        provide: elector,
        inject: [CREATE_ELECTOR, RESOLVED_OPTIONS, KubernetesConnections, OwnLocks, ElectionGroup],
        useFactory: (
          create: typeof createElector,
          resolved: ResolvedModuleOptions,
          connections: KubernetesConnections,
          locks: OwnLocks,
          group: ElectionGroup,
        ) => create(name, resolved, { connections, locks, group }),
      },
      {
        provide: leader,
        inject: [elector, RESOLVED_OPTIONS],
        useFactory: (made: Elector, resolved: ResolvedModuleOptions) =>
          new LeaderService(handleOn(name, made, resolved)),
      },
      {
        provide: ElectionLifecycle,
        inject: [leader, RESOLVED_OPTIONS, ElectionExplorer, ElectionHooks, ElectionGroup],
        useFactory: (
          service: LeaderService,
          resolved: ResolvedModuleOptions,
          explorer: ElectionExplorer,
          hooks: ElectionHooks,
          group: ElectionGroup,
        ) => {
          const handle = handleOf(service);
          // A test has replaced the LeaderService, so nothing would read the election.
          if (handle === undefined) return undefined;
          if (resolved.election.spread) group.share(handle.elector, service);
          return new ElectionLifecycle({ leader: service, handle, options: resolved, explorer, hooks });
        },
      },
      LeaderHealthIndicator,
      ...providers,
    ],
    exports: [elector, leader, LeaderHealthIndicator],
  };
}

function handleOn(name: string, elector: Elector, options: ResolvedModuleOptions): LeaderHandle {
  const { metrics, traces, exposeLeader, advertise, election } = options;
  const lease = { leaseName: elector.leaseName, election: name };
  return new LeaderHandle({
    election: name,
    elector,
    meter: metrics?.meter(lease),
    tracer: traces?.tracer(lease),
    exposeLeader,
    leaseDuration: election.leaseDuration,
    address: advertise,
  });
}

function optionsProviders(options: LeaderElectionModuleAsyncOptions): Provider[] {
  const { useFactory, useClass, useExisting, inject = [] } = options;
  if (useFactory !== undefined) return [{ provide: GIVEN_OPTIONS, inject, useFactory }];
  const factory = useExisting ?? useClass;
  return [
    ...(useClass === undefined ? [] : [useClass]),
    { provide: GIVEN_OPTIONS, inject: factory === undefined ? [] : [factory], useFactory: madeBy },
  ];
}
