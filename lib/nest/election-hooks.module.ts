/**
 * Start last, stop first (design.md §5): campaigns begin when every module has started, and on shutdown work is drained and
 * leases are released before any module goes, the root module included.
 *
 * Nest calls start hooks from the module farthest from the root to the root itself, and stop hooks the other way. A module
 * nearer than the root is therefore the last to start and the first to stop; what other modules' hooks throw comes later.
 */
import {
  Inject,
  Injectable,
  Module,
  Optional,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { Clock, Disposer } from '../election/index.js';
import { ElectionLog } from './election-log.js';
import { addRetryAfter } from './gate/retry-after.js';

/** The root's distance is 1, that of a module loaded lazily 0. */
const NEARER_THAN_THE_ROOT = -1;

/** main.ts may call `enableShutdownHooks()` after `listen()`, of whose end no module hears. */
const HOOKS_ENABLED_WITHIN_MS = 1_000;
/** Without a server it may be a script, which closes its application itself. What runs for longer in a pod is a worker. */
const LONGEST_SCRIPT_MS = 60_000;

/** What starts and stops with the application. */
export interface ElectionPart {
  /** The clock of an election that has a lease to hand over; undefined for one that has none. */
  readonly leaseClock: Clock | undefined;
  /** Never waits, never throws. */
  start(): void;
  /** Resolves when other modules may stop; may be called again. */
  stop(): Promise<void>;
}

/** All elections of one application: they stop at one time, not one after the other. See the head of the file. */
@Injectable()
export class ElectionHooks implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  readonly #parts: ElectionPart[] = [];
  readonly #modulesAtStart: ReadonlySet<unknown>;
  #cancelCheck: Disposer = () => undefined;
  #stopped: Promise<unknown> | undefined;

  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Optional() @Inject(HttpAdapterHost) private readonly server?: { readonly httpAdapter?: object | null },
  ) {
    const own = [...modules.values()].filter(({ metatype }) => metatype === ElectionHooksModule);
    // Nest gives distances when all modules of an application are known, which is before any instance is made.
    const isLazy = own.some(({ distance }) => distance === 0);
    this.#modulesAtStart = new Set(isLazy ? [] : modules.values());
    // Before any hook is called: Nest sorts the modules once.
    for (const module of own) module.distance = NEARER_THAN_THE_ROOT;
    // Once for all elections: it looks through every controller of the application.
    addRetryAfter(modules);
  }

  add(part: ElectionPart): void {
    this.#parts.push(part);
  }

  /** Whether Nest calls the hooks of that module: not of one that is loaded lazily. */
  callsHooksOf(module: unknown): boolean {
    return this.#modulesAtStart.has(module);
  }

  onApplicationBootstrap(): void {
    if (this.#stopped !== undefined) return;
    this.#checkListeners();
    for (const part of this.#parts) part.start();
  }

  #checkListeners(): void {
    const clock = this.#parts.find(({ leaseClock }) => leaseClock !== undefined)?.leaseClock;
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
    this.#stopped ??= Promise.all(this.#parts.map((part) => part.stop()));
    await this.#stopped;
  }
}

/** One per application, because it has no options: Nest makes a module once that is imported as a class. */
@Module({ providers: [ElectionHooks], exports: [ElectionHooks] })
export class ElectionHooksModule {}

function isInPod(): boolean {
  return process.env['KUBERNETES_SERVICE_HOST'] !== undefined;
}

function warnIfNobodyCloses(): void {
  if (process.listeners('SIGTERM').some(closesApplication)) return;
  ElectionLog.logger.warn(
    `Nobody who listens for SIGTERM is known to close this application: call app.enableShutdownHooks() in main.ts. Without it ` +
      `Kubernetes ends this process in the middle of its work, and a lease that it holds is not released: the others must ` +
      `wait until it has run out.`,
  );
}

/**
 * Whether a listener is the one of `enableShutdownHooks()`, which Nest shows nowhere else, or calls `app.close()` in its own
 * text. Others listen, too: tracing, loggers, drivers.
 */
function closesApplication(listener: NodeJS.SignalsListener): boolean {
  return /ERROR_DURING_SHUTDOWN|callDestroyHook|\.close\(/.test(Function.prototype.toString.call(listener));
}
