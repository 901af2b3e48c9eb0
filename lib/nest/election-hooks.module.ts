import {
  Inject,
  Injectable,
  Module,
  Optional,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Disposer } from '../election/internal.js';
import { createElector } from './create-elector.js';
import { ElectionGroup } from './election-group.js';
import type { ElectionLifecycle } from './election-lifecycle.js';
import { ElectionLog } from './election-log.js';
import { ElectionExplorer } from './election.explorer.js';
import { checkHandlers } from './gate/handler-check.js';
import { KubernetesConnections } from './kubernetes-connections.js';
import { OwnLocks } from './own-locks.js';
import { CREATE_ELECTOR } from './tokens.js';

/** The distance of the root is 1. */
const NEARER_THAN_THE_ROOT = -1;

/** main.ts may call `enableShutdownHooks()` after `listen()`, and no hook runs after that. */
const HOOKS_ENABLED_WITHIN_MS = 1_000;
/** An application without a server may be a script that closes itself. One that runs longer in a pod is a worker. */
const LONGEST_SCRIPT_MS = 60_000;

/**
 * Starts all elections of one application last and stops them first, all at one time. Campaigns begin when every module has
 * started; on shutdown work is drained and leases are released before any module is destroyed, including the root module.
 *
 * Nest calls start hooks from the module farthest from the root to the root itself, and stop hooks the other way. So a module
 * with a smaller distance than the root is the last to start and the first to stop. An error that a hook of another module
 * throws comes later.
 */
@Injectable()
export class ElectionHooks implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  readonly #elections: ElectionLifecycle[] = [];
  #cancelCheck: Disposer = () => undefined;
  #stopped: Promise<unknown> | undefined;

  constructor(
    explorer: ElectionExplorer,
    @Optional() @Inject(HttpAdapterHost) private readonly server?: { readonly httpAdapter?: object | null },
  ) {
    // Before any hook is called, because Nest sorts the modules only once.
    for (const module of explorer.hostsOf(ElectionHooks)) module.distance = NEARER_THAN_THE_ROOT;
    // Once for all elections, because it visits every class of the application.
    explorer.prepareHandlers();
    checkHandlers(explorer);
  }

  add(election: ElectionLifecycle): void {
    this.#elections.push(election);
  }

  onApplicationBootstrap(): void {
    if (this.#stopped !== undefined) return;
    this.#checkListeners();
    for (const election of this.#elections) election.start();
  }

  #checkListeners(): void {
    const clock = this.#elections.find(({ leaseClock }) => leaseClock !== undefined)?.leaseClock;
    const isServer = Boolean(this.server?.httpAdapter);
    if (clock === undefined || !(isServer || isInPod())) return;
    const delayMs = isServer ? HOOKS_ENABLED_WITHIN_MS : LONGEST_SCRIPT_MS;
    this.#cancelCheck = clock.setTimer(delayMs, warnIfNobodyCloses);
  }

  onModuleDestroy(): Promise<void> {
    return this.#stop();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.#stop();
  }

  async #stop(): Promise<void> {
    this.#cancelCheck();
    this.#stopped ??= Promise.all(this.#elections.map((election) => election.stop()));
    await this.#stopped;
  }
}

const shared = [
  ElectionHooks,
  ElectionExplorer,
  ElectionGroup,
  KubernetesConnections,
  OwnLocks,
  // Nest replaces a factory by another, but keeps a value.
  { provide: CREATE_ELECTOR, useFactory: () => createElector },
];

/** What the elections of one application share. Nest creates a module that is imported as a class only once. */
@Module({ providers: shared, exports: shared })
export class ElectionHooksModule {}

function isInPod(): boolean {
  return process.env['KUBERNETES_SERVICE_HOST'] !== undefined;
}

function warnIfNobodyCloses(): void {
  if (process.listeners('SIGTERM').some(closesApplication)) return;
  ElectionLog.logger.warn(
    `No SIGTERM listener closes this application: call app.enableShutdownHooks() in main.ts. Without it SIGTERM ends this ` +
      `process in the middle of its work. The first process of a container even runs on until it is killed, and its lease is ` +
      `not released: the other replicas wait until the lease expires.`,
  );
}

/**
 * Whether a listener is that of `enableShutdownHooks()`, which Nest does not show elsewhere, or contains a call of `app.close()`.
 * Other libraries listen, too: tracing, loggers, drivers.
 */
function closesApplication(listener: NodeJS.SignalsListener): boolean {
  return /ERROR_DURING_SHUTDOWN|callDestroyHook|\.close\(/.test(Function.prototype.toString.call(listener));
}
