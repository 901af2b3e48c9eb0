import { Inject, Logger, Module, Optional, type DynamicModule, type Provider } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { LeaderError, LeaseElector, type Elector } from '../election/index.js';
import { AttendedElector } from './attended-elector.js';
import { createElector } from './create-elector.js';
import { longestWithdrawal } from './options/coordinated-option.js';
import { ElectionHooks, ElectionHooksModule } from './election-hooks.module.js';
import { ElectionLifecycle } from './election-lifecycle.js';
import { ElectionGroup } from './election-group.js';
import { ELECTION_NAME, missingElection, electionsIn, holdersOf, refuseOfRequests } from './elections.js';
import { KubernetesConnections } from './kubernetes-connections.js';
import { LeaderHealthIndicator } from './leader-health.indicator.js';
import { LeaderService, isLeaderService } from './leader.service.js';
import type {
  LeaderElectionModuleAsyncOptions,
  LeaderElectionModuleExtras,
  LeaderElectionModuleOptions,
} from './options/module-options.js';
import { givenTo, madeBy, refuseInvalidExtras, refuseInvalidWay } from './options/module-extras.js';
import { SharedByElectionsModule } from './shared-by-elections.module.js';
import {
  DEFAULT_ELECTION,
  getElectorToken,
  getLeaderToken,
  getLifecycleToken,
  getOptionsToken,
} from './tokens.js';

/**
 * One election of an application. Import it once per election, in the root module.
 *
 * The start fails only for mistakes in the code or deployment: invalid options (`LEADER_INVALID_OPTIONS`), an unknown namespace
 * (`LEADER_NO_NAMESPACE`), two elections with one name (`LEADER_DUPLICATE_ELECTION`). After a refusal by the cluster this process
 * remains a follower that reports the problem and keeps trying.
 */
@Module({})
export class LeaderElectionModule {
  readonly #name: string;
  readonly #modules: ModulesContainer;

  /** @internal */
  constructor(
    moduleRef: ModuleRef,
    @Optional() @Inject(ELECTION_NAME) name?: string,
    @Optional() @Inject(ElectionHooks) hooks?: ElectionHooks,
  ) {
    if (name === undefined) {
      throw new LeaderError(
        'LEADER_MODULE_MISSING',
        'LeaderElectionModule was imported without options, so it holds no election. Import ' +
          'LeaderElectionModule.forRoot({ leaseName }) or .forRootAsync() instead.',
      );
    }
    const modules = moduleRef.get(ModulesContainer, { strict: false });
    this.#name = name;
    this.#modules = modules;
    if (hooks !== undefined && !holdersOf(modules, name).every((holder) => hooks.callsHooksOf(holder)))
      throw loadedLazily(name);
    if (name === electionsIn(modules)[0]) logMissingElection(modules);
  }

  /** @internal */
  onModuleInit(): void {
    refuseOfRequests(this.#modules, this.#name);
  }

  static forRoot(options: LeaderElectionModuleOptions & LeaderElectionModuleExtras): DynamicModule {
    const { name, isGlobal, ...election } = givenTo('forRoot', options);
    refuseInvalidExtras(name, isGlobal);
    return electionModule({
      name,
      isGlobal,
      providers: [{ provide: getOptionsToken(name ?? DEFAULT_ELECTION), useValue: election }],
    });
  }

  static forRootAsync(options: LeaderElectionModuleAsyncOptions): DynamicModule {
    const given = givenTo('forRootAsync', options);
    const { name, isGlobal, imports } = given;
    refuseInvalidExtras(name, isGlobal);
    refuseInvalidWay(given);
    return electionModule({
      name,
      isGlobal,
      imports,
      providers: optionsProviders(given, getOptionsToken(name ?? DEFAULT_ELECTION)),
    });
  }
}

function loadedLazily(election: string): LeaderError {
  return new LeaderError(
    'LEADER_MODULE_LAZY',
    `The election '${election}' comes with a module that was loaded lazily. Nest calls no lifecycle hooks there, so the ` +
      `election would neither begin nor hand over at a shutdown. Import its LeaderElectionModule in the root module; what is ` +
      `loaded lazily may use it.`,
  );
}

/** Logs the reason. Nest's error, which stops the start, follows. */
function logMissingElection(modules: ModulesContainer): void {
  const error = missingElection(modules);
  if (error !== undefined) new Logger('LeaderElection').error(`${error.code}: ${error.message}`);
}

interface ElectionModuleParts {
  readonly name: string | undefined;
  readonly isGlobal: boolean | undefined;
  readonly imports?: DynamicModule['imports'] | undefined;
  /** Must provide the options. May provide the elector; otherwise it is created from the options. */
  readonly providers: Provider[];
}

/** @internal The module of one election, wherever its options come from. */
export function electionModule(parts: ElectionModuleParts): DynamicModule {
  const { name = DEFAULT_ELECTION, isGlobal = true, imports = [], providers } = parts;
  const options = getOptionsToken(name);
  const elector = getElectorToken(name);
  const leader = getLeaderToken(name);
  return {
    module: LeaderElectionModule,
    global: isGlobal,
    imports: [SharedByElectionsModule, ElectionHooksModule, ...imports],
    providers: [
      { provide: ELECTION_NAME, useValue: name },
      {
        provide: elector,
        inject: [options, KubernetesConnections, ElectionGroup],
        useFactory: (
          given: LeaderElectionModuleOptions,
          connections: KubernetesConnections,
          group: ElectionGroup,
        ) => createElector(name, given, connections, group),
      },
      ...providers,
      {
        provide: leader,
        inject: [elector, options],
        useFactory: (made: Elector, { metrics, exposeLeader }: LeaderElectionModuleOptions) => {
          const meter = metrics?.meter({ leaseName: made.leaseName, election: name });
          return new LeaderService(name, made, meter, exposeLeader);
        },
      },
      {
        provide: getLifecycleToken(name),
        inject: [options, leader, elector, ModulesContainer, ElectionGroup, ElectionHooks],
        useFactory: (
          given: LeaderElectionModuleOptions,
          service: LeaderService,
          made: Elector,
          modules: ModulesContainer,
          group: ElectionGroup,
          hooks: ElectionHooks,
        ) => {
          // A test has replaced the LeaderService, so nothing would read the election.
          if (!isLeaderService(service)) return undefined;
          const { onLost = 'campaign', drainTimeout = 20_000, renewDeadline = 10_000, spread } = given;
          const { leaderPodLabels, coordinated, retryPeriod = 2_000 } = given;
          const unlabelling = leaderPodLabels === undefined ? 0 : retryPeriod;
          const withdrawing = coordinated === undefined ? 0 : longestWithdrawal(retryPeriod);
          const isShared =
            spread === true && (made instanceof LeaseElector || made instanceof AttendedElector);
          if (isShared) group.share(made, service);
          return new ElectionLifecycle({
            leader: service,
            elector: made,
            modules,
            hooks,
            onLost,
            drainTimeout,
            beforeRelease: unlabelling + withdrawing,
            renewDeadline,
          });
        },
      },
      LeaderHealthIndicator,
    ],
    exports: [elector, leader, LeaderHealthIndicator],
  };
}

function optionsProviders(options: LeaderElectionModuleAsyncOptions, token: string): Provider[] {
  const { useFactory, useClass, useExisting, inject = [] } = options;
  if (useFactory !== undefined) return [{ provide: token, inject, useFactory }];
  const factory = useExisting ?? useClass;
  return [
    ...(useClass === undefined ? [] : [useClass]),
    {
      provide: token,
      inject: factory === undefined ? [] : [factory],
      useFactory: madeBy,
    },
  ];
}
