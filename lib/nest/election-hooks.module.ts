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
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { SystemClock, type Disposer } from '../election/index.js';
import { ElectionLog } from './election-log.js';
import { prepareHandlers } from './gate/prepare-handlers.js';

/** The root's distance is 1, that of a module loaded lazily 0. */
const NEARER_THAN_THE_ROOT = -1;

/** main.ts may call `enableShutdownHooks()` after `listen()`, of whose end no module hears. */
const HOOKS_ENABLED_WITHIN_MS = 1_000;

/** What starts and stops with the application. */
export interface ElectionPart {
  /** Never waits, never throws. */
  start(): void;
  /** Resolves when other modules may stop; may be called again. */
  stop(): Promise<void>;
}

/** All elections of one application: they stop at one time, not one after the other. See the head of the file. */
@Injectable()
export class ElectionHooks implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  readonly #parts: ElectionPart[] = [];
  #cancelCheck: Disposer = () => undefined;

  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    // Before any hook is called: Nest sorts the modules once.
    for (const module of modules.values()) {
      if (module.metatype === ElectionHooksModule) module.distance = NEARER_THAN_THE_ROOT;
    }
    // Once for all elections: it looks through every class of the application.
    prepareHandlers(modules);
  }

  add(part: ElectionPart): void {
    this.#parts.push(part);
  }

  onApplicationBootstrap(): void {
    this.#cancelCheck = new SystemClock().setTimer(HOOKS_ENABLED_WITHIN_MS, warnIfNobodyListens);
    for (const part of this.#parts) part.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.#stop();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.#stop();
  }

  async #stop(): Promise<void> {
    this.#cancelCheck();
    await Promise.all(this.#parts.map((part) => part.stop()));
  }
}

/** One per application, because it has no options: Nest makes a module once that is imported as a class. */
@Module({ providers: [ElectionHooks], exports: [ElectionHooks] })
export class ElectionHooksModule {}

function warnIfNobodyListens(): void {
  if (process.listenerCount('SIGTERM') > 0) return;
  ElectionLog.logger.warn(
    `Nobody listens for SIGTERM: call app.enableShutdownHooks() in main.ts. Without it Kubernetes ends this process in the ` +
      `middle of its work, and a lease that it holds is not released: the others must wait until it has run out.`,
  );
}
